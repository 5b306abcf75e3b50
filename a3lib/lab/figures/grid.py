"""Training and validation losses of several runs in one grid with shared logarithmic axes."""

import numpy as np
from matplotlib.figure import Figure

from a3lib.lab.figures.base import COLOURS, Picture, label_axes

LOOKS = {"training": ("--", "train"), "validation": ("-", "per_token")}


def loss_grid(title, rows, live=None):
    """Losses per token against gradient steps, a panel per run group, axes shared by all panels.

    `rows` is a list of rows, each {caption: {label: records of one run}}. Lines are means of the
    seeds, bands go from the lowest to the highest; a seed that stopped early counts as long as it
    ran. `live` maps (caption, label) to the `History` of one more run, drawn thin. Raises
    ValueError for rows of different lengths.
    """
    across = {len(row) for row in rows}
    if len(across) != 1:
        raise ValueError(f"rows have {sorted(across)} panels: give each row as many")
    figure = Figure(figsize=(8.8, 2.9 * len(rows) + 0.5), layout="constrained")
    grid = figure.subplots(len(rows), *across, sharex=True, sharey=True, squeeze=False)
    panels, parts = [panel for row in rows for panel in row.items()], []
    for number, (axes, (caption, runs)) in enumerate(zip(grid.flat, panels, strict=True)):
        for colour, (label, records) in zip(COLOURS, runs.items(), strict=False):
            for told, (style, _) in LOOKS.items():
                steps, values = _curves([record["history"] for record in records], told)
                center = np.nanmean(values, 0)
                name = f"{label}, {told}"
                axes.plot(steps, center, style, color=colour, label=name)
                low, high = np.nanmin(values, 0), np.nanmax(values, 0)
                axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
                parts.append(f"{caption}, {name}: {np.nanmin(values, 1).mean():.3f} at the lowest")
                if live and (caption, label) in live:
                    history = vars(live[caption, label])
                    look = {"color": colour, "linewidth": 0.7}
                    axes.plot(history["updates"], _values(history, told), style, **look)
        last, left = number >= len(panels) - grid.shape[1], number % grid.shape[1] == 0
        label_axes(axes, caption, "gradient steps" * last, "loss per token (nats)" * left)
    axes.set(xscale="log", yscale="log")
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9
    )
    figure.suptitle(title)
    return Picture(figure, title, "means of the seeds: " + "; ".join(parts))


def _values(history, told):
    return history["train"] if told == "training" else history["validation"][LOOKS[told][1]]


def _curves(histories, told):
    """Steps (N,) of the longest history and values (seeds, N), NaN where a seed stopped early."""
    steps = max((history["updates"] for history in histories), key=len)
    values = np.full((len(histories), len(steps)), np.nan)
    for row, history in zip(values, histories, strict=True):
        row[: len(history["updates"])] = _values(history, told)
    return steps, values
