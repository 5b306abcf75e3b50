"""Emoji as four vendors draw them, 32 x 32 pixels, with names and keywords: see data/pictures."""

import csv
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from a3lib.clip.gallery import Pictures
from a3lib.clip.small import SIDE
from a3lib.data.scenes import PAIRS

FOLDER = Path(__file__).parent / "pictures"
STYLES = {  # and how they are credited
    "twemoji": "Twemoji, X Corp. and contributors, CC BY 4.0",
    "noto": "Noto Emoji, Google, Apache 2.0",
    "openmoji": "OpenMoji, CC BY-SA 4.0",
    "fluent": "Fluent Emoji, Microsoft, MIT",
}


class Emoji(NamedTuple):
    """One emoji; `name` and `keywords` (words in one string) are those of Unicode's CLDR."""

    code: str
    name: str
    keywords: str
    group: str

    @property
    def withheld(self):
        """Whether name and keywords hold a pair of words that training must not meet."""
        words = set(f"{self.name}, {self.keywords}".replace(",", "").split())
        return any(words.issuperset(pair) for pair in PAIRS)


@dataclass(frozen=True)
class Drawing:
    """One emoji in one style, with all that galleries and the hunt ask of a `Photograph`."""

    emoji: Emoji
    style: str
    pixels: torch.Tensor  # (3, 32, 32), uint8

    name = property(lambda self: self.emoji.name)
    caption = label = alt = name
    credit = property(lambda self: STYLES[self.style])

    def image(self):
        """The drawing, four times as large."""
        small = Image.fromarray(self.pixels.movedim(0, 2).numpy())
        return small.resize((4 * SIDE, 4 * SIDE), Image.Resampling.BICUBIC)


@functools.cache
def emoji():
    """All emoji in the order of the pictures."""
    with (FOLDER / "emoji.tsv").open(encoding="utf8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return tuple(Emoji(*row) for row in rows[1:])


@functools.cache
def drawn(style):
    """All pictures of one of STYLES: (N, 3, 32, 32), uint8."""
    if style not in STYLES:
        raise ValueError(f"the styles are {', '.join(STYLES)}, not {style!r}")
    sheet = np.asarray(Image.open(FOLDER / f"{style}.webp").convert("RGB"))
    rows, columns = sheet.shape[0] // SIDE, sheet.shape[1] // SIDE
    tiles = sheet.reshape(rows, SIDE, columns, SIDE, 3).transpose(0, 2, 4, 1, 3)
    return torch.from_numpy(tiles.reshape(-1, 3, SIDE, SIDE)[: len(emoji())].copy())


def gallery(model, style):
    """`Pictures` of all emoji in a style, as a `SmallClip` sees them."""
    pixels = drawn(style)
    drawings = [Drawing(one, style, tile) for one, tile in zip(emoji(), pixels, strict=True)]
    return Pictures(model, drawings, model.encode_image(pixels / 255))


def augmented(pictures):
    """(N, 3, 32, 32), uint8 -> from 0 to 1: each moved, turned, stretched, tinted.

    Some get outlines or fade, as line drawings do. Random numbers come from torch's generator.
    """
    count = len(pictures)

    def uniform(low, high, *shape):
        return torch.empty(*shape, count).uniform_(low, high)

    turn, stretch = uniform(-0.2, 0.2, 2)
    size, (right, down) = uniform(0.85, 1.2), uniform(-0.12, 0.12, 2)
    first = torch.stack([size * turn.cos(), -turn.sin(), right], dim=1)  # (N, 3)
    second = torch.stack([turn.sin(), (size + stretch) * turn.cos(), down], dim=1)
    matrix = torch.stack([first, second], dim=1)  # (N, 2, 3)
    grid = functional.affine_grid(matrix, pictures.shape, align_corners=False)
    ink = functional.grid_sample(1 - pictures / 255, grid, align_corners=False)  # around it white
    grey = ink.mean(1, keepdim=True)
    ink = grey + (ink - grey) * uniform(0.6, 1.4)[:, None, None, None]  # colourfulness
    ink = ink * uniform(0.85, 1.15, 3).T[:, :, None, None]  # tint
    highest, lowest = (sign * functional.max_pool2d(sign * grey, 3, 1, 1) for sign in (1, -1))
    outline = uniform(0, 1.5) * (uniform(0, 1) < 0.5)  # half of them get one
    ink = ink + outline[:, None, None, None] * (highest - lowest)
    fade = uniform(0, 0.6) * (uniform(0, 1) < 0.4)
    return 1 - ((1 - fade[:, None, None, None]) * ink).clamp(0, 1)


class EmojiBatches:
    """Emoji of some styles to train on, none twice in a batch; `encode` makes tokens of captions.

    A caption is the name, or for a share `keywords` of the pictures up to three keywords.
    """

    def __init__(self, styles, encode, keywords=0.0):
        self.pictures = torch.stack([drawn(style) for style in styles])  # (styles, N, 3, 32, 32)
        self.shown = torch.tensor([i for i, one in enumerate(emoji()) if not one.withheld])
        some = [", ".join(one.keywords.split(", ")[k : k + 3]) for k in (0, 3) for one in emoji()]
        texts = [one.name for one in emoji()] + some
        self.tokens = encode(texts).view(3, len(emoji()), -1)  # (3, N, S): names, keywords
        self.shares = torch.tensor([1 - keywords, keywords / 2, keywords / 2])

    def batches(self, size):
        """Batches per epoch: every picture once."""
        return len(self.pictures) * -(-len(self.shown) // size)

    def epoch(self, size):
        """Batches of (pictures (n, 3, 32, 32) from 0 to 1, tokens), by torch's generator."""
        styles = torch.rand(len(self.pictures), len(emoji())).argsort(0)  # an order per emoji
        for style in styles:
            order = self.shown[torch.randperm(len(self.shown))]
            for chosen in order.tensor_split(-(-len(order) // size)):
                pictures = self.pictures[style[chosen], chosen]
                kinds = self.shares.multinomial(len(chosen), replacement=True)
                yield augmented(pictures), self.tokens[kinds, chosen]
