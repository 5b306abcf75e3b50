"""The vocabulary, the encoding of words, and the kinds of batches."""

from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.translation.batches import (
    EOS,
    IGNORED,
    JITTER,
    KINDS,
    SOS,
    SYMBOLS,
    Batches,
    V,
    buckets,
    by_length,
    encode_pairs,
    indices,
    pad,
    text,
)
from a3lib.translation.pairs import load_pairs

properties = settings(deadline=None, max_examples=60, database=None, derandomize=True)
words = st.text(SYMBOLS, min_size=1, max_size=20)
pair_lists = st.lists(st.tuples(words, words), min_size=1, max_size=30)


@pytest.fixture(scope="module")
def pairs():
    """Every fourth of the small pairs: 800 of all lengths."""
    return load_pairs("small").pairs[::4]


@pytest.fixture(scope="module")
def encoded(pairs):
    return encode_pairs(pairs)


def rows(batch):
    """The source words of a batch, read back from its tensors."""
    return [text(row) for row in batch.source.tolist()]


def same(first, second):
    """Whether two batches hold equal tensors."""
    equal = [
        torch.equal(getattr(first, name), getattr(second, name))
        for name in ("source", "prefix", "target")
    ]
    masks = (first.source_mask, second.source_mask)
    equal.append(masks[0] is masks[1] or (None not in masks and torch.equal(*masks)))
    return all(equal) and first.tokens == second.tokens


# vocabulary and encoding


def test_vocabulary_of_the_assignment():
    assert V == 29
    assert list(SYMBOLS) == ["-", *(chr(ord("a") + i) for i in range(26))]
    assert sorted([*(indices(symbol)[0] for symbol in SYMBOLS), SOS, EOS]) == list(range(29))
    assert (SOS, EOS) == (27, 28)
    assert indices("-az") == [0, 1, 26, 28]


@properties
@given(words, st.lists(st.integers(0, 28)))
def test_words_come_back_from_their_indices(word, after):
    assert indices(word).index(EOS) == len(word)
    assert text(indices(word)) == word
    assert text(indices(word) + after) == word
    assert text(indices(word)[:-1]) == word


@pytest.mark.parametrize("word", ["Word", "it's", "two words", "café", "x2"])
def test_other_symbols_are_named(word):
    with pytest.raises(ValueError, match="not among"):
        indices(word)


@properties
@given(st.lists(st.lists(st.integers(1, 28), min_size=1, max_size=9), min_size=1, max_size=9))
def test_pad_keeps_every_sequence(sequences):
    values, lengths = pad(sequences, 0)
    assert values.shape == (len(sequences), max(map(len, sequences)))
    assert [row[:n] for row, n in zip(values.tolist(), lengths.tolist(), strict=True)] == sequences
    assert values.count_nonzero() == sum(map(len, sequences))


@properties
@given(pair_lists, st.randoms(use_true_random=False))
def test_batch_holds_the_chosen_pairs_shifted_by_one(some, random):
    encoded = encode_pairs(some)
    chosen = random.sample(range(len(some)), random.randint(1, len(some)))
    batch = encoded.batch(torch.tensor(chosen))
    S = max(len(some[i][0]) for i in chosen) + 1
    T = max(len(some[i][1]) for i in chosen) + 1
    assert batch.source.shape == (len(chosen), S)
    assert batch.prefix.shape == batch.target.shape == (len(chosen), T)
    assert batch.tokens == sum(len(some[i][1]) + 1 for i in chosen)
    assert (batch.source_mask is None) == (len({len(some[i][0]) for i in chosen}) == 1)
    assert bool(((batch.prefix >= 0) & (batch.prefix < V)).all())
    for row, i in enumerate(chosen):
        source, target = indices(some[i][0]), indices(some[i][1])
        assert batch.source[row].tolist() == source + [0] * (S - len(source))
        if batch.source_mask is not None:
            assert batch.source_mask[row].tolist() == [True] * len(source) + [False] * (
                S - len(source)
            )
        assert batch.target[row].tolist() == target + [IGNORED] * (T - len(target))
        assert batch.prefix[row, : len(target)].tolist() == [SOS, *target[:-1]]


