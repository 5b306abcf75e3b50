"""Batched greedy decoding against one word at a time, its end, its bound and its probabilities."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_translators import MODELS, properties

from a3lib.translation import greedy_decoding
from a3lib.translation.batches import EOS, SOS, SYMBOLS, V, indices, text
from a3lib.translation.greedy_decoding import greedy, translate_words
from a3lib.translation.models import ModelSettings, build
from a3lib.translation.pig_latin import longest_translation
from a3lib.translation.translator import Memory

words = st.text(SYMBOLS, min_size=1, max_size=25)
LONG = "antidisestablishmentarianism-counterrevolutionaries"
MIXED = ["a", LONG, "try", "-", "air-conditioning", "by", "try", "working", "--", "i"]
ENDLESS = -1e3  # for `end`: EOS is never the best symbol
GRU = ModelSettings(hidden_size=8)
CLOSE = 1e-4  # of probabilities in single precision


def random_model(seed, end=0.0, start=0.0, chosen=GRU):
    """An untrained translator with lively weights; `end` and `start` are added to two logits."""
    model = build(chosen, seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
        model.decoder.out.bias[EOS] += end
        model.decoder.out.bias[SOS] += start
    return model


# one word at a time


def decode_alone(model, word, bound):
    """Greedy decoding of one word in numpy -> its text and the probabilities of its symbols."""
    weights = {name: value.double().numpy() for name, value in model.state_dict().items()}

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
        allowed = [i for i in range(V) if i != SOS and (probabilities or i != EOS)]
        symbol = max(allowed, key=lambda i: chances[i])
        probabilities.append(chances[symbol])
        if symbol == EOS:
            break
        letters += SYMBOLS[symbol]
    return letters, probabilities


def assert_equals_alone(model, some):
    for word, found in zip(some, translate_words(model, some), strict=True):
        letters, probabilities = decode_alone(model, word, longest_translation(word) + 1)
        assert found.text == letters
        assert found.probabilities == pytest.approx(probabilities, rel=CLOSE)


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


@torch.no_grad()
def replayed(model, word, symbols):
    """Probabilities of an output when its own symbols are the given prefix, as in training."""
    prefix = torch.tensor([[SOS, *symbols[:-1]]])
    chances = model(torch.tensor([indices(word)]), prefix)[0].softmax(1)  # (T, V)
    return chances[range(len(symbols)), symbols].tolist()


@pytest.mark.parametrize("name", MODELS)
def test_what_is_decoded_is_what_teacher_forcing_says(name):
    model = random_model(0, end=2.0, chosen=MODELS[name]).eval()
    for word, found in zip(MIXED, translate_words(model, MIXED), strict=True):
        symbols = [*indices(found.text)[:-1], EOS][: len(found.probabilities)]
        assert found.probabilities == pytest.approx(replayed(model, word, symbols), rel=CLOSE)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_every_precision_decodes(dtype):
    model = random_model(1, end=2.0)
    letters = [decoded.text for decoded in translate_words(model, MIXED)]
    for word, found in zip(letters, translate_words(model.to(dtype), MIXED), strict=True):
        assert all(0 < chance <= 1 for chance in found.probabilities)
        assert dtype != torch.float64 or found.text == word


# order and chunks


def test_output_has_the_order_of_the_input():
    model = random_model(0, end=2.0)
    own = {word: translate_words(model, [word])[0].text for word in MIXED}
    assert len(set(own.values())) > 4
    for some in (MIXED, MIXED[::-1], sorted(MIXED)):
        found = [decoded.text for decoded in translate_words(model, some)]
        assert found == [own[word] for word in some]


def test_chunks_do_not_change_the_result(monkeypatch):
    model, generator = random_model(1, end=2.0), np.random.default_rng(0)
    lengths = generator.integers(1, 12, 600)
    some = ["".join(generator.choice(list(SYMBOLS), length)) for length in lengths]
    whole = translate_words(model, some)
    assert len(whole) == 600 > greedy_decoding.CHUNK
    monkeypatch.setattr(greedy_decoding, "CHUNK", 97)
    for a, b in zip(whole, translate_words(model, some), strict=True):
        assert a.text == b.text
        assert a.probabilities == pytest.approx(b.probabilities, rel=CLOSE)


def test_no_words_give_no_output():
    assert translate_words(random_model(0), []) == []


@pytest.mark.parametrize(
    ("some", "message"), [(["a", ""], "empty word"), (["it's"], "not among"), (["A"], "not among")]
)
def test_words_that_cannot_be_translated(some, message):
    with pytest.raises(ValueError, match=message):
        translate_words(random_model(0), some)


# the bound


@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_never_ends_stops_at_the_bound_of_each_word(seed):
    decoded = translate_words(random_model(seed, ENDLESS), MIXED)
    for word, found in zip(MIXED, decoded, strict=True):
        assert len(found.probabilities) == len(found.text) == longest_translation(word) + 1


@properties
@given(st.lists(words, min_size=1, max_size=5), st.integers(0, 10), st.floats(-1e3, 5))
def test_an_untrained_model_never_exceeds_the_bound(some, seed, end):
    for word, found in zip(some, translate_words(random_model(seed, end), some), strict=True):
        assert 1 <= len(found.probabilities) <= longest_translation(word) + 1


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


# end, symbols, probabilities


class Script:
    """A model that says what it is told: one line of symbols per word, each equally certain."""

    def __init__(self, lines, logit=3.0):
        self.lines, self.logit, self.steps = lines, logit, []

    @property
    def memory(self):
        return Memory(*[torch.arange(len(self.lines))[:, None]] * 4)

    def decoder(self, prefix, memory):
        assert (prefix[:, 0] == SOS).all()
        step, rows = prefix.shape[1], memory.source[:, 0].tolist()
        self.steps.append(rows)
        logits = torch.zeros(len(rows), step, V)
        for row, word in enumerate(rows):
            line = self.lines[word]
            logits[row, -1, line[min(step, len(line)) - 1]] = self.logit
        return logits


def read(model, bounds, **options):
    """Texts and probabilities of all words of a `Script`."""
    rows = greedy(model, model.memory, torch.tensor(bounds), **options)
    rows = zip(*(row.tolist() for row in rows), strict=True)
    return [(text(symbols[:n]), chances[:n]) for symbols, chances, n in rows]


def test_nothing_follows_the_end_of_a_word_and_ended_words_are_left_out():
    lines = [[*indices("ab"), *indices("zzz")], [*indices("abcdef")], [EOS, 1, 1], indices("c") * 4]
    model = Script(lines)
    decoded = read(model, [10, 10, 10, 10], may_be_empty=True)
    assert [letters for letters, _ in decoded] == ["ab", "abcdef", "", "c"]
    chance = math.exp(3) / (math.exp(3) + V - 1)
    for (_, chances), symbols in zip(decoded, (3, 7, 1, 2), strict=True):
        assert chances == pytest.approx([chance] * symbols)
    words_at = [[0, 1, 2, 3], [0, 1, 3], [0, 1], *[[1]] * 4]
    assert model.steps == words_at


def test_words_are_cut_at_their_own_bounds():
    model = Script([[5], [6], [*indices("xy")]])
    decoded = read(model, [3, 1, 8])
    assert [letters for letters, _ in decoded] == ["eee", "f", "xy"]
    assert [len(chances) for _, chances in decoded] == [3, 1, 3]
    assert len(model.steps) == 3  # a word at its bound does not keep the others waiting


def test_no_output_is_empty_unless_that_is_allowed():
    model = Script([[EOS, *indices("ab")]])
    assert read(model, [5], may_be_empty=True)[0][0] == ""
    ((letters, chances),) = read(model, [5])
    assert len(letters) == 3 and letters[1:] == "ab"  # the end may come in the second place
    assert chances[0] == pytest.approx(1 / (math.exp(3) + V - 1))  # and gives its chance to nobody
    model = random_model(0, end=1e3)
    assert all(len(decoded.text) == 1 for decoded in translate_words(model, MIXED))
    empty = translate_words(model, MIXED, may_be_empty=True)
    assert [(decoded.text, len(decoded.probabilities)) for decoded in empty] == [("", 1)] * 10


def test_start_symbol_is_never_part_of_a_word():
    model = random_model(0, start=20.0)
    for decoded in translate_words(model, MIXED):
        assert set(decoded.text) <= set(SYMBOLS)
        assert 0 < decoded.probabilities[0] < 1e-3  # what it has is not given to the others
    assert read(Script([[SOS]]), [2])[0][0] != ""


@pytest.mark.parametrize("end", [0.0, 3.0])
def test_probabilities_multiply_to_the_confidence(end):
    for decoded in translate_words(random_model(2, end), MIXED):
        assert all(0 < chance <= 1 for chance in decoded.probabilities)
        assert len(decoded.probabilities) - len(decoded.text) in (0, 1)
        logs = np.log(decoded.probabilities)
        assert decoded.confidence == pytest.approx(np.exp(logs.sum()))


def test_decoding_builds_no_graph_and_runs_in_eval_mode():
    model, seen = random_model(0).train(), []
    model.decoder.out.register_forward_hook(
        lambda module, _, logits: seen.append((module.training, logits.requires_grad))
    )
    translate_words(model, ["try"])
    assert set(seen) == {(False, False)}


@pytest.mark.parametrize("name", MODELS)
def test_decoding_changes_nothing_in_the_model(name):
    model = build(MODELS[name], 0)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = torch.get_rng_state()
    translate_words(model, MIXED)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
