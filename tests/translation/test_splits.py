"""The split by word: sizes, disjoint sides, the seed, one validation set for several lists."""

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.translation.pairs import Pairs, load_pairs
from a3lib.translation.splits import split

properties = settings(deadline=None, max_examples=100, database=None, derandomize=True)


@pytest.mark.parametrize(
    ("name", "train", "validation"), [("small", 2558, 640), ("large", 17921, 4481)]
)
def test_sizes_of_the_split(name, train, validation):
    pairs = load_pairs(name)
    sides = split(pairs, seed=0)
    assert (len(sides.train), len(sides.validation)) == (train, validation)
    assert sorted([*sides.train, *sides.validation]) == sorted(pairs)


@properties
@given(
    st.lists(
        st.tuples(st.text("abc", min_size=1, max_size=2), st.text("ab", min_size=1, max_size=2)),
        unique=True,
    ),
    st.integers(0, 2**40),
)
def test_no_word_on_both_sides_even_with_contradictory_pairs(some, seed):
    pairs = Pairs("some", tuple(some))
    if len(pairs.words) < 2:
        with pytest.raises(ValueError, match="both sides need at least one"):
            split(pairs, seed)
        return
    sides = split(pairs, seed)
    assert not set(sides.train.words) & set(sides.validation.words)
    assert sorted([*sides.train, *sides.validation]) == sorted(some)
    assert len(sides.train.words) == int(0.8 * len(pairs.words))


def test_seed_decides_the_split():
    pairs = load_pairs("small")
    first, again, other = (split(pairs, seed) for seed in (1, 1, 2))
    assert first == again
    assert set(first.validation) != set(other.validation)
    assert first.train.pairs != tuple(sorted(first.train.pairs))


def test_split_does_not_depend_on_the_order_of_the_pairs():
    pairs = load_pairs("small")
    turned = split(Pairs("turned", pairs.pairs[::-1]), seed=3)
    assert turned.train.pairs == split(pairs, seed=3).train.pairs


def test_split_is_the_same_under_every_hash_seed():
    code = (
        "from a3lib.translation.pairs import load_pairs; "
        "from a3lib.translation.splits import split; sides = split(load_pairs('small'), 5); "
        "print(sides.train.sha256, sides.validation.sha256)"
    )
    sides = split(load_pairs("small"), 5)
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        run = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.split() == [sides.train.sha256, sides.validation.sha256]


def test_held_out_words_make_one_common_validation_set():
    small, large = load_pairs("small"), load_pairs("large")
    held_out = split(small, seed=0).validation.words
    sides = [split(pairs, seed=0, held_out=held_out) for pairs in (small, large)]
    assert set(sides[0].validation) == set(sides[1].validation)
    for pairs, side in zip((small, large), sides, strict=True):
        assert side.validation.words == held_out
        assert not set(held_out) & set(side.train.words)
        assert len(side.train) == len(pairs) - 640


@pytest.mark.parametrize("held_out", [[], ["zebra"], ["to", "be"]])
def test_empty_side_is_an_error(held_out):
    pairs = Pairs("two", (("to", "otay"), ("be", "ebay")))
    with pytest.raises(ValueError, match=r"two splits into .* use more words"):
        split(pairs, seed=0, held_out=held_out)
