"""Figures: each function takes data and returns a `Picture`; `show` displays it with its summary as alt text."""

import io
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart with every kind of colour vision
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", "-.", ":")
DPI = 100


class Picture(NamedTuple):
    """A figure, its title and a one-line summary of what it shows, numbers included."""

    figure: Figure
    title: str
    summary: str


def bundle(picture, live=False):
    """MIME bundle and metadata of a picture: PNG, and its summary as text and alt text.

    The text of a `live` picture is its title alone, which does not change from run to run.
    """
    buffer = io.BytesIO()
    picture.figure.savefig(buffer, format="png", dpi=DPI, facecolor="white", bbox_inches="tight")
    alt = f"{picture.title}: {picture.summary}"
    data = {"image/png": buffer.getvalue(), "text/plain": picture.title if live else alt}
    return data, {"image/png": {"alt": alt}}


def show(picture, live=False):
    """Display a picture in the notebook."""
    from IPython.display import display

    data, metadata = bundle(picture, live)
    display(data, metadata=metadata, raw=True)


class InPlace:
    """A live picture in the notebook that each call replaces by a new one."""

    def __init__(self):
        self._handle = None

    def __call__(self, picture):
        from IPython.display import display

        data, metadata = bundle(picture, live=True)
        if self._handle is None:
            self._handle = display(data, metadata=metadata, raw=True, display_id=True)
        else:
            self._handle.update(data, metadata=metadata, raw=True)


class LiveCurve:
    """Callback of a training that draws its history in place, progress included: `draw(title, history)` -> `Picture`.

    Drawing takes a tenth of a second, so it is done once a second at most, and at the end. Without `draw` these are the
    curves of `training.fit`.
    """

    def __init__(self, title, interval=1.0, draw=None):
        self.title, self.interval, self.draw = title, interval, draw or progress
        self._show, self._drawn = InPlace(), 0.0

    def __call__(self, history):
        done = len(history) == history.epochs
        if not done and history.seconds[-1] - self._drawn < self.interval:
            return
        self._drawn = history.seconds[-1]
        self._show(self.draw(self.title, history))

    def finish(self, history):
        """Draw the last state, for a run that stopped before its last epoch."""
        if len(history):
            self._drawn = -self.interval
            self(history)


