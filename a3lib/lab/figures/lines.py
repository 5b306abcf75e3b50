"""Lines with bands over seeds, dots with intervals, shares by a property or place of words."""

from itertools import zip_longest

import numpy as np

from a3lib.lab.figures.base import COLOURS, MARKERS, Picture, band, canvas, label_axes, look
from a3lib.lab.records import word_groups
from a3lib.lab.verdicts import Difference, mean

LOSSES = {"training": ("--", "train"), "validation": ("-", "per_token")}  # line, measure


def bands(title, panels, xlabel, ylabel, references=(), log=None, thin=None):
    """Lines of means over seeds, with bands from the lowest to the highest seed.

    `panels` maps a caption to {label: (x (N,), values (seeds, N))}, NaN where a seed stopped early;
    `references` holds (name, y) of dotted lines in the last panel; `log` is 'x', 'y' or 'xy';
    `thin` maps (caption, label) to (x, y) of a single run that is drawn thin.
    """
    options = {"squeeze": False, "sharey": len(panels) > 1}
    figure, (row,) = canvas(4.6 * len(panels) + 0.4, 3.4, 1, len(panels), **options)
    parts = []
    for axes, (caption, lines) in zip(row, panels.items(), strict=True):
        for number, (label, (x, values)) in enumerate(lines.items()):
            values = np.asarray(values, dtype=float)
            middle, low, high = (of(values, 0) for of in (np.nanmean, np.nanmin, np.nanmax))
            band(axes, x, middle, low, high, number, label=label)
            parts.append(f"{label}, {caption}: {np.nanmin(values, 1).mean():.3f} at the lowest")
            if thin and (caption, label) in thin:
                style = {"linewidth": 0.7, "label": f"{label}, live", **look(number)}
                axes.plot(*thin[caption, label], **style)
        label_axes(axes, caption, xlabel, ylabel if axes is row[0] else "")
        for axis in log or "":
            axes.set(**{f"{axis}scale": "log"})
    for name, y in references:
        axes.axhline(y, color=COLOURS[6], linewidth=0.8, linestyle=":", label=name)
    axes.legend(fontsize=8)
    figure.suptitle(title)
    return Picture(figure, title, "means of the seeds: " + "; ".join(parts))


def loss_curves(title, records, measures, live=None, log=None):
    """`bands` of losses against gradient steps.

    `records` maps a label to the records of one run, `measures` a caption to 'train' or a measure
    of the validation words; `live` maps a label to the `History` of a run of this session.
    """
    panels, thin = {}, {}
    for caption, measure in measures.items():
        panels[caption] = {label: _curves(runs, measure) for label, runs in records.items()}
        for label, history in (live or {}).items():
            thin[caption, label] = (history.updates, _curve(vars(history), measure))
    return bands(title, panels, "gradient steps", "loss (nats)", log=log, thin=thin)


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
    shared = {"sharex": True, "sharey": True, "squeeze": False}
    figure, grid = canvas(8.8, 2.9 * len(rows) + 0.5, len(rows), *across, **shared)
    panels, parts = [panel for row in rows for panel in row.items()], []
    for number, (axes, (caption, runs)) in enumerate(zip(grid.flat, panels, strict=True)):
        for colour, (label, records) in zip(COLOURS, runs.items(), strict=False):
            for told, (style, measure) in LOSSES.items():
                steps, values = _curves(records, measure)
                center = np.nanmean(values, 0)
                name = f"{label}, {told}"
                axes.plot(steps, center, style, color=colour, label=name)
                low, high = np.nanmin(values, 0), np.nanmax(values, 0)
                axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
                parts.append(f"{caption}, {name}: {np.nanmin(values, 1).mean():.3f} at the lowest")
                if live and (caption, label) in live:
                    history = vars(live[caption, label])
                    thin = {"color": colour, "linewidth": 0.7}
                    axes.plot(history["updates"], _curve(history, measure), style, **thin)
        last, left = number >= len(panels) - grid.shape[1], number % grid.shape[1] == 0
        label_axes(axes, caption, "gradient steps" * last, "loss per token (nats)" * left)
    axes.set(xscale="log", yscale="log")
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9
    )
    figure.suptitle(title)
    return Picture(figure, title, "means of the seeds: " + "; ".join(parts))


def _curves(runs, measure):
    histories = [run["history"] for run in runs]
    updates = max((history["updates"] for history in histories), key=len)
    curves = [_curve(history, measure) for history in histories]
    return updates, np.array([*zip_longest(*curves, fillvalue=np.nan)]).T


