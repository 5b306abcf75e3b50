"""Attention of a translator over one word: its maps with labelled axes, and their heat-maps."""

from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure

from a3lib.lab.figures.base import Picture
from a3lib.translation.batches import SOS, indices, text
from a3lib.translation.greedy_decoding import translate_words
from a3lib.translation.pig_latin import first_cluster

KINDS = {
    "encoder": "source over source",
    "decoder": "output over output",
    "cross": "output over source",
}
LISTED = 2  # maps of which the summary tells every query; of more, the mean highest weight


class Map(NamedTuple):
    """One attention map of a word, with a label for each key and each query."""

    kind: str  # 'encoder', 'decoder' or 'cross'
    layer: int  # counted from 1, as are heads
    head: int
    keys: tuple  # source symbols, or for 'decoder' the output so far, from SOS on
    queries: tuple  # source symbols for 'encoder', else the output symbol that is being written
    weights: np.ndarray  # (keys, queries); columns sum to one

    @property
    def name(self):
        """Kind, layer and head in words."""
        return f"{KINDS[self.kind]}, layer {self.layer}, head {self.head}"


def word_maps(model, word, output=None):
    """All `Map`s of a translator while it writes a word's translation, or a given output.

    Raises ValueError for a model without attention, an empty word or an unknown symbol.
    """
    if output is None:
        (decoded,) = translate_words(model, [word])
        written = indices(decoded.text)[: len(decoded.probabilities)]  # no EOS where none came
    else:
        written = indices(output)
    device = next(model.parameters()).device
    sides = (indices(word), [SOS, *written[:-1]])
    source, prefix = (torch.tensor([side], device=device) for side in sides)
    maps = model.eval().attention_maps(source, prefix)
    sources, outputs = _labels(indices(word)), _labels(written)
    axes = {
        "encoder": (sources, sources),
        "decoder": (("SOS", *outputs[:-1]), outputs),
        "cross": (sources, outputs),
    }
    return [
        Map(kind, layer, head, *axes[kind], weights.cpu().numpy())
        for kind in KINDS
        for layer, heads in enumerate(getattr(maps, kind), start=1)
        for head, weights in enumerate(heads[0], start=1)
    ]


def _labels(symbols):
    return tuple(text([symbol]) or "EOS" for symbol in symbols)


def copied_places(word):
    """For each letter of a word's translation its place in the word; None where it is new."""
    places, start = [], 0
    for part in word.split("-"):
        cluster, end = start + len(first_cluster(part)), start + len(part)
        new = 0 if not part else 3 if part[0] in "aeiou" else 2  # 'way' or 'ay'
        places += [*range(cluster, end), *range(start, cluster), *[None] * new, end]  # the hyphen
        start = end + 1
    return places[:-1]


def weight_on_copied(one, word):
    """Mean weight of a cross `Map` of the right translation on the symbol that is copied."""
    places = enumerate(copied_places(word))
    return float(np.mean([one.weights[place, t] for t, place in places if place is not None]))


def heat_maps(title, maps):
    """Small multiples, keys from top to bottom: a row per kind, a column per layer and head.

    If there is one layer and head, its kinds stand side by side and only they are named.
    """
    kinds = [kind for kind in KINDS if any(one.kind == kind for one in maps)]
    columns = sorted({(one.layer, one.head) for one in maps})
    beside = len(columns) == 1
    across = len(kinds) if beside else len(columns)
    keys = {one.kind: len(one.keys) for one in maps}
    heights = [0.2 * keys[kind] + 1.0 for kind in kinds]
    wide = max(len(one.queries) for one in maps) * 0.23 + 0.7
    size = (max(4.0, wide * across), (max(heights) if beside else sum(heights)) + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    if beside:
        panels = figure.subplots(1, len(kinds), squeeze=False).T
    else:
        options = {"squeeze": False, "height_ratios": heights}
        panels = figure.subplots(len(kinds), len(columns), **options)
    for one in maps:
        axes = panels[kinds.index(one.kind), columns.index((one.layer, one.head))]
        image = _draw(axes, one)
        if not beside:
            axes.set_title(one.name.replace(", ", "\n", 1), fontsize=9)
        elif across > 1:  # the only layer and head need no name, nor does a single map
            axes.set_title(KINDS[one.kind], fontsize=9)
    for axes in panels.flat:
        axes.axis("on" if axes.images else "off")
    figure.colorbar(image, ax=panels, label="weight", fraction=0.05 / across, pad=0.01)
    figure.suptitle(title, fontsize=11)
    return Picture(figure, title, "; ".join(_told(one, len(maps)) for one in maps))


def _draw(axes, one):
    image = axes.imshow(one.weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for axis, labels in ((axes.xaxis, one.queries), (axes.yaxis, one.keys)):
        axis.set_ticks(range(len(labels)), labels, fontsize=8)
    axes.xaxis.get_ticklabels()[-1].set_rotation(90 if len(one.queries[-1]) > 1 else 0)
    written = "source symbol" if one.kind == "encoder" else "symbol being written"
    axes.set_xlabel(written, fontsize=8)
    axes.set_ylabel("output so far" if one.kind == "decoder" else "source", fontsize=8)
    return image


def _told(one, count):
    """What one map shows, in words: all its queries, or among many maps a single number."""
    highest, best = one.weights.max(0), one.weights.argmax(0)
    if count > LISTED:
        return f"{one.name}: mean highest weight {highest.mean():.2f}"
    rows = zip(one.queries, best, highest, strict=True)
    return f"{one.name}: {', '.join(f'{q} reads {one.keys[k]} {w:.2f}' for q, k, w in rows)}"
