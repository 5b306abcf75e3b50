"""Batched greedy decoding against one word at a time, its end, its bound and its probabilities."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib import decoding
from a3lib.batches import EOS, SOS, SYMBOLS, V, indices
from a3lib.decoding import greedy, translate_words
from a3lib.models import ModelSettings, build
from a3lib.pig_latin import longest_translation
from a3lib.translator import Memory

properties = settings(deadline=None, max_examples=30, database=None, derandomize=True)
words = st.text(SYMBOLS, min_size=1, max_size=25)
LONG = "antidisestablishmentarianism-counterrevolutionaries"
MIXED = ["a", LONG, "try", "-", "air-conditioning", "by", "try", "working", "--", "i"]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def random_model(seed, end=0.0, start=0.0):
    """An untrained float64 translator with lively weights; `end` and `start` are added to EOS's and SOS's logits."""
    model = build(ModelSettings(hidden_size=8), seed).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
        model.decoder.out.bias[EOS] += end
        model.decoder.out.bias[SOS] += start
    return model


ENDLESS = -1e3  # for `end`: EOS is never the best symbol


# --- one word at a time -----------------------------------------------------------------------------------------------


def decode_alone(model, word, bound):
    """Greedy decoding of one word in numpy -> its text and the probabilities of its symbols."""
    weights = {name: value.numpy() for name, value in model.state_dict().items()}

    def linear(name, vector):
        return weights[f"{name}.weight"] @ vector + weights[f"{name}.bias"]

    def cell(name, x, h):
        z = 1 / (1 + np.exp(-linear(f"{name}.Wiz", x) - linear(f"{name}.Whz", h)))
        r = 1 / (1 + np.exp(-linear(f"{name}.Wir", x) - linear(f"{name}.Whr", h)))
        g = np.tanh(linear(f"{name}.Wih", x) + linear(f"{name}.Whh", r * h))
        return (1 - z) * h + z * g

    h = np.zeros(8)
    for symbol in indices(word):
        h = cell("encoder.gru", weights["encoder.embedding.weight"][symbol], h)
    letters, probabilities, symbol = "", [], SOS
    while len(probabilities) < bound:
        h = cell("decoder.rnn", weights["decoder.embedding.weight"][symbol], h)
        logits = linear("decoder.out", h)
        chances = np.exp(logits - logits.max())
        chances /= chances.sum()
        symbol = max((i for i in range(V) if i != SOS), key=lambda i: chances[i])
        probabilities.append(chances[symbol])
        if symbol == EOS:
            break
        letters += SYMBOLS[symbol]
    return letters, probabilities


def assert_equals_alone(model, some):
    for word, found in zip(some, translate_words(model, some), strict=True):
        letters, probabilities = decode_alone(model, word, longest_translation(word) + 1)
        assert found.text == letters
        assert found.probabilities == pytest.approx(probabilities, abs=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_batch_equals_one_at_a_time_on_words_of_mixed_lengths(seed):
    assert_equals_alone(random_model(seed, end=3.0), MIXED)


@properties
@given(st.lists(words, min_size=1, max_size=8), st.integers(0, 10), st.floats(-2, 4))
def test_batch_equals_one_at_a_time(some, seed, end):
    assert_equals_alone(random_model(seed, end), some)


def test_the_mixed_words_end_both_ways():
    """Else the comparison above would test less than it says."""
    decoded = [d for seed in range(4) for d in translate_words(random_model(seed, end=3.0), MIXED)]
    ended = [len(d.text) < len(d.probabilities) for d in decoded]
    assert any(ended)
    assert not all(ended)


# --- order and chunks -------------------------------------------------------------------------------------------------


def test_output_has_the_order_of_the_input():
    model = random_model(0, end=2.0)
    own = {word: translate_words(model, [word])[0].text for word in MIXED}
    assert len(set(own.values())) > 4
    for some in (MIXED, MIXED[::-1], sorted(MIXED)):
        assert [decoded.text for decoded in translate_words(model, some)] == [own[word] for word in some]


def test_chunks_do_not_change_the_result(monkeypatch):
    model = random_model(1, end=2.0)
    generator = np.random.default_rng(0)
    some = ["".join(generator.choice(list(SYMBOLS), generator.integers(1, 12))) for _ in range(1100)]
    whole = translate_words(model, some)
    assert len(whole) == 1100 > decoding.CHUNK
    monkeypatch.setattr(decoding, "CHUNK", 97)
    for a, b in zip(whole, translate_words(model, some), strict=True):
        assert a.text == b.text
        assert a.probabilities == pytest.approx(b.probabilities, abs=1e-10)


def test_no_words_give_no_output():
    assert translate_words(random_model(0), []) == []


@pytest.mark.parametrize(
    ("some", "message"), [(["a", ""], "empty word"), (["it's"], "not among"), (["A"], "not among")]
)
def test_words_that_cannot_be_translated(some, message):
    with pytest.raises(ValueError, match=message):
        translate_words(random_model(0), some)


# --- the bound --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_never_ends_stops_at_the_bound_of_each_word(seed):
    for word, decoded in zip(MIXED, translate_words(random_model(seed, ENDLESS), MIXED), strict=True):
        assert len(decoded.probabilities) == len(decoded.text) == longest_translation(word) + 1


@properties
@given(st.lists(words, min_size=1, max_size=5), st.integers(0, 10), st.floats(-1e3, 5))
def test_an_untrained_model_never_exceeds_the_bound(some, seed, end):
    for word, decoded in zip(some, translate_words(random_model(seed, end), some), strict=True):
        assert 1 <= len(decoded.probabilities) <= longest_translation(word) + 1


def test_long_words_get_more_than_twenty_symbols():
    (decoded,) = translate_words(random_model(0, ENDLESS), [LONG])
    assert len(decoded.text) > len(LONG) > 20


def test_bound_of_a_word_is_not_moved_by_the_others():
    model = random_model(0, ENDLESS)
    alone = translate_words(model, ["try"])[0].text
    assert translate_words(model, [LONG, "try", LONG])[1].text == alone


def test_longer_targets_raise_the_bound_and_shorter_ones_do_not_lower_it():
    model = random_model(0, ENDLESS)
    decoded = translate_words(model, ["ab", "ab", "ab"], targets=["x" * 20, "x", "x" * 6])
    assert [len(d.probabilities) for d in decoded] == [21, 6, 7]


# --- end, symbols, probabilities --------------------------------------------------------------------------------------


class Script:
    """A model whose decoder says what it is told: one line of symbols a word, each with its own certainty."""

    def __init__(self, lines, logit=3.0):
        self.decoder, self.lines, self.logit, self.steps = self, lines, logit, 0

    def start(self, memory):
        return 0

    def step(self, symbol, state, memory):
        self.steps += 1
        logits = torch.zeros(len(self.lines), V)
        for row, line in enumerate(self.lines):
            logits[row, line[min(state, len(line) - 1)]] = self.logit
        return logits, state + 1


def test_nothing_follows_the_end_of_a_word():
    lines = [[*indices("ab"), *indices("zzz")], [*indices("abcdef")], [EOS, 1, 1], indices("c") * 4]
    model = Script(lines)
    decoded = greedy(model, Memory(None, None, None), torch.tensor([10, 10, 10, 10]))
    assert [d.text for d in decoded] == ["ab", "abcdef", "", "c"]
    chance = math.exp(3) / (math.exp(3) + V - 1)
    for d, symbols in zip(decoded, (3, 7, 1, 2), strict=True):
        assert d.probabilities == pytest.approx([chance] * symbols)
        assert d.confidence == pytest.approx(chance**symbols)
    assert model.steps == 7  # no step after the last word has ended


def test_words_are_cut_at_their_own_bounds():
    model = Script([[5], [6], [*indices("xy")]])
    decoded = greedy(model, Memory(None, None, None), torch.tensor([3, 1, 8]))
    assert [d.text for d in decoded] == ["eee", "f", "xy"]
    assert [len(d.probabilities) for d in decoded] == [3, 1, 3]
    assert model.steps == 3  # a word at its bound does not keep the others waiting


def test_start_symbol_is_never_part_of_a_word():
    model = random_model(0, start=20.0)
    for decoded in translate_words(model, MIXED):
        assert set(decoded.text) <= set(SYMBOLS)
        assert 0 < decoded.probabilities[0] < 1e-3  # what the start symbol has is not given to the others
    assert [d.text for d in greedy(Script([[SOS]]), Memory(None, None, None), torch.tensor([2]))] != [""]


@pytest.mark.parametrize("end", [0.0, 3.0])
def test_probabilities_multiply_to_the_confidence(end):
    for decoded in translate_words(random_model(2, end), MIXED):
        assert all(0 < chance <= 1 for chance in decoded.probabilities)
        assert len(decoded.probabilities) - len(decoded.text) in (0, 1)
        assert decoded.confidence == pytest.approx(np.exp(np.log(decoded.probabilities).sum()))


def test_decoding_builds_no_graph_and_runs_in_eval_mode():
    model = random_model(0).train()
    seen = []
    model.decoder.out.register_forward_hook(
        lambda module, _, logits: seen.append((module.training, logits.requires_grad))
    )
    translate_words(model, ["try"])
    assert set(seen) == {(False, False)}
