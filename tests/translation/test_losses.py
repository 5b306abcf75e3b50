"""Losses against a loop over single words."""

import math
from collections import defaultdict

import pytest
import torch
from handout_classes import HandoutAdditive
from tiny_translators import MODELS

from a3lib.translation import losses as losses_module
from a3lib.translation.batches import IGNORED, SOS, V, encode_pairs, indices
from a3lib.translation.losses import length_groups, losses, token_loss, word_losses
from a3lib.translation.models import ModelSettings, build
from a3lib.translation.pairs import load_pairs


def lively(chosen=MODELS["gru"], **classes):
    """Untrained, with weights large enough that the losses of words differ."""
    model = build(chosen, seed=0, **classes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    return model


@pytest.fixture(scope="module")
def model():
    return lively()


@pytest.fixture(scope="module")
def pairs():
    return load_pairs("small").pairs[::16]


@torch.no_grad()
def loss_alone(model, word, translation):
    """Summed loss of one word: no padding, no batch, probabilities picked symbol by symbol."""
    target = indices(translation)
    prefix = torch.tensor([[SOS, *target[:-1]]])
    logits = model(torch.tensor([indices(word)]), prefix)[0].double()
    chances = [row.exp() / row.exp().sum() for row in logits]
    picked = [chance[symbol] for chance, symbol in zip(chances, target, strict=True)]
    return -math.fsum(map(math.log, picked))


@pytest.mark.parametrize("name", MODELS)
def test_word_losses_are_those_of_the_words_alone(name, pairs):
    model = lively(MODELS[name])
    expected = [loss_alone(model, *pair) for pair in pairs]
    found = word_losses(model, encode_pairs(pairs))
    assert found.dtype == torch.double
    assert found.tolist() == pytest.approx(expected, rel=1e-4)


def test_a_model_that_takes_no_masks_has_the_same_losses(pairs):
    """Its words are evaluated in groups of equal length."""
    model = lively(ModelSettings("rnn-attention", 6), attention=HandoutAdditive)
    expected = [loss_alone(model, *pair) for pair in pairs]
    assert word_losses(model, encode_pairs(pairs)).tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_both_losses_equal_a_loop_over_the_buckets(model, pairs, batch_size):
    groups = defaultdict(list)
    for word, translation in pairs:
        loss = loss_alone(model, word, translation)
        groups[len(word), len(translation)].append((loss, len(translation) + 1))
    cuts = [
        group[i : i + batch_size]
        for group in groups.values()
        for i in range(0, len(group), batch_size)
    ]
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
    found = word_losses(model, longer)[: len(pairs)]
    assert found.tolist() == pytest.approx(alone.tolist(), rel=1e-5)


@pytest.mark.parametrize("masks", [True, False])
def test_groups_and_order_do_not_change_the_losses(pairs, monkeypatch, masks):
    classes = {} if masks else {"attention": HandoutAdditive}
    model, encoded = lively(ModelSettings("rnn-attention", 6), **classes), encode_pairs(pairs)
    whole = word_losses(model, encoded).tolist()
    turned = word_losses(model, encode_pairs(pairs[::-1])).tolist()
    assert turned == pytest.approx(whole[::-1], rel=1e-4)
    groups = length_groups(model, encoded, 7)
    monkeypatch.setattr(losses_module, "length_groups", lambda *_: groups)
    assert word_losses(model, encoded).tolist() == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_groups_hold_every_word_once_and_similar_lengths(model, pairs, size):
    encoded = encode_pairs(pairs)
    groups = length_groups(model, encoded, size)
    assert sorted(torch.cat(groups).tolist()) == list(range(len(pairs)))
    assert max(map(len, groups)) <= size
    length = encoded.source_length + encoded.target_length
    together = length[torch.cat(groups)]
    assert torch.equal(together, together.sort().values)


def test_loss_of_a_model_that_knows_nothing_is_that_of_equal_chances(pairs):
    """ln 29 per symbol, in both losses."""
    blank = build(ModelSettings(hidden_size=4), seed=0)
    with torch.no_grad():
        blank.decoder.out.weight.zero_()
        blank.decoder.out.bias.zero_()
    expected = (math.log(29), math.log(29))
    assert losses(blank, encode_pairs(pairs), 64) == pytest.approx(expected)


def test_losses_build_no_graph_and_are_measured_in_eval_mode(pairs):
    model, seen = build(ModelSettings(hidden_size=4), seed=0).train(), []
    model.decoder.out.register_forward_hook(
        lambda module, _, logits: seen.append((module.training, logits.requires_grad))
    )
    losses(model, encode_pairs(pairs), 64)
    assert set(seen) == {(False, False)}


def test_token_loss_weighs_every_token_alike_and_skips_padding():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, V, generator=generator, dtype=torch.double)
    target = torch.tensor([[1, 2, 3], [4, IGNORED, IGNORED]])
    chances = logits.softmax(2)
    counted = [chances[0, 0, 1], chances[0, 1, 2], chances[0, 2, 3], chances[1, 0, 4]]
    expected = -sum(math.log(chance) for chance in counted) / 4
    assert float(token_loss(logits, target)) == pytest.approx(expected)
