"""Greedy decoding of words in batches."""

import math
from typing import NamedTuple

import torch

from a3lib.batches import EOS, SOS, indices, pad, text
from a3lib.pig_latin import longest_translation

CHUNK = 1024  # words decoded at once


class Decoded(NamedTuple):
    """One translated word."""

    text: str
    probabilities: tuple  # of each symbol given those before it; the last is EOS unless the length bound cut the word

    @property
    def confidence(self):
        """Probability of the whole output: the product over its symbols."""
        return math.prod(self.probabilities)


@torch.no_grad()
def translate_words(model, words, targets=None):
    """Translate words of a-z and '-' greedily, in batches -> list of `Decoded`.

    A word ends at EOS or at its own length bound: what the rule can add at most, or its target's length where targets
    are given and longer. Raises ValueError for an empty word or an unknown symbol.
    """
    if not all(words):
        raise ValueError("an empty word cannot be translated: drop it first")
    model.eval()
    device = next(model.parameters()).device
    bounds = [longest_translation(word) + 1 for word in words]  # with EOS
    if targets is not None:
        bounds = [max(bound, len(target) + 1) for bound, target in zip(bounds, targets, strict=True)]
    order = sorted(range(len(words)), key=lambda i: len(words[i]))
    decoded = [None] * len(words)
    for start in range(0, len(words), CHUNK):
        chosen = order[start : start + CHUNK]
        source, lengths = pad([indices(words[i]) for i in chosen])
        mask = torch.arange(source.shape[1]) < lengths[:, None] if int(lengths.min()) < source.shape[1] else None
        memory = model.encode(source.to(device), None if mask is None else mask.to(device))
        bound = torch.tensor([bounds[i] for i in chosen], device=device)
        for i, word in zip(chosen, greedy(model, memory, bound), strict=True):
            decoded[i] = word
    return decoded


def greedy(model, memory, bound):
    """Decode each word of a `Memory` until EOS or its bound (B,) on symbols -> list of B `Decoded`."""
    state = model.decoder.start(memory)
    symbol = torch.full_like(bound, SOS)  # (B,)
    ended = torch.zeros_like(bound, dtype=torch.bool)  # (B,)
    symbols, probabilities = [], []
    for step in range(int(bound.max())):
        logits, state = model.decoder.step(symbol, state, memory)  # (B, V)
        best, symbol = logits.softmax(1).masked_fill(_never(logits), -1).max(1)  # (B,) both
        symbol = symbol.masked_fill(ended, EOS)
        symbols.append(symbol)
        probabilities.append(best.masked_fill(ended, 1.0))
        ended = ended | (symbol == EOS) | (step + 1 >= bound)
        if bool(ended.all()):
            break
    rows = zip(torch.stack(symbols, 1).tolist(), torch.stack(probabilities, 1).tolist(), bound.tolist(), strict=True)
    return [_decoded(row[:limit], chances[:limit]) for row, chances, limit in rows]


def _never(logits):
    """SOS starts a word and is never part of one."""
    forbidden = torch.zeros_like(logits, dtype=torch.bool)
    forbidden[:, SOS] = True
    return forbidden


def _decoded(symbols, probabilities):
    length = symbols.index(EOS) + 1 if EOS in symbols else len(symbols)
    return Decoded(text(symbols), tuple(probabilities[:length]))
