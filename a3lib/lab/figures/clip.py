"""Figures of the caption notebook: pictures beside scores.

A `note`, such as the model's label, stands below the figure and at the end of its summary.
"""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from a3lib.lab.figures import base
from a3lib.lab.verdicts import bootstrap, mean

THUMBNAIL = 240  # pixels of the longer side


def similarity_matrix(title, photographs, captions, scores, note=""):
    """Scores (captions, pictures) as a heat map, a star at the best picture of each caption."""
    rows, columns = scores.shape
    figure, axes = base.canvas(1.15 * columns + 3, 0.5 * rows + 1.6)
    axes.imshow(scores, cmap="cividis", aspect="auto")
    middle, best = (scores.max() + scores.min()) / 2, scores.argmax(1)
    for row, column in np.ndindex(rows, columns):
        colour = "black" if scores[row, column] > middle else "white"
        text = f"{scores[row, column]:.2f}{' ★' if column == best[row] else ''}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=10)
    axes.set_yticks(range(rows), captions)
    axes.set_xticks(range(columns), ["\n\n\n\n"] * columns)  # room for the pictures
    place = {"frameon": False, "box_alignment": (0.5, 1), "annotation_clip": False, "pad": 0}
    for column, photograph in enumerate(photographs):
        image = OffsetImage(_pixels(photograph), zoom=80 / THUMBNAIL)
        axes.add_artist(AnnotationBbox(image, (column, rows - 0.4), **place))
    right = int((best == np.arange(rows)).sum())
    told = f"cosines from {scores.min():.2f} to {scores.max():.2f}"
    summary = f"{told}; {right} of {rows} captions fit their own picture best"
    return _noted(figure, title, summary, note)


def label_bars(title, photographs, labels, probabilities, note="", k=5):
    """The k likeliest labels of each picture as bars below it, its own one in orange.

    probabilities: (pictures, labels).
    """
    lines = -(-len(photographs) // 4)
    figure = Figure(figsize=(11, 3.6 * lines), layout="constrained")
    panels, parts = figure.subfigures(lines, 4, squeeze=False), []
    for panel, photograph, row in zip(panels.flat, photographs, probabilities, strict=False):
        picture, bars = panel.subplots(2, 1, height_ratios=[3, 2])
        _draw(picture, photograph)
        top = np.argsort(-row, kind="stable")[:k]
        colours = [base.COLOURS[labels[i] == photograph.label] for i in top]
        bars.barh(range(len(top)), row[top], color=colours)
        names = [labels[i] for i in top]
        bars.set(yticks=range(len(top)), xlim=(0, 1), xlabel="probability")
        bars.set_yticklabels([name if len(name) < 20 else f"{name[:17]}…" for name in names])
        bars.invert_yaxis()
        bars.spines[["top", "right"]].set_visible(False)
        parts.append(f"{photograph.name} {names[0]} {row[top[0]]:.1f}")
    told = "likeliest label of each picture and its probability: "
    return _noted(figure, title, told + "; ".join(parts), note)


def retrieval(title, gallery, captions, rankings, target, k=5):
    """The k best pictures of each caption in a row, the target framed; its rank and margin."""
    figure = Figure(figsize=(11, 2.1 * len(captions)), layout="constrained")
    panels, parts = figure.subfigures(len(captions), 1, squeeze=False).flat, []
    for panel, caption, ranking in zip(panels, captions, rankings, strict=True):
        found = f"rank {ranking.rank(target)}, margin {ranking.margin(target):+.2f}"
        parts.append(f"“{caption}”: the target has {found}")
        panel.suptitle(parts[-1], fontsize=11, x=0.01, ha="left")
        for axes, place in zip(panel.subplots(1, k), ranking.top(k), strict=False):
            _draw(axes, gallery.photographs[place], framed=place == target)
    return _noted(figure, title, "; ".join(parts), gallery.model.label)


def rank_curve(title, numbers, ranks, note=""):
    """Typical rank, and share of pictures found, by captions of so many words.

    `ranks` is (numbers, draws, pictures): the rank of each picture under several draws of its
    words. The typical rank is the geometric mean; bands are 95 % intervals over pictures.
    """
    figure, (left, right) = base.canvas(9, 3.2, 1, 2)
    typical = _band(left, numbers, [np.log(of).mean(0) for of in ranks], 2, "", np.exp)
    base.label_axes(left, "", "words in the caption", "rank of the target, geometric mean")
    left.set(ylim=(0, None), xticks=numbers)
    parts = [f"typical rank: {_listed(numbers, typical, '.1f')}"]
    for place, (label, best) in enumerate({"first": 1, "among the first five": 5}.items()):
        shares = _band(right, numbers, [(of <= best).mean(0) for of in ranks], place, label)
        parts.append(f"{label}: {_listed(numbers, shares, '.2f')}")
    base.label_axes(right, "", "words in the caption", "share of pictures")
    right.set(ylim=(0, 1.02), xticks=numbers)
    right.legend(fontsize=8, loc="lower right")
    return _noted(figure, title, "; ".join(parts), note, photographs=False)


def _band(axes, numbers, values, place, label, scale=np.asarray):
    """Draw means of values, one list per number, with their intervals -> the means."""
    centers = scale([mean(some) for some in values])
    low, high = scale([bootstrap(some) for some in values]).T
    base.band(axes, numbers, centers, low, high, place, label=label, marker=base.MARKERS[place])
    return centers


def _listed(numbers, values, form):
    return ", ".join(f"{value:{form}} with {n}" for n, value in zip(numbers, values, strict=True))


class LiveBar:
    """Progress of `Gallery` as a bar in place, drawn ten times in all."""

    def __init__(self, title):
        self.title, self._show = title, base.InPlace()

    def __call__(self, done, total):
        if done != total and done % -(-total // 10):
            return
        figure = Figure(figsize=(7, 0.6))
        axes = figure.subplots()
        axes.barh([0], [done], color=base.COLOURS[2])
        axes.set(xlim=(0, total), yticks=[], title=f"{self.title}: {done} of {total}")
        self._show(base.Picture(figure, self.title, f"{done} of {total} pictures are done"))


def _pixels(photograph):
    image = photograph.image()
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(image)


def _draw(axes, photograph, framed=False):
    credit = photograph.credit.replace(", resized to 384 px at most", "")
    base.tile(axes, _pixels(photograph), credit or photograph.name, framed)


def _noted(figure, title, summary, note, photographs=True):
    figure.suptitle(title)
    figure.supxlabel(note, fontsize=8, color="#444444")
    return base.Picture(figure, title, f"{summary} ({note})" if note else summary, photographs)
