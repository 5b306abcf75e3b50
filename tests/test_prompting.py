"""Prompting: ranks by an independent count, words by recomputing, foils, labels, temperature, bootstrap verdicts."""

import math
import re

import numpy as np
import pytest
import torch
from fake_clip import COLOURS, FakeClip, paint
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib import prompting
from a3lib.claims import FAILS, HOLDS, OPEN
from a3lib.gallery import Gallery
from a3lib.prompting import Ranking

SCORES = st.lists(st.integers(-4, 4).map(lambda n: n / 4), min_size=2, max_size=8)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    return Gallery(FakeClip(), paint(tmp_path_factory.mktemp("pictures")), cache=None)


@given(SCORES, st.data())
def test_rank_counts_who_is_at_least_as_good_and_margin_tells_if_it_is_found(scores, data):
    target = data.draw(st.integers(0, len(scores) - 1))
    ranking = Ranking(torch.tensor(scores))
    others = scores[:target] + scores[target + 1 :]
    assert ranking.rank(target) == 1 + sum(score >= scores[target] for score in others)
    assert math.isclose(ranking.margin(target), scores[target] - max(others))
    assert (ranking.margin(target) > 0) == (ranking.rank(target) == 1)


@given(SCORES)
def test_the_best_come_first_and_equal_ones_in_their_order(scores):
    assert Ranking(torch.tensor(scores)).top(3) == sorted(range(len(scores)), key=lambda i: -scores[i])[:3]


def test_a_gallery_of_one_picture_has_no_margin():
    assert Ranking(torch.tensor([0.5])).rank(0) == 1 and math.isnan(Ranking(torch.tensor([0.5])).margin(0))


@pytest.mark.parametrize("caption", ["", " ", " \t\n　 "])
def test_an_empty_caption_is_told_to_be_empty(caption):
    text, notes = prompting.tidy(caption, FakeClip())
    assert text == "" and re.search("empty: describe what the picture shows", notes[0])


def test_a_usual_caption_is_left_alone_but_for_its_spaces():
    assert prompting.tidy("  a red\n cat ", FakeClip()) == ("a red cat", [])


def test_a_caption_beyond_the_models_tokens_is_told(gallery):
    text, notes = prompting.tidy("red " * 2500, FakeClip())
    assert len(text) < 10_000 and re.search(
        "reads 77 tokens .CLIP reads 77.* has 2502 .* the rest is not looked at", notes[0]
    )
    assert prompting.tidy("x" * 1_000_000, FakeClip())[1]
    assert prompting.tidy("red " * 75, FakeClip())[1] == []
    assert len(prompting.explain(gallery, text, 0)[1]) == 12


@pytest.mark.parametrize("caption", ["🦋 on a flower", "бабочка", "蝴蝶", "un papillon éclatant"])
def test_other_scripts_and_emoji_get_a_remark_and_a_ranking(gallery, caption):
    text, notes = prompting.tidy(caption, gallery.model)
    odd = next(character for character in caption if not character.isascii())
    assert text == caption and odd in notes[0] and len(notes) == 1
    assert 1 <= prompting.explain(gallery, text, 0)[0].rank(0) <= len(gallery)


def test_leaving_a_word_out_is_the_caption_without_it_in_one_forward(gallery):
    forwards, pictures = gallery.model.forwards, gallery.model.pictures
    ranking, words = prompting.explain(gallery, "a red blue thing", 0)
    assert (gallery.model.forwards, gallery.model.pictures) == (forwards + 1, pictures)
    assert [word.text for word in words] == ["a", "red", "blue", "thing"]
    full = gallery.scores(["a red blue thing"])[0]
    for word, rest in zip(words, ("red blue thing", "a blue thing", "a red thing", "a red blue"), strict=True):
        without = Ranking(gallery.scores([rest])[0])
        assert math.isclose(word.drop, float(full[0] - without.scores[0]), abs_tol=1e-6)
        assert word.rank_without == without.rank(0)
    assert ranking.rank(0) == Ranking(full).rank(0)
    assert words[1].drop > 0 > words[2].drop  # the picture is red


