"""Translators of a few hundred weights and a few words to train them on, for many tests."""

import functools
from dataclasses import replace

import pytest
import torch
from hypothesis import settings

from a3lib.translation.batches import encode_pairs
from a3lib.translation.greedy_decoding import translate_words
from a3lib.translation.losses import word_losses
from a3lib.translation.models import ModelSettings, build
from a3lib.translation.pairs import Pairs, load_pairs
from a3lib.translation.splits import split
from a3lib.translation.training import TrainingSettings, fit
from a3lib.translation.transformer import BLOCK

properties = settings(deadline=None, max_examples=30, database=None, derandomize=True)
EXACT = 1e-10  # largest difference between two float64 ways to the same number
PUBLISHED = {
    "gru": ModelSettings(hidden_size=6),
    "additive": ModelSettings("rnn-attention", hidden_size=6),
    "scaled_dot": ModelSettings("rnn-attention", hidden_size=6, attention="scaled_dot"),
    "transformer": ModelSettings("transformer", hidden_size=6, layers=2),
    "block": ModelSettings("transformer", hidden_size=6, transformer=BLOCK),
}
MODELS = {**PUBLISHED, "modern": ModelSettings("modern", hidden_size=8)}
PAIRS = [
    ("a", "away"),
    ("quite", "itequay"),
    ("air-conditioning", "airway-onditioningcay"),
    ("try", "ytray"),
]
TINY = TrainingSettings(epochs=2, batch_size=16, updates_per_epoch=4, batches="padded")


@functools.cache
def tiny_data():
    """128 training and 32 validation words, encoded."""
    pairs = split(Pairs("some", load_pairs("small").pairs[::20][:160]), seed=0)
    return encode_pairs(pairs.train), encode_pairs(pairs.validation)


def built(name, seed=0):
    """One of `MODELS` in double precision, so that two ways to a number can be compared."""
    return build(MODELS[name], seed).double()


def padded_batch():
    """The `Batch` of `PAIRS`, whose words all have different lengths."""
    return encode_pairs(PAIRS).batch(torch.arange(len(PAIRS)))


def logits_of(model, batch):
    """Teacher-forced logits (B, T, V)."""
    return model(batch.source, batch.prefix, batch.source_mask)


def stepwise(model, batch):
    """Logits (B, T, V) as decoding computes them: the last ones of every prefix, read anew."""
    memory = model.encoder(batch.source, batch.source_mask)
    prefixes = (batch.prefix[:, : t + 1] for t in range(batch.prefix.shape[1]))
    return torch.stack([model.decoder(prefix, memory)[:, -1] for prefix in prefixes], dim=1)


def padding_changes_nothing(model):
    """Words of all lengths in one batch have the losses that each has alone."""
    assert padded_batch().source_mask is not None
    together = word_losses(model, encode_pairs(PAIRS))
    alone = torch.cat([word_losses(model, encode_pairs([pair])) for pair in PAIRS])
    assert difference([together], [alone]) < EXACT


def company_changes_nothing(model):
    """Words whose translations end at different times are translated as each is alone."""
    model, several = model.float(), ["at", "scaled", "a", "well-read", "of", "ooo"]
    for word, found in zip(several, translate_words(model, several), strict=True):
        (alone,) = translate_words(model, [word])
        assert found.text == alone.text
        assert found.probabilities == pytest.approx(alone.probabilities, rel=1e-4)


def weights_of(model):
    """All weights as one vector."""
    return torch.cat([value.flatten() for value in model.state_dict().values()]).clone()


def difference(first, second):
    """Largest absolute difference between two lists of tensors."""
    pairs = zip(first, second, strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs if a.numel())


def trained(model, engine=None, on_epoch=None, **changes):
    """Train a tiny model in place for a moment -> its `History`."""
    recipe = replace(TINY, **changes)
    return fit(model, *tiny_data(), recipe, seed=0, on_epoch=on_epoch, engine=engine)
