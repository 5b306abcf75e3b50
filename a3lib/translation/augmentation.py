"""New pairs made of listed ones: joined, or with letters substituted alike in word and translation.

The rule is never asked. What is taken for granted can be seen in the pairs:
- a translation is the word turned, its first k letters moved to the end, with an ending;
- letters fall into groups by what happens to words that begin with them: they move, the word stays
  and gets one ending, or it stays and gets another. Within a group, letters may replace each other;
  not q, the only letter that takes another letter along;
- a word that moves as a whole also moves when it stands before another word;
- parts between hyphens are translated apart.
"""

import random
from collections import Counter
from dataclasses import dataclass

from a3lib.translation.pairs import Pairs

SHORT = 7  # letters of a word that may be one of three: longer ones make wide, slow batches
ALONE = "q"  # it may take a u along, so it neither replaces nor is replaced


@dataclass(frozen=True)
class Augmentation:
    """How many pairs are drawn, and how often each kind; the weights need not sum to one."""

    count: int
    listed: float = 1.0  # as they are
    substituted: float = 3.0  # a word with letters replaced within their groups
    run_together: float = 1.5  # a second word behind the first
    hyphenated: float = 1.5  # two words, or three short ones
    moving: float = 1.0  # one to three words that move as a whole, letters replaced
    led: float = 3.0  # such a word before another one


def augment(pairs, settings, seed):
    """`Pairs` drawn from listed ones as the `Augmentation` says; a word may come several times.

    Raises ValueError where the pairs lack what a kind is made of.
    """
    kinds = ["listed", "substituted", "run_together", "hyphenated", "moving", "led"]
    weights = [getattr(settings, kind) for kind in kinds]
    maker = _Maker(pairs, seed)
    drawn = maker.random.choices(kinds, weights, k=settings.count)
    return Pairs(f"{pairs.name}, augmented", tuple(getattr(maker, kind)() for kind in drawn))


def turn(word, translation):
    """(letters moved to the end, ending) of a word without hyphens; None if it is not turned."""
    for k in range(len(word)):
        turned = word[k:] + word[:k]
        if "-" not in word and translation.startswith(turned):
            return k, translation[len(turned) :]
    return None


class _Maker:
    """Draws pairs of every kind. A word is kept as (letters, how many of them move)."""

    def __init__(self, pairs, seed):
        self.random, self.pairs = random.Random(seed), pairs.pairs
        turned = {pair: found for pair in pairs if (found := turn(*pair))}
        self.fates = _fates(turned)  # first letter -> 'moves' or the ending of a word that stays
        endings = Counter(ending for k, ending in turned.values() if k)
        self.moved = endings.most_common(1)[0][0] if endings else ""
        self.groups = {}
        for letter, fate in sorted(self.fates.items()):
            if letter not in ALONE:
                self.groups.setdefault(fate, []).append(letter)
        self.words, self.whole = [], []
        for (word, _), (k, _) in turned.items():
            if (
                k == 0 and self.fates.get(word[0], "moves") == "moves"
            ):  # nothing left that could stay
                if word[-1] not in ALONE:
                    self.whole.append((word, len(word)))
            else:
                self.words.append((word, k))
        self.short = [word for word in self.words if len(word[0]) <= SHORT]
        if not (self.words and self.short and self.whole):
            raise ValueError(
                f"{pairs.name} lacks words to make others of: {len(self.words)} turned words, "
                f"{len(self.short)} of at most {SHORT} letters, {len(self.whole)} that move as a "
                "whole; train without augmentation"
            )

    def listed(self):
        return self.random.choice(self.pairs)

    def substituted(self):
        word, k = self.random.choice(self.words)
        return self._pair(self._substitute(word), k)

    def run_together(self):
        (word, k), (behind, _) = self.random.choices(self.words, k=2)
        return self._pair(self._sometimes(word) + self._sometimes(behind), k)

    def hyphenated(self):
        two = self.random.random() < 0.7
        parts = self.random.choices(self.words if two else self.short, k=2 if two else 3)
        pairs = [self._pair(self._sometimes(word), k) for word, k in parts]
        return tuple("-".join(side) for side in zip(*pairs, strict=True))

    def moving(self):
        word = self._moving(self.random.choice((1, 1, 2, 2, 3)))
        return self._pair(word, len(word))

    def led(self):
        lead = self._moving(self.random.choice((1, 1, 2, 3)))
        word, k = self.random.choice(self.words)
        return self._pair(lead + self._substitute(word), len(lead) + k)

    def _moving(self, number):
        words = self.random.choices(self.whole, k=number)
        return "".join(self._substitute(word) for word, _ in words)

    def _sometimes(self, word):
        return self._substitute(word) if self.random.random() < 0.5 else word

    def _substitute(self, word):
        """Each letter replaced with one probability per word, by another one of its group."""
        if set(word) & set(ALONE):
            return word
        share = self.random.random()
        return "".join(
            self.random.choice(self.groups[self.fates[letter]])
            if letter in self.fates and self.random.random() < share
            else letter
            for letter in word
        )

    def _pair(self, word, k):
        return word, word[k:] + word[:k] + (self.moved if k else self.fates[word[0]])


def _fates(turned):
    """What happens to words by their first letter: 'moves', or the ending of a word that stays."""
    seen = {}
    for (word, _), (k, ending) in turned.items():
        if len(word) > 1:
            seen.setdefault(word[0], Counter())["moves" if k else ending] += 1
    return {letter: fates.most_common(1)[0][0] for letter, fates in seen.items()}
