"""What drawings are made on: a sheet that measures in inches; and numbers as short text."""

import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from a3lib.lab.figures.base import Picture
from a3lib.translation.batches import indices

WIDTH = 8.8  # inches: with the margin that is added, at most 900 pixels
# every colour is given: a dark style of matplotlib would write white on the white ground
INK, PALE, FADED = "#222222", "#eeeeee", "#6e6e6e"


class Sheet:
    """A titled figure to write and draw on; places are (x, y) in inches from the lower left."""

    def __init__(self, title, height):
        self.title, self.figure = title, Figure(figsize=(WIDTH, height))
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, height))
        self.axes.axis("off")
        self.figure.suptitle(title, y=1 - 0.1 / height, fontsize=12, color=INK)

    def write(self, x, y, text, width=None, font=9, **look):
        """Text around (x, y), made smaller where it would be wider than `width` inches."""
        if width:
            paths = [TextPath((0, 0), line, size=font) for line in text.split("\n")]
            widest = max(path.vertices[:, 0].max(initial=1) for path in paths)
            font *= min(1, 72 * width / widest * 0.93)  # letters come to lie on whole pixels
        look = {"ha": "center", "va": "center", "color": INK, "fontsize": font, **look}
        self.axes.text(x, y, text, **look)

    def box(self, x, y, text, size, edge=INK, face="white", **look):
        """A box of a size (width, height) around (x, y), and a text that fits in."""
        corner, rounding = (x - size[0] / 2, y - size[1] / 2), 0.15 * min(size)
        style = f"round,pad=0,rounding_size={rounding}"
        self.axes.add_patch(FancyBboxPatch(corner, *size, boxstyle=style, ec=edge, fc=face, lw=1.3))
        self.write(x, y, text, size[0] - 0.16 * min(size), **look)

    def arrow(self, *points, color=INK, line="-", head=9):
        """An arrow along points (x, y), with corners."""
        look = {"color": color, "linestyle": line, "lw": 1.3, "joinstyle": "miter"}
        patch = FancyArrowPatch(path=Path(points), arrowstyle="-|>", mutation_scale=head, **look)
        self.axes.add_patch(patch)

    def picture(self, summary):
        """What `base.show` displays."""
        return Picture(self.figure, self.title, summary)


def numbers(values, name):
    """A list, array or tensor of any shape -> (n,). ValueError unless all are finite and n > 0."""
    flat = torch.as_tensor(values, dtype=torch.double).detach().cpu().flatten()
    if not len(flat) or not flat.isfinite().all():
        raise ValueError(f"{name}: {flat[:5].tolist()} should be finite numbers, one at least")
    return flat


def some(values, count=1):
    """The first few numbers as text."""
    first = "  ".join(f"{value:+.2f}" for value in values[:count]).replace("-", "−")
    return first + " …" * (len(values) > count > 1)


def symbols(word):
    """The symbols of a word and EOS, or those of a list. ValueError for none or an unknown one."""
    if not word:
        raise ValueError(f"{word!r} has no symbol: give a word")
    return [*word, "EOS"] if isinstance(word, str) and indices(word) else list(word)
