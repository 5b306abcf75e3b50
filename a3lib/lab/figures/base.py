"""What all figures share: pictures with alt text, live pictures, colours, axes."""

import io
from typing import NamedTuple

from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart with every kind of colour vision
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES, MARKERS = ("-", "--", "-.", ":"), "osD^v"
SHARES = ("accuracy", "balanced")  # measures of a history that are no losses
DPI = 100


class Picture(NamedTuple):
    """A figure, its title and a one-line summary of what it shows, numbers included."""

    figure: Figure
    title: str
    summary: str
    photographs: bool = False  # kept as JPEG then, which is several times smaller


def canvas(width, height, rows=1, columns=1, **options):
    """(a figure of so many inches, its axes or an array of them); options: of `Figure.subplots`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, **options)


def look(number):
    """Colour and dashes of the line with a number."""
    return {"color": COLOURS[number % 7], "linestyle": STYLES[number % 4]}


def band(axes, x, values, low, high, number, **options):
    """A line of values over a band from low to high, all (N,), in the look of a number."""
    axes.plot(x, values, **look(number), **options)
    axes.fill_between(x, low, high, color=COLOURS[number % 7], alpha=0.2, linewidth=0)


def tile(axes, image, below, framed=False, linewidth=4, **options):
    """An image (height, width, 3) without ticks over a small text; an orange frame marks it."""
    axes.imshow(image)
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(below, fontsize=6, **options)
    axes.spines[:].set(visible=framed, color=COLOURS[1], linewidth=linewidth)


def bundle(picture, live=False):
    """MIME bundle and metadata of a picture: PNG or JPEG, and its summary as text and alt text.

    The text of a `live` picture is its title alone, which does not change from run to run.
    """
    buffer, form = io.BytesIO(), "jpeg" if picture.photographs else "png"
    options = {"dpi": DPI, "facecolor": "white", "bbox_inches": "tight"}
    picture.figure.savefig(buffer, format=form, **options)
    alt = f"{picture.title}: {picture.summary}"
    kind, text = f"image/{form}", picture.title if live else alt
    return {kind: buffer.getvalue(), "text/plain": text}, {kind: {"alt": alt}}


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
    """Callback of a training (`fit`, `fine_tune`) that draws its history in place.

    Drawing takes a tenth of a second, so it is done once per second at most, and at the end.
    """

    def __init__(self, title, interval=1.0):
        self.title, self.interval = title, interval
        self._show, self._drawn = InPlace(), 0.0

    def __call__(self, history, model=None):
        done = len(history) == history.epochs
        if done or history.seconds[-1] - self._drawn >= self.interval:
            self._drawn = history.seconds[-1]
            self._show(progress(self.title, history))

    def finish(self, history):
        """Draw the last state, for a run that stopped before its last epoch."""
        if len(history):
            self._show(progress(self.title, history))


def progress(title, history):
    """Losses of a `History` so far, other measures beside them, and a bar of the epochs done."""
    lines = len(history.notes)
    figure = Figure(figsize=(8, 3.2 + 0.25 * lines), layout="constrained")
    shares = [name for name in history.validation if name in SHARES]
    upper, lower = figure.subfigures(2, 1, height_ratios=[10, 2 + lines])
    panels = upper.subplots(1, 2 if shares else 1, squeeze=False)[0]
    panels[0].plot(history.updates, history.train, color=COLOURS[0], label="training")
    for number, (name, values) in enumerate(history.validation.items()):
        share, label = name in SHARES, f"validation, {name.replace('_', ' ')}"
        style = {"color": COLOURS[1], "linestyle": STYLES[number % 4], "marker": "." * share}
        panels[-1 if share else 0].plot(history.updates, values, label=label, **style)
    label_axes(panels[0], title, "gradient steps", "loss (nats)")
    if shares:
        label_axes(panels[1], "validation", "gradient steps", "share of examples")
        panels[1].set_ylim(0, 1.02)
    for axes in panels:
        axes.legend(fontsize=8)
    bar, done = lower.subplots(), len(history)
    bar.barh([0], [done], color=COLOURS[2])
    bar.set(xlim=(0, history.epochs), yticks=[], xticks=[])
    notes = "".join(f"\n{note}" for note in history.notes)
    bar.set_xlabel(f"epoch {done} of {history.epochs}, {history.seconds[-1]:.0f} s{notes}")
    measured = [f"{k.replace('_', ' ')} {v[-1]:.3f}" for k, v in history.validation.items()]
    told = f"after epoch {done} of {history.epochs} ({history.updates[-1]:,} gradient steps) the "
    told += f"training loss is {history.train[-1]:.3f}; validation: {', '.join(measured)}"
    return Picture(figure, title, told)


def label_axes(axes, title, xlabel, ylabel):
    """Title and names of the axes, a light grid, no frame above and at the right."""
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
