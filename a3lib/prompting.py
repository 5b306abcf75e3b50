"""Prompting: rank a target by a caption, explain the words, label without training; intervals over pictures."""

import random
import re
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from a3lib.claims import Claim, verdict
from a3lib.training import one_thread

LONGEST_CAPTION = 10_000  # characters looked at; every model reads fewer
COLOURS = ("black", "white", "grey", "brown", "red", "orange", "yellow", "green", "blue", "purple")
COUNTS = ("two", "three", "four", "five")
RELATIONS = ("on", "in", "at", "by", "with", "under", "over", "among")
_FILL = " a an the of her its in on to at by with over under out front next among "  # words that name nothing


class Ranking(NamedTuple):
    """Cosines of one caption with every picture."""

    scores: torch.Tensor  # (N,)

    def rank(self, target):
        """1 if the target is the only picture with the highest score; equal scores count against it."""
        return int((self.scores >= self.scores[target]).sum())

    def margin(self, target):
        """Score of the target minus the best other one: positive if it is found; NaN if there is no other."""
        others = torch.cat([self.scores[:target], self.scores[target + 1 :]])
        return float(self.scores[target] - others.max()) if len(others) else float("nan")

    def top(self, k=5):
        """Places of the k best pictures, best first."""
        return self.scores.argsort(descending=True, stable=True)[:k].tolist()


class Word(NamedTuple):
    """What one word of a caption contributes: how the target's score falls without it, and the rank it then has."""

    text: str
    drop: float
    rank_without: int


def tidy(caption, model):
    """A typed caption -> (caption in single spaces, list of remarks for the reader)."""
    text = " ".join(caption[:LONGEST_CAPTION].split())
    if not text:
        return "", [
            "The caption is empty: describe what the picture shows, in a few English words."
        ]
    notes, tokens = [], model.count_tokens(text)
    if tokens > model.context_length or len(caption) > LONGEST_CAPTION:
        read = f"{model.name} reads {model.context_length} tokens (CLIP reads 77), and this caption"
        notes.append(
            f"{read} has {tokens} in its first {len(text):,} characters: the rest is not looked at."
        )
    odd = sorted({character for character in text if not character.isascii()})
    if odd:
        notes.append(
            f"The model learned from English text; it may make nothing of {' '.join(odd[:8])}."
        )
    return text, notes


def explain(gallery, caption, target, most=12):
    """(Ranking, list of `Word` for the first `most` words): the caption, and the caption without each of its words.

    All go through the text tower in one forward. A caption of one word is compared with the empty caption.
    """
    words = caption.split()
    shorter = [" ".join(words[:i] + words[i + 1 :]) for i in range(min(most, len(words)))]
    full, *without = map(Ranking, gallery.scores([caption, *shorter]))
    drops = [float(full.scores[target] - ranking.scores[target]) for ranking in without]
    return full, [
        Word(*row) for row in zip(words, drops, (r.rank(target) for r in without), strict=False)
    ]


def own_ranks(gallery, captions):
    """Rank of each picture under the caption in its place -> (N,). Raises ValueError if their numbers differ."""
    scores = gallery.scores(captions)  # (N, N)
    if scores.shape[0] != scores.shape[1]:
        raise ValueError(f"{len(captions)} captions for {len(gallery)} pictures: give one for each")
    return (scores >= scores.diagonal()[:, None]).sum(1).numpy()


def content_words(caption):
    """The words of a caption that name something: articles and prepositions left out."""
    return [word for word in caption.split() if f" {word.lower()} " not in _FILL]


def some_words(caption, number, seed):
    """`number` of the content words, drawn with a seed, in their order; fewer if there are fewer."""
    words = content_words(caption)
    kept = random.Random(f"{seed} {caption}").sample(range(len(words)), min(number, len(words)))
    return " ".join(words[i] for i in sorted(kept))


def replaced(caption, words):
    """All captions in which one word out of `words` has become another one of them."""
    parts = caption.split()
    places = [i for i, part in enumerate(parts) if part in words]
    return [
        " ".join([*parts[:i], word, *parts[i + 1 :]])
        for i in places
        for word in words
        if word != parts[i]
    ]


def turned(caption):
    """The caption with the two sides of its first relation exchanged, in a list; an empty list if there is none."""
    found = re.search(rf"^(.+?) (in front of|next to|{'|'.join(RELATIONS)}) (.+)$", caption)
    return [f"{found[3]} {found[2]} {found[1]}"] if found else []


def preference(gallery, foils):
    """For each picture with foils (false captions): the share that fit it less well than its caption, ties half.

    `foils` makes the list of false captions from a true one. A caption fits by its score on the picture minus its mean
    score over the gallery: one that every picture likes wins nothing, and a model blind to pictures gets one half.
    """
    shares = []
    for place, photograph in enumerate(gallery.photographs):
        if false := foils(photograph.caption):
            scores = gallery.scores([photograph.caption, *false])  # (1 + foils, N)
            true, *rest = (scores[:, place] - scores.mean(1)).tolist()
            shares.append(sum((true > score) + 0.5 * (true == score) for score in rest) / len(rest))
    return np.array(shares)


def label_scores(gallery, labels, templates):
    """Cosine of each picture with each label -> (N, labels); several templates are averaged as text vectors.

    A template has `{}` in place of the label (Radford et al. 2021, section 3.1.4).
    """
    with one_thread():
        each = [
            gallery.model.encode_text([template.format(label) for label in labels])
            for template in templates
        ]
    return gallery.features @ functional.normalize(torch.stack(each).mean(0), dim=-1).T


def log_loss(scores, targets, scale):
    """Negative log probability of each target under softmax(scale * scores) -> (N,), in nats."""
    return functional.cross_entropy(scale * scores, torch.as_tensor(targets), reduction="none")


def fit_scale(scores, targets):
    """The inverse softmax temperature between 1 and 1,000 with the lowest mean log loss (Guo et al. 2017)."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log: float(log_loss(scores, targets, float(np.exp(log))).mean()),
        bounds=(0, np.log(1000)),
        method="bounded",
    )
    return float(np.exp(found.x))


def bootstrap(values, draws=5000, seed=0):
    """Mean of values, one for each picture, with its 95 % interval over draws of pictures -> (mean, low, high)."""
    values = np.asarray(values, dtype=float)
    if len(values) < 5:
        raise ValueError(f"an interval needs at least 5 pictures, not {len(values)}")
    places = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    low, high = np.percentile(values[places].mean(1), [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def above(name, text, values, limit, margin=0.02, digits=2):
    """Claim that the mean of values over pictures lies above a limit."""
    mean, low, high = bootstrap(values)
    measured = f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
    return Claim(name, text, measured, verdict(low - limit, high - limit, margin))


def contrast(name, text, more, less, margin=0.02, digits=2):
    """Claim that one value of a picture exceeds another one of the same picture, on average over pictures."""
    more, less = np.asarray(more, dtype=float), np.asarray(less, dtype=float)
    mean, low, high = bootstrap(more - less)
    sides = f"{more.mean():.{digits}f} against {less.mean():.{digits}f}"
    measured = f"{sides}: {mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
    return Claim(name, text, measured, verdict(low, high, margin))
