"""Rank the pictures of a gallery by a caption, and explain what each word of the caption does."""

from typing import NamedTuple

import torch


def rank_by_caption(caption, pictures):
    """Places of the pictures (N, D), the one most like the caption (D,) first: (N,)."""
    cosines = torch.nn.functional.cosine_similarity(caption, pictures, dim=-1)  # (N,)
    return cosines.argsort(descending=True, stable=True)


class Ranking(NamedTuple):
    """Cosines of one caption with every picture."""

    scores: torch.Tensor  # (N,)

    def rank(self, target):
        """1 if only the target has the highest score; equal scores count against it."""
        return int((self.scores >= self.scores[target]).sum())

    def margin(self, target):
        """Score of the target minus the best other one: positive if found; NaN without others."""
        others = torch.cat([self.scores[:target], self.scores[target + 1 :]])
        return float(self.scores[target] - others.max()) if len(others) else float("nan")

    def top(self, k=5):
        """Places of the k best pictures, best first."""
        return self.scores.argsort(descending=True, stable=True)[:k].tolist()


class Word(NamedTuple):
    """How the target's score falls without this word of a caption, and the rank it then has."""

    text: str
    drop: float
    rank_without: int


def explain(gallery, caption, target, most=12):
    """(Ranking of the caption, a `Word` for each of its first `most` words).

    A caption of one word is compared with the empty caption.
    """
    words = caption.split()
    shorter = [" ".join(words[:i] + words[i + 1 :]) for i in range(min(most, len(words)))]
    full, *without = map(Ranking, gallery.scores([caption, *shorter]))
    drops = [float(full.scores[target] - ranking.scores[target]) for ranking in without]
    return full, list(map(Word, words, drops, (ranking.rank(target) for ranking in without)))


def caption_ranks(gallery, captions, places):
    """Rank of each picture at `places` under its caption: (N,). ValueError if numbers differ."""
    if len(captions) != len(places):
        raise ValueError(f"{len(captions)} captions for {len(places)} pictures: give one for each")
    scores = gallery.scores(captions)  # (N, pictures)
    return (scores >= scores.gather(1, torch.as_tensor(places)[:, None])).sum(1).numpy()
