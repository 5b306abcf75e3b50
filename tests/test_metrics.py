"""Losses against a loop over single words, and the tables of exactly right words against direct counts."""

import math
from collections import defaultdict

import pytest
import torch

from a3lib import metrics
from a3lib.batches import SOS, encode_pairs, indices
from a3lib.decoding import Decoded
from a3lib.metrics import losses, predictions, word_accuracy, word_losses
from a3lib.models import ModelSettings, build
from a3lib.pig_latin import load_pairs, to_pig_latin


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model():
    """Untrained, with weights large enough that the losses of words differ."""
    model = build(ModelSettings(hidden_size=8), seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    return model


@pytest.fixture(scope="module")
def pairs():
    return load_pairs("small").pairs[::16]


@torch.no_grad()
def loss_alone(model, word, translation):
    """Summed loss of one word: no padding, no batch, probabilities picked symbol by symbol."""
    target = indices(translation)
    logits = model(torch.tensor([indices(word)]), torch.tensor([[SOS, *target[:-1]]]))[0].double()
    chances = [row.exp() / row.exp().sum() for row in logits]
    return -math.fsum(math.log(chance[symbol]) for chance, symbol in zip(chances, target, strict=True))


# --- losses -----------------------------------------------------------------------------------------------------------


def test_word_losses_are_those_of_the_words_alone(model, pairs):
    expected = [loss_alone(model, *pair) for pair in pairs]
    assert word_losses(model, encode_pairs(pairs)).tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_both_losses_equal_a_loop_over_the_buckets(model, pairs, batch_size):
    groups = defaultdict(list)
    for word, translation in pairs:
        groups[len(word), len(translation)].append((loss_alone(model, word, translation), len(translation) + 1))
    cuts = [group[i : i + batch_size] for group in groups.values() for i in range(0, len(group), batch_size)]
    means = [sum(loss for loss, _ in cut) / sum(tokens for _, tokens in cut) for cut in cuts]
    everything = [entry for group in groups.values() for entry in group]
    per_token = sum(loss for loss, _ in everything) / sum(tokens for _, tokens in everything)
    found = losses(model, encode_pairs(pairs), batch_size)
    assert found.per_token == pytest.approx(per_token, rel=1e-5)
    assert found.bucket_mean == pytest.approx(sum(means) / len(means), rel=1e-5)


def test_a_rare_length_weighs_as_much_as_a_full_bucket_in_the_bucket_mean_only(model):
    """What the hand-out's metric does, on 64 equal words and one long one."""
    common, rare = ("try", "ytray"), ("incomprehensibilities", "incomprehensibilitiesway")
    found = losses(model, encode_pairs([common] * 64 + [rare]), 64)
    a, b = loss_alone(model, *common), loss_alone(model, *rare)
    assert found.bucket_mean == pytest.approx((a / 6 + b / 25) / 2, rel=1e-5)
    assert found.per_token == pytest.approx((64 * a + b) / (64 * 6 + 25), rel=1e-5)
    assert abs(found.bucket_mean - found.per_token) > 1e-3


def test_longer_words_in_the_data_do_not_change_the_loss_of_a_word(model, pairs):
    alone = word_losses(model, encode_pairs(pairs))
    longer = encode_pairs([*pairs, ("a" * 40, "b" * 50), ("z", "y" * 60)])
    assert word_losses(model, longer)[: len(pairs)].tolist() == pytest.approx(alone.tolist(), rel=1e-5)


def test_chunks_and_order_do_not_change_the_losses(model, pairs, monkeypatch):
    whole = word_losses(model, encode_pairs(pairs)).tolist()
    assert word_losses(model, encode_pairs(pairs[::-1])).tolist() == pytest.approx(whole[::-1], rel=1e-5)
    monkeypatch.setattr(metrics, "CHUNK", 7)
    assert word_losses(model, encode_pairs(pairs)).tolist() == pytest.approx(whole, rel=1e-5)


def test_loss_of_a_model_that_knows_nothing_is_that_of_equal_chances(model, pairs):
    """ln 29 a symbol, in both losses."""
    blank = build(ModelSettings(hidden_size=4), seed=0)
    with torch.no_grad():
        blank.decoder.out.weight.zero_()
        blank.decoder.out.bias.zero_()
    assert losses(blank, encode_pairs(pairs), 64) == pytest.approx((math.log(29), math.log(29)))


def test_losses_build_no_graph_and_are_measured_in_eval_mode(pairs):
    model, seen = build(ModelSettings(hidden_size=4), seed=0).train(), []
    model.decoder.out.register_forward_hook(
        lambda module, _, logits: seen.append((module.training, logits.requires_grad))
    )
    losses(model, encode_pairs(pairs), 64)
    assert set(seen) == {(False, False)}


# --- exact words ------------------------------------------------------------------------------------------------------


@pytest.fixture
def frame(monkeypatch, pairs):
    """Predictions of a translator that is right but on words with an e, by rule and so with known counts."""

    def fake(model, words, targets):
        assert targets == tuple(translation for _, translation in pairs)
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


def test_predictions_has_one_row_a_word_in_order(frame, pairs):
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
    assert table.index.tolist() == sorted(counts)
    assert table["words"].tolist() == [counts[key][1] for key in sorted(counts)]
    assert table["accuracy"].tolist() == pytest.approx([counts[key][0] / counts[key][1] for key in sorted(counts)])
    assert table["words"].sum() == len(pairs)


def test_contradictory_pairs_are_counted_as_two(monkeypatch):
    monkeypatch.setattr(metrics, "translate_words", lambda model, words, targets: [Decoded("itequay", (1.0,))] * 2)
    frame = predictions(None, encode_pairs([("quite", "itequay"), ("quite", "uiteqay")]))
    assert word_accuracy(frame) == 0.5


def test_predictions_of_a_real_model_are_its_translations(model, pairs):
    frame = predictions(model, encode_pairs(pairs[:20]))
    translations = metrics.translate_words(
        model, [word for word, _ in pairs[:20]], [target for _, target in pairs[:20]]
    )
    assert frame["output"].tolist() == [decoded.text for decoded in translations]
    assert frame["confidence"].tolist() == pytest.approx([decoded.confidence for decoded in translations])
    assert bool(((frame["confidence"] > 0) & (frame["confidence"] <= 1)).all())
