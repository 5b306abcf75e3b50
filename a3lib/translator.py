"""The one shape of every translator: encode(source) -> memory, decode(memory, prefix) -> logits."""

from typing import NamedTuple

import torch
from torch import nn


class Memory(NamedTuple):
    """What the decoder may look at."""

    states: torch.Tensor  # (B, S, H) encoder state at each source symbol
    last: torch.Tensor  # (B, H) encoder state after the last symbol
    mask: torch.Tensor | None  # (B, S) True at symbols; None where no word is padded


class Translator(nn.Module):
    """An encoder and a decoder.

    The encoder maps (source, mask) to states and a last state; the decoder maps (prefix, memory) to logits and offers
    `start(memory)` and `step(symbol, state, memory)` to go on symbol by symbol.
    """

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def encode(self, source, mask=None):
        """source (B, S), mask (B, S) or None -> `Memory`."""
        return Memory(*self.encoder(source, mask), mask)

    def decode(self, memory, prefix):
        """Logits (B, T, V) of the symbol that follows each symbol of the prefix (B, T)."""
        return self.decoder(prefix, memory)

    def forward(self, source, prefix, mask=None):
        """Teacher forcing: logits (B, T, V) given the true prefix (B, T)."""
        return self.decode(self.encode(source, mask), prefix)