# buckets


@properties
@given(pair_lists, st.integers(1, 5))
def test_buckets_are_the_groups_of_equal_lengths_cut_in_order(some, batch_size):
    groups = defaultdict(list)
    for position, (word, translation) in enumerate(some):
        groups[len(word), len(translation)].append(position)
    found = defaultdict(list)
    for chosen in buckets(encode_pairs(some), batch_size):
        lengths = {(len(some[i][0]), len(some[i][1])) for i in chosen.tolist()}
        assert len(lengths) == 1
        found[lengths.pop()].append(chosen.tolist())
    assert {lengths: [i for cut in cuts for i in cut] for lengths, cuts in found.items()} == groups
    for cuts in found.values():
        assert all(len(cut) == batch_size for cut in cuts[:-1])
        assert 1 <= len(cuts[-1]) <= batch_size


@pytest.mark.parametrize("kind", ["buckets", "shuffled"])
def test_buckets_are_never_padded(encoded, kind):
    for batch in Batches(encoded, kind, 64, seed=0).of_epoch(0):
        assert batch.source_mask is None
        assert not (batch.target == IGNORED).any()
        assert batch.tokens == batch.target.numel()


def test_buckets_come_in_the_same_order_in_every_epoch_and_for_every_seed(encoded):
    first = Batches(encoded, "buckets", 64, seed=0)
    other = Batches(encoded, "buckets", 64, seed=1)
    for number in (0, 1, 7):
        for batches in (first, other):
            assert all(map(same, batches.of_epoch(number), first.of_epoch(0)))


# all kinds


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_comes_exactly_once_per_epoch(pairs, encoded, kind):
    batches = Batches(encoded, kind, 32, seed=0)
    for number in (0, 1, 5):
        of_epoch = batches.of_epoch(number)
        assert len(of_epoch) == batches.batches_per_epoch
        assert all(1 <= len(batch.source) <= 32 for batch in of_epoch)
        assert sorted(word for batch in of_epoch for word in rows(batch)) == sorted(
            word for word, _ in pairs
        )
        assert sum(batch.tokens for batch in of_epoch) == sum(
            len(translation) + 1 for _, translation in pairs
        )


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "buckets"])
def test_seed_and_epoch_decide_the_order(encoded, kind):
    def order(seed, number):
        return [rows(batch) for batch in Batches(encoded, kind, 32, seed).of_epoch(number)]

    assert order(0, 3) == order(0, 3)
    orders = [order(seed, number) for seed in (0, 1) for number in (0, 1, 2)]
    assert all(a != b for i, a in enumerate(orders) for b in orders[:i])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "buckets"])
def test_order_does_not_touch_the_global_generator(encoded, kind):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    Batches(encoded, kind, 32, seed=0).of_epoch(1)
    assert torch.equal(torch.rand(1), expected)


def test_shuffled_buckets_are_the_buckets(encoded):
    plain = {
        frozenset(rows(batch)) for batch in Batches(encoded, "buckets", 32, seed=0).of_epoch(0)
    }
    shuffled = {
        frozenset(rows(batch)) for batch in Batches(encoded, "shuffled", 32, seed=0).of_epoch(2)
    }
    assert shuffled == plain


def test_batches_by_source_length_pad_targets_only(encoded):
    batches = Batches(encoded, "by-source-length", 32, seed=0).of_epoch(0)
    assert all(batch.source_mask is None for batch in batches)
    assert any((batch.target == IGNORED).any() for batch in batches)
    for length in range(2, 20):  # each length fills its batches but for one
        sizes = sorted(len(batch.source) for batch in batches if batch.source.shape[1] == length)
        assert sizes[1:] == [32] * len(sizes[1:])


@pytest.mark.parametrize("kind", ["by-source-length", "padded"])
def test_members_of_batches_are_drawn_anew_in_every_epoch(encoded, kind):
    batches = Batches(encoded, kind, 32, seed=0)
    first, second = (
        {frozenset(rows(batch)) for batch in batches.of_epoch(number)} for number in (0, 1)
    )
    assert len(first & second) < len(first) / 4


