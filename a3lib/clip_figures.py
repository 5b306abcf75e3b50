"""Figures of the caption notebook: pictures beside scores; each function returns a `plots.Picture`.

A `note`, such as the model's label, stands below the figure and at the end of its summary.
"""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from a3lib.plots import COLOURS, STYLES, InPlace, Picture
from a3lib.prompting import bootstrap

THUMBNAIL = 240  # pixels of the longer side


def similarity_matrix(title, photographs, captions, scores, note=""):
    """Scores (captions, pictures) as a heat map with the pictures on the axis and a star at the best one of a row."""
    rows, columns = scores.shape
    figure = Figure(figsize=(1.15 * columns + 3, 0.5 * rows + 1.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(scores, cmap="cividis", aspect="auto")
    middle, best = (scores.max() + scores.min()) / 2, scores.argmax(1)
    for row, column in np.ndindex(rows, columns):
        colour = "black" if scores[row, column] > middle else "white"
        text = f"{scores[row, column]:.2f}" + " ★" * int(column == best[row])
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=10)
    axes.set_yticks(range(rows), captions)
    axes.set_xticks(range(columns), ["\n\n\n\n"] * columns)  # room for the pictures
    for column, photograph in enumerate(photographs):
        box = {"frameon": False, "box_alignment": (0.5, 1), "annotation_clip": False, "pad": 0}
        axes.add_artist(
            AnnotationBbox(
                OffsetImage(_pixels(photograph), zoom=80 / THUMBNAIL), (column, rows - 0.4), **box
            )
        )
    right = int((best == np.arange(rows)).sum())
    summary = f"cosines from {scores.min():.2f} to {scores.max():.2f}; {right} of {rows} captions fit their own picture best"
    return _noted(figure, title, summary, note)


def label_bars(title, photographs, labels, probabilities, note="", k=5):
    """The k likeliest labels of each picture as bars under it, its own in orange; probabilities: (pictures, labels)."""
    figure = Figure(figsize=(11, 3.6 * -(-len(photographs) // 4)), layout="constrained")
    panels = figure.subfigures(-(-len(photographs) // 4), 4, squeeze=False)
    parts = []
    for panel, photograph, row in zip(panels.flat, photographs, probabilities, strict=False):
        picture, bars = panel.subplots(2, 1, height_ratios=[3, 2])
        _draw(picture, photograph)
        top = np.argsort(-row, kind="stable")[:k]
        bars.barh(
            range(len(top)), row[top], color=[COLOURS[labels[i] == photograph.label] for i in top]
        )
        bars.set(yticks=range(len(top)), yticklabels=[labels[i] for i in top], xlim=(0, 1))
        bars.invert_yaxis()
        bars.spines[["top", "right"]].set_visible(False)
        parts.append(f"{photograph.name} {labels[top[0]]} {row[top[0]]:.1f}")
    return _noted(
        figure,
        title,
        "likeliest label of each picture and its probability: " + "; ".join(parts),
        note,
    )


def retrieval(title, gallery, captions, rankings, target, k=5):
    """The k best pictures of each caption in a row, the target framed; above them its rank and margin."""
    figure = Figure(figsize=(11, 2.1 * len(captions)), layout="constrained")
    parts = []
    panels = figure.subfigures(len(captions), 1, squeeze=False).flat
    for panel, caption, ranking in zip(panels, captions, rankings, strict=True):
        parts.append(
            f"“{caption}”: the target has rank {ranking.rank(target)}, margin {ranking.margin(target):+.2f}"
        )
        panel.suptitle(parts[-1], fontsize=11, x=0.01, ha="left")
        for axes, place in zip(panel.subplots(1, k), ranking.top(k), strict=False):
            _draw(axes, gallery.photographs[place], framed=place == target)
    return _noted(figure, title, "; ".join(parts), gallery.model.label)


def rank_curve(title, numbers, ranks, note=""):
    """Typical rank, and share of pictures found, by captions of so many words, with 95 % bands over pictures.

    `ranks` is (numbers, draws, pictures): the rank of each picture under several draws of its words. The typical rank
    is the geometric mean.
    """
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, axes = figure.subplots(1, 2)
    mean, low, high = np.exp([bootstrap(np.log(of).mean(0)) for of in ranks]).T
    left.plot(numbers, mean, color=COLOURS[2], marker="o")
    left.fill_between(numbers, low, high, color=COLOURS[2], alpha=0.2, linewidth=0)
    left.set(
        xlabel="words in the caption",
        ylabel="rank of the target, geometric mean",
        ylim=(0, None),
        xticks=numbers,
    )
    parts = [
        f"typical rank: {', '.join(f'{rank:.1f} with {n}' for n, rank in zip(numbers, mean, strict=True))}"
    ]
    for place, (label, best) in enumerate({"first": 1, "among the first five": 5}.items()):
        mean, low, high = np.array([bootstrap((of <= best).mean(0)) for of in ranks]).T
        axes.plot(
            numbers, mean, color=COLOURS[place], linestyle=STYLES[place], marker="o", label=label
        )
        axes.fill_between(numbers, low, high, color=COLOURS[place], alpha=0.2, linewidth=0)
        parts.append(
            f"{label}: {', '.join(f'{share:.2f} with {n}' for n, share in zip(numbers, mean, strict=True))}"
        )
    axes.set(
        xlabel="words in the caption", ylabel="share of pictures", ylim=(0, 1.02), xticks=numbers
    )
    axes.legend(fontsize=8, loc="lower right")
    for panel in (left, axes):
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    return _noted(figure, title, "; ".join(parts), note)


class LiveBar:
    """Progress of `Gallery` as a bar in place, drawn ten times in all."""

    def __init__(self, title):
        self.title, self._show = title, InPlace()

    def __call__(self, done, total):
        if done != total and done % -(-total // 10):
            return
        figure = Figure(figsize=(7, 0.6))
        axes = figure.subplots()
        axes.barh([0], [done], color=COLOURS[2])
        axes.set(xlim=(0, total), yticks=[], title=f"{self.title}: {done} of {total}")
        self._show(Picture(figure, self.title, f"{done} of {total} pictures are done"))


def _pixels(photograph):
    image = photograph.image()
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(image)


def _draw(axes, photograph, framed=False):
    axes.imshow(_pixels(photograph))
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(
        photograph.credit.replace(", resized to 384 px at most", "") or photograph.name, fontsize=6
    )
    for spine in axes.spines.values():
        spine.set(visible=framed, color=COLOURS[1], linewidth=4)


def _noted(figure, title, summary, note):
    figure.suptitle(title)
    figure.supxlabel(note, fontsize=8, color="#444444")
    return Picture(figure, title, f"{summary} ({note})" if note else summary)