def test_one_word_is_compared_with_the_empty_caption(gallery):
    _, (word,) = prompting.explain(gallery, "red", 0)
    assert math.isclose(word.drop, float(gallery.scores(["red"])[0, 0] - gallery.scores([""])[0, 0]), abs_tol=1e-6)


def test_ranks_under_own_captions(gallery):
    assert prompting.own_ranks(gallery, list(COLOURS)).tolist() == [1] * len(COLOURS)
    shuffled = ["blue", "red", "green", "white", "yellow"]
    expected = [Ranking(gallery.scores([text])[0]).rank(place) for place, text in enumerate(shuffled)]
    assert prompting.own_ranks(gallery, shuffled).tolist() == expected
    with pytest.raises(ValueError, match="2 captions for 5 pictures"):
        prompting.own_ranks(gallery, ["red", "blue"])


def test_content_words_are_what_names_something():
    caption = "a brown horse in front of snowy mountains"
    assert prompting.content_words(caption) == ["brown", "horse", "snowy", "mountains"]
    assert prompting.content_words("A cat on the mat") == ["cat", "mat"]


@given(st.integers(1, 6), st.integers(0, 50))
def test_drawn_words_keep_their_order_and_depend_on_the_seed_only(number, seed):
    caption = "a brown horse in front of snowy mountains"
    drawn = prompting.some_words(caption, number, seed).split()
    words = prompting.content_words(caption)
    assert len(drawn) == min(number, 4) and drawn == [word for word in words if word in drawn]
    assert drawn == prompting.some_words(caption, number, seed).split()
    assert len({prompting.some_words(caption, 1, seed) for seed in range(40)}) == 4


def test_foils_change_one_thing():
    assert prompting.replaced("two black cats", ("black", "white", "red")) == ["two white cats", "two red cats"]
    assert prompting.replaced("a black and white cow", ("black", "white")) == [
        "a white and white cow",
        "a black and black cow",
    ]
    assert prompting.replaced("a cat", ("black", "white")) == []


@pytest.mark.parametrize(
    ("caption", "turned"),
    [
        ("a butterfly on a purple flower", ["a purple flower on a butterfly"]),
        ("a horse in front of snowy mountains", ["snowy mountains in front of a horse"]),
        ("giraffes next to trees", ["trees next to giraffes"]),
        ("a pika on a rock with leaves in its mouth", ["a rock with leaves in its mouth on a pika"]),
        ("an ontological inn", []),
    ],
)
def test_turning_exchanges_the_sides_of_the_first_relation(caption, turned):
    assert prompting.turned(caption) == turned


def captioned(gallery, captions):
    from dataclasses import replace

    from a3lib.gallery import Gallery

    copy = Gallery.__new__(Gallery)
    copy.__dict__ = dict(gallery.__dict__)
    copy.photographs = [replace(p, caption=c) for p, c in zip(gallery.photographs, captions, strict=True)]
    return copy


def test_a_model_that_sees_colours_prefers_true_ones_and_one_that_is_blind_gets_one_half(gallery):
    true = captioned(gallery, [f"a {colour} thing" for colour in COLOURS])
    foils = lambda caption: prompting.replaced(caption, tuple(COLOURS))  # noqa: E731
    assert prompting.preference(true, foils).tolist() == [1.0] * len(COLOURS)
    lies = captioned(gallery, ["a green thing", "a red thing", "no colour", "a blue thing", "a red thing"])
    wrong = prompting.preference(lies, foils)
    assert len(wrong) == 4 and wrong.max() < 1  # the picture without foils is left out
    blind = captioned(true, [f"a {colour} thing" for colour in COLOURS])
    blind.features = true.features[:1].expand(len(COLOURS), -1)
    assert prompting.preference(blind, foils).tolist() == [0.5] * len(COLOURS)


