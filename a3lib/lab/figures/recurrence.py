"""Figures of Part 1: the gates of a cell over a word, and where in a word the output goes wrong."""

import numpy as np
import torch
from matplotlib.figure import Figure

from a3lib.lab.figures.base import COLOURS, MARKERS, STYLES, Picture, label_axes


def gates(letters, update, reset):
    """Both gates (S, H) of all units over the S letters of a word, and their means.

    Units stand in the order of their mean update gate. Raises ValueError where sizes do not fit.
    """
    parts = {"update gate z: how much is written": update, "reset gate r: how much is read": reset}
    values = [torch.as_tensor(part).detach().cpu().numpy() for part in parts.values()]
    if {part.shape for part in values} != {(len(letters), values[0].shape[-1])}:
        shapes = " and ".join(str(part.shape) for part in values)
        raise ValueError(f"{len(letters)} letters need two gates (S, H), not {shapes}")
    order = values[0].mean(0).argsort()
    figure, told = Figure(figsize=(8.6, 3.6), layout="constrained"), []
    panels = figure.subplots(1, 2, sharey=True)
    for axes, name, part in zip(panels, parts, values, strict=True):
        image = axes.imshow(part.T[order], cmap="cividis", vmin=0, vmax=1, aspect="auto")
        means = [f"{one}\n{mean:.2f}" for one, mean in zip(letters, part.mean(1), strict=True)]
        axes.set_xticks(range(len(letters)), means, fontsize=9)
        axes.set(title=name, xlabel="letter read, with the mean of all units")
        told.append(f"{name}, mean per letter: " + ", ".join(means).replace("\n", " "))
    panels[0].set_ylabel("unit")
    figure.colorbar(image, ax=panels, label="0: closed, 1: open")
    return Picture(figure, f"The gates over {' '.join(letters)}", "; ".join(told))


def right_by_place(title, tables, fewest=30):
    """Share of right symbols at each place of the target; `tables`: name -> `predictions` table.

    Places that fewer than `fewest` words have are left out.
    """
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    axes, told = figure.subplots(), []
    for number, (name, table) in enumerate(tables.items()):
        pairs = list(zip(table["target"], table["output"], strict=True))
        longest = max(len(target) for target, _ in pairs)
        having = [[(t, o) for t, o in pairs if len(t) > place] for place in range(longest)]
        having = [some for some in having if len(some) >= fewest]
        share = [np.mean([o[p : p + 1] == t[p] for t, o in some]) for p, some in enumerate(having)]
        look = {"color": COLOURS[number], "linestyle": STYLES[number % 4]}
        axes.plot(range(1, len(share) + 1), share, marker=MARKERS[number % 5], **look)
        axes.annotate(f" {name}", (len(share), share[-1]), color=COLOURS[number], fontsize=8)
        told.append(f"{name}: " + ", ".join(f"{value:.2f}" for value in share))
    ticks = [f"{place}\n{len(some):,}" for place, some in enumerate(having, start=1)]
    axes.set_xticks(range(1, len(ticks) + 1), ticks, fontsize=8)
    label_axes(axes, title, "place in the output, with the number of words", "right symbols")
    axes.set(ylim=(-0.02, 1.02), xlim=(0.5, len(ticks) * 1.28))
    return Picture(figure, title, "places 1, 2, 3 and so on: " + "; ".join(told))