def _curve(history, measure):
    return history["train"] if measure == "train" else history["validation"][measure]


def intervals(title, groups, xlabel, references=()):
    """A dot per seed, mean and 95 % interval of each named group of values.

    A group whose interval would leave the values 0 to 1 of a share shows its dots alone.
    """
    figure, axes = canvas(8, 0.38 * len(groups) + 1.2)
    parts = []
    for row, (name, values) in enumerate(groups.items()):
        axes.plot(values, [row] * len(values), ".", color=COLOURS[5])
        low, high = Difference(values, [0.0] * len(values), paired=True).interval()
        center, shown = mean(values), f"{min(values):.3f} to {max(values):.3f}"
        if low >= 0 and high <= 1:
            ends = [[center - low], [high - center]]
            axes.errorbar(center, row, xerr=ends, fmt="o", color=COLOURS[0], capsize=3)
            shown = f"{center:.3f} ({low:.3f} to {high:.3f})"
        parts.append(f"{name} {shown}")
    for name, x in references:
        axes.axvline(x, color=COLOURS[1], linestyle=":", label=name)
    if references:
        axes.legend(fontsize=8, loc="lower left")
    axes.set_yticks(range(len(groups)), list(groups))
    axes.set_ylim(len(groups) - 0.4, -0.6)
    label_axes(axes, title, xlabel, "")
    return Picture(figure, title, "; ".join(parts))


def accuracy_by_group(title, records, column, xlabel, values, words="unseen"):
    """Share of right words by a column of `word_groups`: mean, lowest and highest seed.

    `records` maps a label to the records of one run; `values` are the groups to show, each a value
    of the column or a range of them. The number of words stands below each group.
    """
    figure, axes = canvas(8, 3.4)
    parts, ranges = [], [v if isinstance(v, range) else [v] for v in values]
    names = [f"{of[0]} to {of[-1]}" if len(of) > 1 else str(of[0]) or "none" for of in ranges]
    for number, (label, runs) in enumerate(records.items()):
        frame = word_groups(runs, words)
        groups = [frame[frame[column].isin(of)].groupby("seed") for of in ranges]
        sums = [group[["right", "words"]].sum() for group in groups]
        share = np.array([each["right"] / each["words"] for each in sums])  # (groups, seeds)
        center = share.mean(1)
        spread = [center - share.min(1), share.max(1) - center]
        places = np.arange(len(values)) + 0.12 * number
        style = {"color": COLOURS[number], "fmt": MARKERS[number % 5], "capsize": 2}
        axes.errorbar(places, center, spread, label=label, **style)
        ends = [f"{center[end]:.0%} at {names[end]}" for end in (0, -1)]
        parts.append(f"{label} from {' to '.join(ends)}")
    ticks = [f"{name}\nn = {each.iat[0, 1]}" for name, each in zip(names, sums, strict=True)]
    axes.set_xticks(np.arange(len(values)), ticks, fontsize=8)
    label_axes(axes, title, xlabel, "exactly right words")
    axes.set_ylim(-0.02, 1.02)
    axes.legend(fontsize=8)
    return Picture(figure, title, "; ".join(parts))


def right_by_place(title, tables, fewest=30):
    """Share of right symbols at each place of the target; `tables`: name -> `predictions` table.

    Places that fewer than `fewest` words have are left out.
    """
    (figure, axes), told = canvas(8.8, 3.4), []
    for number, (name, table) in enumerate(tables.items()):
        pairs = list(zip(table["target"], table["output"], strict=True))
        longest = max(len(target) for target, _ in pairs)
        having = [[(t, o) for t, o in pairs if len(t) > place] for place in range(longest)]
        having = [some for some in having if len(some) >= fewest]
        share = [np.mean([o[p : p + 1] == t[p] for t, o in some]) for p, some in enumerate(having)]
        axes.plot(range(1, len(share) + 1), share, marker=MARKERS[number % 5], **look(number))
        axes.annotate(f" {name}", (len(share), share[-1]), color=COLOURS[number], fontsize=8)
        told.append(f"{name}: " + ", ".join(f"{value:.2f}" for value in share))
    ticks = [f"{place}\n{len(some):,}" for place, some in enumerate(having, start=1)]
    axes.set_xticks(range(1, len(ticks) + 1), ticks, fontsize=6.5)
    label_axes(axes, title, "place in the output, with the number of words", "right symbols")
    axes.set(ylim=(-0.02, 1.02), xlim=(0.5, len(ticks) * 1.28))
    return Picture(figure, title, "places 1, 2, 3 and so on: " + "; ".join(told))
