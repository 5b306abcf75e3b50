"""The split into training and validation words, seeded and by word."""

import random
from dataclasses import dataclass

from a3lib.translation.pairs import Pairs

TRAIN_FRACTION = 0.8  # the assignment's 80/20 split


@dataclass(frozen=True)
class Split:
    """Training and validation pairs that share no source word."""

    train: Pairs
    validation: Pairs


def split(pairs, seed, held_out=None):
    """Split `Pairs` by source word, both sides in an order shuffled by `seed`, on every machine.

    The validation side is the last fifth of the shuffled words or, with `held_out` (words), exactly
    the pairs of those words: one validation set for several data sets. Raises ValueError if a side
    is empty.
    """
    words = pairs.words
    random.Random(seed).shuffle(words)
    held_out = set(words[int(TRAIN_FRACTION * len(words)) :] if held_out is None else held_out)
    position = {word: place for place, word in enumerate(words)}
    ordered = sorted(pairs, key=lambda pair: position[pair[0]])
    train = tuple(pair for pair in ordered if pair[0] not in held_out)
    validation = tuple(pair for pair in ordered if pair[0] in held_out)
    if not train or not validation:
        raise ValueError(
            f"{pairs.name} splits into {len(train)} training and {len(validation)} validation "
            "pairs: both sides need at least one; use more words"
        )
    sides = (Pairs(f"{pairs.name}/train", train), Pairs(f"{pairs.name}/validation", validation))
    return Split(*sides)