def test_labels_fit_their_pictures_and_one_template_is_its_own_ensemble(gallery):
    labels = list(COLOURS)
    scores = prompting.label_scores(gallery, labels, ["a {} thing"])
    assert scores.shape == (len(gallery), len(labels)) and scores.argmax(1).tolist() == list(range(len(labels)))
    assert torch.allclose(scores.T, gallery.scores([f"a {label} thing" for label in labels]), atol=1e-6)
    assert torch.allclose(scores, prompting.label_scores(gallery, labels, ["a {} thing"] * 3), atol=1e-6)


def test_an_ensemble_averages_text_vectors_and_normalises(gallery):
    templates, model = ["{}", "a {} thing here"], gallery.model
    mean = sum(model.encode_text([template.format("red")])[0] for template in templates) / 2
    expected = gallery.features @ (mean / mean.norm())
    assert torch.allclose(prompting.label_scores(gallery, ["red"], templates)[:, 0], expected, atol=1e-6)


@given(st.floats(2, 100), st.integers(0, 5))
@settings(deadline=None, max_examples=15)
def test_the_scale_of_drawn_labels_is_found_again(scale, seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(4000, 5, generator=generator) * 10 / scale
    targets = torch.multinomial((scale * scores).softmax(-1), 1, generator=generator)[:, 0]
    assert prompting.fit_scale(scores, targets) == pytest.approx(scale, rel=0.15)


def test_the_fitted_scale_has_the_lowest_log_loss():
    generator = torch.Generator().manual_seed(0)
    scores, targets = torch.randn(50, 4, generator=generator), torch.randint(4, (50,), generator=generator)
    scores[torch.arange(50), targets] += 0.8
    scores /= 10  # as cosines, which lie close together
    best = prompting.fit_scale(scores, targets)
    losses = {
        scale: float(prompting.log_loss(scores, targets, scale).mean()) for scale in (best, best / 1.2, best * 1.2)
    }
    assert min(losses, key=losses.get) == best


def test_log_loss_is_in_nats_per_picture():
    loss = prompting.log_loss(torch.tensor([[1.0, 0.0], [0.0, 0.0]]), [0, 1], scale=2.0)
    assert loss.tolist() == pytest.approx([math.log(1 + math.exp(-2)), math.log(2)])


def test_the_bootstrap_interval_agrees_with_the_normal_one():
    values = np.random.default_rng(1).normal(3, 2, size=400)
    mean, low, high = prompting.bootstrap(values)
    half = 1.96 * values.std() / 20
    assert mean == pytest.approx(values.mean())
    assert low == pytest.approx(mean - half, abs=0.05) and high == pytest.approx(mean + half, abs=0.05)
    assert prompting.bootstrap(values) == (mean, low, high)


def test_too_few_pictures_have_no_interval():
    with pytest.raises(ValueError, match="at least 5 pictures, not 4"):
        prompting.bootstrap([1, 2, 3, 4])


@pytest.mark.parametrize(
    ("values", "verdict"),
    [([0.9, 1.0] * 20, HOLDS), ([0.1, 0.2] * 20, FAILS), ([0.0, 1.0] * 20, OPEN), ([0.505] * 20, HOLDS)],
)
def test_verdicts_against_a_limit(values, verdict):
    claim = prompting.above("name", "text", values, 0.5)
    assert claim.verdict == verdict
    assert re.fullmatch(r"-?\d\.\d\d \(-?\d\.\d\d to -?\d\.\d\d\)", claim.measured)


@pytest.mark.parametrize(
    ("more", "less", "verdict"),
    [
        ([1, 1, 1, 0, 1, 1] * 5, [0] * 30, HOLDS),
        ([0] * 30, [1, 1, 0] * 10, FAILS),
        ([0, 1] * 15, [1, 0] * 15, OPEN),
        ([1] * 30, [1] * 30, FAILS),
    ],
)
def test_verdicts_of_paired_differences(more, less, verdict):
    claim = prompting.contrast("name", "text", more, less)
    assert claim.verdict == verdict
    start = f"{np.mean(more):.2f} against {np.mean(less):.2f}: {np.mean(more) - np.mean(less):+.2f} ("
    assert claim.measured.startswith(start)
