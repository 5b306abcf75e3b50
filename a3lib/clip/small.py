"""The towers of a small CLIP: convolutions and transformer blocks in open_clip's class."""

import math

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn
from torch.nn import functional

from a3lib.clip.model import TwoTowers

SIDE = 32  # pixels of a picture
CONTEXT = 12  # tokens of a caption with its two end marks; names have at most 10


class Convolution(nn.Module):
    """A convolution that halves a picture; its weights are a matrix, as Muon wants them."""

    def __init__(self, inputs, outputs, side):
        super().__init__()
        self.shape = (outputs, inputs, side, side)
        self.weight = nn.Parameter(torch.empty(outputs, inputs * side * side))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)  # as nn.Conv2d
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        x = functional.conv2d(x, self.weight.view(self.shape), stride=2, padding=1)
        return functional.gelu(self.norm(x))


class ImageTower(nn.Module):
    """Pictures (B, 3, 32, 32) from 0 to 1 -> (B, D), knowing where in the picture things are."""

    def __init__(self, widths, dimension):
        super().__init__()
        pairs = enumerate(zip((3, *widths), widths, strict=False))
        layers = [Convolution(*pair, 3 if number else 4) for number, pair in pairs]
        self.blocks = nn.Sequential(*layers)
        self.projection = nn.Linear(widths[-1] * (SIDE >> len(widths)) ** 2, dimension)

    def forward(self, pictures):
        maps = self.blocks((pictures - 0.75) / 0.35)  # (B, C, 4, 4); mostly white: a high mean
        return self.projection(maps.flatten(1))  # (B, D)


def build(settings, vocabulary, seed=0):
    """open_clip's `CustomTextCLIP` with random weights and an `ImageTower` for pictures."""
    from open_clip import CustomTextCLIP

    replaced = {"image_size": SIDE, "patch_size": SIDE, "layers": 1, "width": 8, "head_width": 8}
    text = {"context_length": CONTEXT, "vocab_size": len(vocabulary.places) + 1}
    text |= {"width": settings.text_width, "heads": settings.text_width // 32}
    text |= {"layers": settings.text_layers}
    scale = -math.log(settings.temperature)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CustomTextCLIP(settings.dimension, replaced, text, init_logit_scale=scale)
        model.visual = ImageTower(settings.widths, settings.dimension)
    return model


class Vocabulary:
    """CLIP's tokens, as far as some captions use them; all others are left out of a text."""

    def __init__(self, captions):
        from open_clip import SimpleTokenizer

        self.tokenizer = SimpleTokenizer()
        self.ends = [self.tokenizer.sot_token_id, self.tokenizer.eot_token_id]
        known = {token for caption in captions for token in self.tokenizer.encode(caption)}
        self.places = {token: place for place, token in enumerate(sorted({*known, *self.ends}), 1)}

    def tokens(self, text):
        """Places of a text's tokens between the end marks, of which the second is the highest."""
        start, end = (self.places[token] for token in self.ends)
        return [start, *filter(None, map(self.places.get, self.tokenizer.encode(text))), end]

    def encode(self, texts):
        """Strings -> (B, CONTEXT): filled up with 0; the end mark of a long text is kept."""
        rows = [[*(found := self.tokens(text))[:-1][: CONTEXT - 1], found[-1]] for text in texts]
        return torch.tensor([row + [0] * (CONTEXT - len(row)) for row in rows])


class SmallClip(TwoTowers):
    """A trained small CLIP for galleries, zero-shot labels and the caption game."""

    is_clip, name, context_length = True, "small-clip", CONTEXT
    label = "A small CLIP of our own, trained from random weights; it has seen no photograph."

    def __init__(self, model, vocabulary):
        super().__init__()
        self.model, self.vocabulary = model.to(self.device).eval(), vocabulary
        self.logit_scale = model.logit_scale.exp().item()
        self.image_tower = model.encode_image

    def text_tower(self, texts):
        return self.model.encode_text(self.vocabulary.encode(texts).to(self.device))  # (B, D)

    def count_tokens(self, text):
        """Known tokens of a text with its two end marks, before any is cut off."""
        return len(self.vocabulary.tokens(text))

    def preprocess(self, picture):
        """RGB picture -> its centre square (3, 32, 32), from 0 to 1."""
        square = ImageOps.fit(picture, (SIDE, SIDE), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(square)).permute(2, 0, 1) / 255