def test_padded_batches_hold_words_of_similar_length(pairs, encoded):
    """Sorting with jitter leaves any two batches in order up to the jitter, and little padding."""
    translation = dict(pairs)
    batches = Batches(encoded, "padded", 32, seed=0).of_epoch(0)
    lengths = [[len(word) + len(translation[word]) for word in rows(batch)] for batch in batches]
    for i, first in enumerate(lengths):
        for second in lengths[:i]:
            assert max(first) - min(second) <= JITTER or max(second) - min(first) <= JITTER
    padding = sum(int((batch.target == IGNORED).sum()) for batch in batches)
    in_given_order = [encoded.batch(chosen) for chosen in torch.arange(len(encoded)).split(32)]
    assert 3 * padding < sum(int((batch.target == IGNORED).sum()) for batch in in_given_order)


@pytest.mark.parametrize("kind", ["by-source-length", "padded"])
def test_short_and_long_batches_take_turns(encoded, kind):
    for number in range(3):
        symbols = [
            batch.tokens / len(batch.source)
            for batch in Batches(encoded, kind, 32, seed=0).of_epoch(number)
        ]
        assert abs(np.corrcoef(symbols, range(len(symbols)))[0, 1]) < 0.6


def test_padded_batches_are_full_but_for_one(encoded):
    sizes = sorted(
        len(batch.source) for batch in Batches(encoded, "padded", 64, seed=0).of_epoch(0)
    )
    assert sizes == [800 % 64] + [64] * (800 // 64)


@pytest.mark.parametrize("kind", KINDS)
def test_updates_run_across_the_borders_of_epochs(encoded, kind):
    batches = Batches(encoded, kind, 64, seed=4)
    n = batches.batches_per_epoch
    whole = [
        batch
        for number in range(3)
        for batch in Batches(encoded, kind, 64, seed=4).of_epoch(number)
    ]
    for first, count in ((0, 3 * n), (n - 2, 4), (n, n), (2 * n - 1, 2), (5, 0), (0, 1)):
        found = list(batches.updates(first, count))
        assert len(found) == count
        assert all(map(same, found, whole[first : first + count]))


def test_another_kind_is_refused(encoded):
    with pytest.raises(
        ValueError, match="buckets, shuffled, by-source-length, padded, not 'sorted'"
    ):
        Batches(encoded, "sorted", 32, seed=0)


# data sets


def test_lengths_count_the_end_symbol(pairs, encoded):
    assert encoded.source_length.tolist() == [len(word) + 1 for word, _ in pairs]
    assert encoded.target_length.tolist() == [len(translation) + 1 for _, translation in pairs]
    assert encoded.words == tuple(word for word, _ in pairs)
    assert encoded.translations == tuple(translation for _, translation in pairs)


@pytest.mark.parametrize("number", [1, 7, 800, 9999])
def test_the_first_pairs_alone(pairs, encoded, number):
    some = encoded.first(number)
    assert len(some) == min(number, 800)
    expected = encode_pairs(pairs[:number])
    everything = torch.arange(len(some))
    assert same(some.batch(everything), expected.batch(everything))
    assert some.words == expected.words


def test_groups_together_give_the_batches_of_each_alone(encoded):
    groups = [torch.tensor([3, 1, 700]), torch.tensor([5]), torch.tensor([1, 2])]
    for group, batch in zip(groups, encoded.batches(groups), strict=True):
        assert same(batch, encoded.batch(group))


def test_pairs_move_to_a_device_but_for_their_lengths(encoded):
    moved = encoded.to("meta")
    assert moved.source.is_meta and moved.target.is_meta
    assert moved.source_length is encoded.source_length
    assert moved.target_length is encoded.target_length
    assert (moved.words, moved.translations) == (encoded.words, encoded.translations)


def test_groups_by_length_without_a_generator_keep_the_given_order(encoded):
    places = torch.cat(by_length(encoded, 50))
    assert sorted(places.tolist()) == list(range(800))
    keys = list(zip(encoded.source_length[places].tolist(), places.tolist(), strict=True))
    assert keys == sorted(keys)
