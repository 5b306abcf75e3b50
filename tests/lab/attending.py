"""Tiny untrained translators of every kind that attends, and how many maps each has."""

from a3lib.translation.models import ModelSettings, build
from a3lib.translation.transformer import BLOCK, TransformerSettings

SETTINGS = {
    "additive": ModelSettings("rnn-attention", 8),
    "scaled_dot": ModelSettings("rnn-attention", 8, attention="scaled_dot"),
    "block": ModelSettings("transformer", 8, transformer=BLOCK),
    "transformer": ModelSettings("transformer", 8, layers=3),
    "modern": ModelSettings("modern", 8, layers=2),
    "not causal": ModelSettings("transformer", 8, transformer=TransformerSettings(causal=False)),
}
MODELS = {name: build(settings, seed=0) for name, settings in SETTINGS.items()}
# whether encoder and decoder attend to themselves, layers, heads
COUNTS = {"additive": (False, 1, 1), "scaled_dot": (False, 1, 1), "block": (True, 1, 1)}
COUNTS |= {"transformer": (True, 3, 1), "modern": (True, 2, 2), "not causal": (True, 1, 1)}
