"""Figures of fine-tuning: one sentence on its way through the network, and a dot per run."""

import numpy as np

from a3lib.lab.figures.base import COLOURS, Picture, canvas, label_axes
from a3lib.lab.figures.sheet import FADED, WIDTH, Sheet


def pathway(title, stages):
    """Boxes in a row from input to loss; each stage is (name, text in its box, text below it).

    Raises ValueError without a stage.
    """
    if not stages:
        raise ValueError(
            f"{stages!r} holds no stage: give (name, text, text below) of one at least"
        )
    sheet, pitch = Sheet(title, 2.1), WIDTH / len(stages)
    for number, (name, text, below) in enumerate(stages):
        x = pitch * (number + 0.5)
        sheet.write(x, 1.52, name, 0.94 * pitch, font=10, color=COLOURS[0], weight="bold")
        sheet.box(x, 0.9, text, (0.84 * pitch, 0.86))
        sheet.write(x, 0.25, below, 0.94 * pitch, color=FADED)
        if number:
            sheet.arrow((x - 0.58 * pitch, 0.9), (x - 0.42 * pitch, 0.9))
    told = (f"{name}: {text} ({below})" for name, text, below in stages)
    return sheet.picture(", then ".join(told).replace("\n", " "))


def dots(title, groups, xlabel, references=()):
    """A dot per run of each group of shares (a mean would hide two modes), and a bar at the median.

    `references`: (name, x) of lines; the summary counts above the first. ValueError for no value.
    """
    if empty := [name for name, values in groups.items() if not len(values)]:
        raise ValueError(f"{', '.join(empty)}: no value; leave the group out")
    (figure, axes), parts = canvas(8, 0.55 * len(groups) + 1.2), []
    for row, (name, values) in enumerate(groups.items()):
        x, bins = np.sort(values), np.round(np.sort(values), 2).tolist()
        step, middle = min(0.16, 0.8 / max(map(bins.count, bins))), np.median(values)
        up = [(bins.count(one) - 1) / 2 - bins[:n].count(one) for n, one in enumerate(bins)]
        axes.plot(x, row + step * np.array(up), "o", color=COLOURS[0], ms=4.5, mec="white", mew=0.5)
        look = {"color": COLOURS[1], "lw": 6, "alpha": 0.4, "solid_capstyle": "butt", "zorder": 1}
        axes.plot([middle] * 2, [row - 0.4, row + 0.4], **look)
        axes.axhspan(row - 0.5, row + 0.5, color="white" if row % 2 else "#f4f4f4", zorder=0)
        told = f"{name}: median {middle:.3f}, {x[0]:.3f} to {x[-1]:.3f}"
        for reference, limit in references[:1]:
            told += f", {sum(x > limit + 1e-9)} of {len(x)} above {reference}"
        parts.append(told)
    for name, x in references:
        axes.axvline(x, color=COLOURS[6], linestyle=":", linewidth=1)
        axes.text(x, 1.01, name, transform=axes.get_xaxis_transform(), ha="center", fontsize=8)
    axes.set_yticks(range(len(groups)), [f"{k}, n = {len(v)}" for k, v in groups.items()])
    axes.set_ylim(len(groups) - 0.5, -0.5)
    label_axes(axes, title, xlabel, "")
    axes.set_title(title, pad=18)
    return Picture(figure, title, "; ".join(parts))
