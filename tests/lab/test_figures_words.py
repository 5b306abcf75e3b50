"""Figures of the data: every length of word, and how alike the vectors of places are."""

import numpy as np
import pytest
from drawings import alt_of, named
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.lab.figures.words import positions, word_lengths
from a3lib.translation.positional_encoding import PositionalEncoding

WORDS = st.dictionaries(
    st.sampled_from(["small", "large"]),
    st.lists(st.text("abc", min_size=1, max_size=9), min_size=1),
    min_size=1,
)


@settings(deadline=None, max_examples=10, database=None, derandomize=True)
@given(WORDS)
def test_word_lengths_draws_the_share_of_every_length(words):
    figure, _, summary, _ = word_lengths(words)
    for container, (name, some) in zip(figure.axes[0].containers, words.items(), strict=True):
        lengths = [len(word) for word in some]
        assert [bar.get_height() * len(some) for bar in container] == pytest.approx(
            [lengths.count(length) for length in range(len(container))]
        )
        assert container.get_label() == name
        mean = sum(lengths) / len(some)
        told = f"mean length {mean:.1f}, longest {max(lengths)}"
        assert f"{name} has {len(some):,} words, {told}" in summary


def test_word_lengths_is_drawn_and_named():
    picture = word_lengths({"small": ["a", "to", "the"], "large": ["there", "their", "the"]})
    assert named(picture.figure.axes[0])
    assert alt_of(picture).startswith("Word lengths: small has 3 words, mean length 2.0, longest 3")


def test_positions_draw_waves_and_the_cosines_of_all_places():
    encodings = PositionalEncoding(32)(24)
    picture = positions(encodings, waves=(0, 6))
    waves, similar, _ = picture.figure.axes
    for line, wave in zip(waves.lines, (0, 6), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), encodings[:, wave])
    vectors = encodings.numpy() / np.linalg.norm(encodings.numpy(), axis=1, keepdims=True)
    drawn = similar.images[0].get_array()
    np.testing.assert_allclose(drawn, vectors @ vectors.T, atol=1e-5)
    assert named(waves) and named(similar)
    near = np.mean([drawn[n, n + 1] for n in range(23)])
    far = np.mean([drawn[n, n + 8] for n in range(16)])
    told = f"24 places; mean cosine {near:.2f} of neighbours, {far:.2f} eight places apart"
    assert alt_of(picture).endswith(told)
