"""The tables of exactly right words against direct counts."""

from collections import defaultdict

import pytest
import torch
from handout_classes import HandoutAdditive
from tiny_translators import MODELS

from a3lib.translation import metrics
from a3lib.translation.batches import EOS, encode_pairs
from a3lib.translation.greedy_decoding import Decoded, translate_words
from a3lib.translation.metrics import predictions, word_accuracy
from a3lib.translation.models import ModelSettings, build
from a3lib.translation.pairs import load_pairs
from a3lib.translation.pig_latin import to_pig_latin


@pytest.fixture(scope="module")
def pairs():
    return load_pairs("small").pairs[::16]


@pytest.fixture
def frame(monkeypatch, pairs):
    """Predictions of a translator that is right but on words with an e, so with known counts."""

    def fake(model, words, targets, may_be_empty):
        assert targets == tuple(translation for _, translation in pairs)
        assert not may_be_empty
        return [Decoded("x" if "e" in word else to_pig_latin(word), (0.5, 0.25)) for word in words]

    monkeypatch.setattr(metrics, "translate_words", fake)
    return predictions(None, encode_pairs(pairs))


def leading_consonants(word):
    cluster = ""
    for letter in word:
        if letter in "aeiouy-" and not (letter == "u" and cluster.endswith("q")):
            break
        cluster += letter
        if cluster.endswith("qu"):
            break
    return cluster


def test_predictions_has_one_row_per_word_in_order(frame, pairs):
    assert list(zip(frame["word"], frame["target"], strict=True)) == list(pairs)
    for row in frame.itertuples():
        assert row.output == ("x" if "e" in row.word else row.target)
        assert row.correct == ("e" not in row.word)
        assert row.letters == sum(letter != "-" for letter in row.word)
        assert row.hyphen == ("-" in row.word)
        assert row.cluster == leading_consonants(row.word)
        assert row.onset == len(row.cluster)
        assert row.confidence == 0.125


def test_word_accuracy_is_the_share_of_right_words(frame, pairs):
    right = sum("e" not in word for word, _ in pairs)
    assert 0 < right < len(pairs)
    assert word_accuracy(frame) == pytest.approx(right / len(pairs))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("letters", lambda word: len(word.replace("-", ""))),
        ("onset", lambda word: len(leading_consonants(word))),
        ("cluster", leading_consonants),
        ("hyphen", lambda word: "-" in word),
    ],
)
def test_accuracy_by_group_equals_a_direct_count(frame, pairs, column, value):
    counts = defaultdict(lambda: [0, 0])
    for word, _ in pairs:
        counts[value(word)][0] += "e" not in word
        counts[value(word)][1] += 1
    table = word_accuracy(frame, by=column)
    groups = sorted(counts)
    assert table.index.tolist() == groups
    assert table["words"].tolist() == [counts[key][1] for key in groups]
    shares = [counts[key][0] / counts[key][1] for key in groups]
    assert table["accuracy"].tolist() == pytest.approx(shares)
    assert table["words"].sum() == len(pairs)


def test_contradictory_pairs_are_counted_as_two(monkeypatch):
    monkeypatch.setattr(metrics, "translate_words", lambda *_: [Decoded("itequay", (1.0,))] * 2)
    frame = predictions(None, encode_pairs([("quite", "itequay"), ("quite", "uiteqay")]))
    assert word_accuracy(frame) == 0.5


@pytest.mark.parametrize("name", [*MODELS, "hand-out"])
def test_predictions_of_a_real_model_are_its_translations(name, pairs):
    if name == "hand-out":
        model = build(ModelSettings("rnn-attention", 6), 0, attention=HandoutAdditive)
    else:
        model = build(MODELS[name], seed=0)
    words, targets = zip(*pairs[:20], strict=True)
    frame = predictions(model, encode_pairs(pairs[:20]))
    translations = translate_words(model, words, targets)
    assert frame["output"].tolist() == [decoded.text for decoded in translations]
    confidences = [decoded.confidence for decoded in translations]
    assert frame["confidence"].tolist() == pytest.approx(confidences)
    assert bool(((frame["confidence"] > 0) & (frame["confidence"] <= 1)).all())


def test_an_output_is_empty_only_where_that_is_allowed(pairs):
    model = build(MODELS["gru"], seed=0)
    with torch.no_grad():
        model.decoder.out.bias[EOS] += 1e3
    encoded = encode_pairs(pairs[:5])
    assert (predictions(model, encoded)["output"].str.len() == 1).all()
    assert (predictions(model, encoded, may_be_empty=True)["output"] == "").all()
