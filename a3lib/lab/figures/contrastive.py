"""Figures of contrastive learning: pictures on a sheet, two towers, the N x N matrix."""

import textwrap

import numpy as np
import torch
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from a3lib.clip.contrastive import contrastive_logits
from a3lib.lab.figures.base import COLOURS, InPlace, Picture, canvas, label_axes, look, tile

BOX = {"boxstyle": "round,pad=0.02,rounding_size=0.08", "linewidth": 1.2}
ARROW = {"arrowstyle": "-|>", "mutation_scale": 12, "color": "#444444"}


def contact_sheet(title, images, names, columns=16, framed=None, width=0.72):
    """All pictures, small, in reading order, with their names; `framed`: the place of a target.

    images: RGB arrays (height, width, 3) of any size; width: of a picture on the sheet, in inches.
    """
    lines = -(-len(images) // columns)
    size, longest = (width * columns, (width + 0.16) * lines + 0.4), round(20 * width)  # letters
    figure, panels = canvas(*size, lines, columns, squeeze=False)
    for place, (image, name) in enumerate(zip(images, names, strict=True)):
        below = name if len(name) <= longest else f"{name[: longest - 1]}…"
        tile(panels.flat[place], image, below, place == framed, 3, labelpad=1)
    for axes in panels.flat[len(images) :]:
        axes.axis("off")
    figure.suptitle(title)
    told = f"{len(images)} pictures, from {names[0]} to {names[-1]}"
    told += "" if framed is None else f"; the target, {names[framed]}, has an orange frame"
    return Picture(figure, title, told, photographs=True)


def towers(title, image, caption, sizes, cosine):
    """A picture and its caption through their towers into one space, where they meet.

    sizes: (texts of the picture's, of the caption's steps), as 'tokens (12)'; cosine: of the two.
    """
    figure, axes = canvas(10, 3.4)
    axes.set(xlim=(0, 10), ylim=(0, 3.4))
    axes.axis("off")
    axes.imshow(image, extent=(0.1, 1.3, 2.05, 3.25), zorder=2)
    said = "\n".join(textwrap.wrap(f"“{caption}”", 13))
    axes.text(0.7, 0.8, said, ha="center", va="center", fontsize=10)
    for row, (y, steps) in enumerate(zip((2.65, 0.8), sizes, strict=True)):
        places = np.linspace(2.4, 6.4, len(steps))
        for x, text in zip(places, steps, strict=True):
            style = {**BOX, "edgecolor": COLOURS[row], "facecolor": "white"}
            axes.add_patch(FancyBboxPatch((x - 0.72, y - 0.38), 1.44, 0.76, **style))
            axes.text(x, y, text, ha="center", va="center", fontsize=8)
        begins = [1.35, *(x + 0.75 for x in places)]
        ends = [*((x - 0.75, y) for x in places), (8.25, 1.72 + 0.2 * (y - 1.72))]
        for x, end in zip(begins, ends, strict=True):
            axes.add_patch(FancyArrowPatch((x, y), end, **ARROW))
    axes.text(9.1, 1.72, f"cosine\n{cosine:+.2f}", ha="center", va="center", fontsize=13)
    figure.suptitle(title)
    told = f"picture: {', '.join(sizes[0])}; caption: {', '.join(sizes[1])}"
    told += f"; their cosine: {cosine:+.2f}"
    return Picture(figure, title, told.replace("\n", " "), photographs=True)


def matrix(title, images, captions, cosines):
    """Cosines of N pictures (columns) and their N captions (rows); partners on the diagonal."""
    count = len(captions)
    figure, axes = canvas(0.5 * count + 3.2, 0.5 * count + 1.2)
    drawn = axes.imshow(cosines, cmap="cividis", vmin=-1, vmax=1)
    figure.colorbar(drawn, label="cosine", shrink=0.7)
    axes.set_yticks(range(count), captions, fontsize=8)
    axes.set(xticks=[], xlabel="pictures, in the order of their captions")
    for column, image in enumerate(images):
        box = axes.inset_axes([column / count, 1.005, 1 / count, 1 / count])
        box.imshow(image)
        box.axis("off")
    axes.set_title(title, pad=0.5 * 72 + 8)
    best = int((cosines.argmax(1) == np.arange(count)).sum())
    told = "partners {:+.2f} on average, others {:+.2f}; ".format(*_means(cosines))
    told += f"{best} of {count} captions fit their own picture best"
    return Picture(figure, title, told)


def _means(cosines):
    """Mean cosine of partners, and of all other pairs, of (N, N)."""
    partners = np.diag(cosines)
    return partners.mean(), (cosines.sum() - partners.sum()) / (cosines.size - len(cosines))


class LiveMatrix:
    """Callback of `contrastive.train`: the matrix of some pictures, redrawn every few epochs.

    pictures (N, 3, H, W) from 0 to 1 and tokens (N, S) go through the model as it is; `seen` keeps
    (epoch, cosines) of each drawing.
    """

    def __init__(self, title, pictures, tokens, captions, every=4):
        self.title, self.captions, self.every = title, captions, every
        self.pictures, self.tokens, self.seen = pictures, tokens, []
        self._show = InPlace()

    def __call__(self, history, model):
        done = len(history)
        if done % self.every and done not in (1, history.epochs):
            return
        model.eval()
        with torch.no_grad():
            features = model.encode_image(self.pictures), model.encode_text(self.tokens)
            cosines = contrastive_logits(*features, 1.0).T.numpy()  # (captions, pictures)
        self.seen.append((done, cosines))
        title = f"{self.title}, epoch {done} of {history.epochs}"
        drawn = matrix(title, rgb(self.pictures), self.captions, cosines)
        self._show(drawn._replace(title=self.title))  # its text is the same in every epoch

    def rising(self):
        """Cosines of partners and of others over the epochs, as a `Picture`."""
        figure, axes = canvas(6, 3)
        epochs, partners, others = zip(*((n, *_means(of)) for n, of in self.seen), strict=True)
        axes.plot(epochs, partners, label="partners", **look(0))
        axes.plot(epochs, others, label="others", **look(1))
        label_axes(axes, self.title, "epoch", "mean cosine")
        axes.legend()
        told = f"mean cosine after the last epoch: partners {partners[-1]:+.2f}"
        return Picture(figure, self.title, f"{told}, others {others[-1]:+.2f}")


def rgb(pictures):
    """(N, 3, H, W) from 0 to 1 or uint8 -> N arrays (H, W, 3) as matplotlib draws them."""
    return list(pictures.movedim(1, 3).numpy())