def progress(title, history):
    """Training and validation loss of a `History` so far, with a bar of the epochs done."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes, bar = figure.subplots(2, 1, height_ratios=[12, 1])
    for values, label, colour, style in (
        (history.train, "training, per token", COLOURS[0], "-"),
        (history.per_token, "validation, per token", COLOURS[1], "-"),
        (history.bucket_mean, "validation, bucket mean", COLOURS[1], ":"),
    ):
        axes.plot(history.updates, values, color=colour, linestyle=style, label=label)
    axes.plot(history.updates[history.best], history.per_token[history.best], "o", color=COLOURS[1], label="kept model")
    label_axes(axes, title, "gradient steps", "loss (nats)")
    axes.legend(fontsize=8)
    done, seconds = len(history), history.seconds[-1]
    bar.barh([0], [done], color=COLOURS[2])
    bar.set(xlim=(0, history.epochs), yticks=[], xticks=[])
    bar.set_xlabel(f"epoch {done} of {history.epochs}, {seconds:.0f} s on {history.device}")
    summary = (
        f"after {history.updates[-1]:,} gradient steps ({seconds:.0f} s on {history.device}) the training loss is "
        f"{history.train[-1]:.3f}, the best validation loss {history.per_token[history.best]:.3f} per token and "
        f"{min(history.bucket_mean):.3f} as bucket mean"
    )
    return Picture(figure, title, summary)


def word_lengths(words):
    """Histogram of word lengths; `words` maps a name to a list of words."""
    figure, axes = _figure((7, 2.8))
    longest = max(len(word) for some in words.values() for word in some)
    width = 0.8 / len(words)
    parts = []
    for number, (name, some) in enumerate(words.items()):
        lengths = [len(word) for word in some]
        share = np.bincount(lengths, minlength=longest + 1) / len(lengths)
        axes.bar(np.arange(longest + 1) + (number - 0.5) * width, share, width, color=COLOURS[number], label=name)
        parts.append(f"{name} has {len(some):,} words, mean length {np.mean(lengths):.1f}, longest {max(lengths)}")
    axes.set_xticks(range(0, longest + 1, 2))
    label_axes(axes, "Word lengths", "characters", "share of words")
    axes.legend()
    return Picture(figure, "Word lengths", "; ".join(parts))


def loss_curves(title, records, metrics, live=None):
    """Losses against gradient steps: the mean over seeds with a band from the lowest to the highest seed.

    `records` maps a label to records of one run, `metrics` a caption to an attribute of `History` (one panel each);
    `live` maps a label to the `History` of a run of this session. Where a seed stopped early the others go on.
    """
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(metrics), sharey=True))
    parts = []
    for axes, (caption, metric) in zip(panels, metrics.items(), strict=True):
        for number, (label, runs) in enumerate(records.items()):
            look = {"color": COLOURS[number], "linestyle": STYLES[number % len(STYLES)]}
            updates = max((run["history"]["updates"] for run in runs), key=len)
            values = np.full((len(runs), len(updates)), np.nan)
            for row, run in zip(values, runs, strict=True):
                row[: len(run["history"][metric])] = run["history"][metric]
            axes.plot(updates, np.nanmean(values, 0), label=label, **look)
            low, high = np.nanmin(values, 0), np.nanmax(values, 0)
            axes.fill_between(updates, low, high, color=COLOURS[number], alpha=0.2, linewidth=0)
            parts.append(f"{label}, {caption}: {np.nanmin(values, 1).mean():.3f}")
            if live and label in live:
                axes.plot(
                    live[label].updates, getattr(live[label], metric), linewidth=0.7, label=f"{label}, live", **look
                )
        label_axes(axes, caption, "gradient steps", "loss (nats)" if axes is panels[0] else "")
    panels[-1].legend(fontsize=8)
    return Picture(figure, title, "lowest loss, mean of the seeds: " + "; ".join(parts))


def accuracy_by_group(title, groups, column, xlabel, order=None):
    """Share of right words by a column of `records.groups` tables: mean over seeds, band or bar from lowest to highest.

    `groups` maps a label to the table of one run; `order` lists the values of the column to show.
    """
    figure, axes = _figure((8, 3.2))
    parts = []
    for number, (label, frame) in enumerate(groups.items()):
        counts = frame.groupby(["seed", column])[["right", "words"]].sum()
        share = (counts["right"] / counts["words"]).unstack("seed")
        share = share.loc[order] if order is not None else share
        places, mean = np.arange(len(share)) + 0.12 * number, share.mean(axis=1)
        spread = np.array([mean - share.min(axis=1), share.max(axis=1) - mean])
        marker = "osD^"[number % 4]
        axes.errorbar(places, mean, spread, color=COLOURS[number], fmt=marker, capsize=2, label=label)
        parts.append(f"{label} from {mean.iloc[0]:.0%} at {share.index[0]} to {mean.iloc[-1]:.0%} at {share.index[-1]}")
    axes.set_xticks(np.arange(len(share)), [str(value) or "none" for value in share.index])
    label_axes(axes, title, xlabel, "exactly right words")
    axes.set_ylim(-0.02, 1.02)
    axes.legend(fontsize=8)
    return Picture(figure, title, "; ".join(parts))


def position_map(encodings):
    """Heat-map of position encodings (places, H), a tensor: a column a place, a row a number."""
    encodings = encodings.numpy()
    figure, axes = _figure((7, 3))
    image = axes.imshow(encodings.T, cmap="PuOr", vmin=-1, vmax=1, aspect="auto")
    figure.colorbar(image, ax=axes, label="value")
    axes.set(title="Positions as waves", xlabel="place", ylabel="number of the vector")
    changes = np.abs(np.diff(encodings, axis=0)).mean(0)
    told = (
        f"from one to the next the first number changes by {changes[0]:.2f} on average, the last by {changes[-1]:.0e}"
    )
    return Picture(figure, "Positions as waves", f"{len(encodings)} places; {told}")


def _figure(size):
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots()


def label_axes(axes, title, xlabel, ylabel):
    """Title and names of the axes, a light grid, no frame above and at the right."""
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
