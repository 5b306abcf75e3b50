"""Towers of the small CLIP that begin pretrained: EfficientNet for pictures, MiniLM for texts."""

import functools

import torch
from torch import nn
from torch.nn import functional

from a3lib.clip.model import efficientnet
from a3lib.pretrained.encoders import load_encoder

SIDE = 64  # pixels: emoji of 32 are drawn twice as large, so that EfficientNet keeps 2 x 2 places
MEAN, DEVIATION = 127 / 255, 128 / 255  # of EfficientNet's training
LENGTH = 16  # tokens of a caption


class PretrainedImageTower(nn.Module):
    """Pictures (B, 3, 32, 32) from 0 to 1 -> (B, D); locked: only the projection learns."""

    def __init__(self, dimension, locked):
        super().__init__()
        whole, _ = efficientnet()
        parts = (whole.conv_stem, whole.bn1, *whole.blocks, whole.conv_head, whole.bn2)
        self.tower, self.locked = nn.Sequential(*parts).requires_grad_(not locked), locked
        self.projection = nn.Linear(whole.num_features, dimension)

    def train(self, mode=True):
        """A locked tower keeps the statistics of its batch norms."""
        super().train(mode)
        self.tower.train(mode and not self.locked)
        return self

    def forward(self, pictures):
        large = functional.interpolate(pictures, size=(SIDE, SIDE), mode="bilinear")
        maps = self.tower(
            ((large - MEAN) / DEVIATION).contiguous(memory_format=torch.channels_last)
        )
        return self.projection(maps.mean((2, 3)))  # (B, D)


class PretrainedTextTower(nn.Module):
    """Tokens (B, S) of a `SentenceVocabulary` -> (B, D); locked: only the projection learns."""

    def __init__(self, dimension, locked):
        super().__init__()
        self.encoder = load_encoder(source="offline").model.requires_grad_(not locked)
        self.projection = nn.Linear(self.encoder.config.hidden_size, dimension)

    def forward(self, tokens):
        self.encoder.eval()  # no dropout, as in the other towers
        states = self.encoder(tokens, attention_mask=tokens != 0).last_hidden_state  # (B, S, H)
        seen = (tokens != 0)[..., None]  # (B, S, 1)
        return self.projection((states * seen).sum(1) / seen.sum(1))  # (B, D)


class SentenceVocabulary:
    """MiniLM's tokens; takes the place of a `Vocabulary`."""

    def __init__(self):
        self.tokenizer = load_encoder(source="offline").tokenizer

    def tokens(self, text):
        """Tokens of a text with its two end marks."""
        return self.tokenizer(text, verbose=False)["input_ids"]

    def encode(self, texts):
        """Strings -> (B, S): filled up with 0."""
        limits = {"padding": "max_length", "truncation": True, "max_length": LENGTH}
        return self.tokenizer(list(texts), return_tensors="pt", **limits)["input_ids"]


@functools.cache
def sentence_vocabulary():
    """The one `SentenceVocabulary`."""
    return SentenceVocabulary()


def put_pretrained(model, run, seed):
    """Put the pretrained towers that a `TowerRun` asks for into an untrained small CLIP."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if run.image:
            model.visual = PretrainedImageTower(run.settings.dimension, run.locked)
        if run.text:
            model.text = PretrainedTextTower(run.settings.dimension, run.locked)
    return model
