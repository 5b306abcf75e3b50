"""Greedy decoding: the likeliest symbol is fed back until the end symbol comes."""

import math
from typing import NamedTuple

import torch

from a3lib.translation.batches import EOS, SOS, encode_pairs, text
from a3lib.translation.losses import length_groups
from a3lib.translation.pig_latin import longest_translation

CHUNK = 512  # words decoded at once


class Decoded(NamedTuple):
    """One translated word."""

    text: str
    probabilities: tuple  # of each symbol given those before it; the last is EOS if it came

    @property
    def confidence(self):
        """Probability of the whole output: the product over its symbols."""
        return math.prod(self.probabilities)


def greedy(model, memory, bound, may_be_empty=False):
    """Decode each word of a `Memory` until EOS or its bound (B,) on symbols.

    SOS never comes and, unless `may_be_empty`, EOS never first. The model reads the whole prefix at
    every step, so that what is decoded is what was trained. Words that ended are left out.
    Returns symbols (B, longest), their probabilities (B, longest), and how many count (B,).
    """
    B, longest = len(bound), int(bound.max())
    symbols = torch.full((B, longest), EOS, device=bound.device)
    chances = torch.ones(B, longest, device=bound.device)
    length = bound.clone()
    going = torch.arange(B, device=bound.device)  # words that did not end yet
    for step in range(longest):
        start = torch.full((len(going), 1), SOS, device=bound.device)
        prefix = torch.cat([start, symbols[going, :step]], dim=1)  # (b, step + 1)
        logits = model.decoder(prefix, memory.rows(going))[:, -1]  # (b, V)
        probabilities = logits.float().softmax(1)
        probabilities[:, SOS] = 0
        if step == 0 and not may_be_empty:
            probabilities[:, EOS] = 0
        chances[going, step], symbols[going, step] = probabilities.max(1)
        ended = (symbols[going, step] == EOS) | (step + 1 >= bound[going])
        length[going[ended]] = step + 1
        going = going[~ended]
        if not len(going):
            break
    return symbols, chances, length


@torch.no_grad()
def translate_words(model, words, targets=None, may_be_empty=False):
    """Translate words of a-z and '-' greedily, in batches -> list of `Decoded`.

    A word ends at EOS or at its length bound: what the rule can add at most, or its target's length
    where targets are given and longer. Raises ValueError for an empty word or an unknown symbol.
    """
    if not words:
        return []
    if not all(words):
        raise ValueError("an empty word cannot be translated: drop it first")
    model.eval()
    device = next(model.parameters()).device
    bounds = [longest_translation(word) + 1 for word in words]  # with EOS
    if targets is not None:
        pairs = zip(bounds, targets, strict=True)
        bounds = [max(bound, len(target) + 1) for bound, target in pairs]
    encoded, bounds = encode_pairs([(word, "") for word in words]).to(device), torch.tensor(bounds)
    decoded = [None] * len(words)
    groups = length_groups(model, encoded, CHUNK)
    for chosen, batch in zip(groups, encoded.batches(groups), strict=True):
        memory = model.encoder(batch.source, batch.source_mask)
        rows = greedy(model, memory, bounds[chosen].to(device), may_be_empty)
        for place, symbols, chances, length in zip(
            chosen, *(row.tolist() for row in rows), strict=True
        ):
            decoded[place] = Decoded(text(symbols[:length]), tuple(chances[:length]))
    return decoded
