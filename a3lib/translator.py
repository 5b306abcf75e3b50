"""The one shape of every translator: encode(source) -> memory, decode(memory, prefix) -> logits."""

from typing import NamedTuple

import torch
from torch import nn


class Memory(NamedTuple):
    """What the decoder may look at."""

    states: torch.Tensor  # (B, S, H) encoder state at each source symbol
    last: torch.Tensor | None  # (B, H) encoder state after the last symbol; None where the encoder has no recurrence
    mask: torch.Tensor | None  # (B, S) True at symbols; None where no word is padded
    source: torch.Tensor | None = None  # (B, S) the symbols themselves, for a decoder that copies them


class AttentionMaps(NamedTuple):
    """Attention weights (B, h, keys, queries), one tensor a layer; every column is a distribution over the keys."""

    encoder: tuple = ()  # (B, h, S, S) source over source
    decoder: tuple = ()  # (B, h, T, T) prefix over prefix
    cross: tuple = ()  # (B, h, S, T) source over prefix


class Translator(nn.Module):
    """An encoder and a decoder.

    The encoder maps (source, mask) to states and a last state; the decoder maps (prefix, memory) to logits and offers
    `start(memory)` and `step(symbol, state, memory)` to go on symbol by symbol. Those that attend also offer
    `attention_maps` with the same arguments.
    """

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def encode(self, source, mask=None):
        """source (B, S), mask (B, S) or None -> `Memory`."""
        return Memory(*self.encoder(source, mask), mask, source)

    def decode(self, memory, prefix):
        """Logits (B, T, V) of the symbol that follows each symbol of the prefix (B, T)."""
        return self.decoder(prefix, memory)

    def forward(self, source, prefix, mask=None):
        """Teacher forcing: logits (B, T, V) given the true prefix (B, T)."""
        return self.decode(self.encode(source, mask), prefix)

    @torch.no_grad()
    def attention_maps(self, source, prefix, mask=None):
        """`AttentionMaps` given source (B, S) and prefix (B, T). Raises ValueError if the decoder does not attend."""
        if not hasattr(self.decoder, "attention_maps"):
            raise ValueError(f"a {type(self.decoder).__name__} does not attend: ask a translator with attention")
        maps = self.decoder.attention_maps(prefix, self.encode(source, mask))
        if hasattr(self.encoder, "attention_maps"):
            maps = maps._replace(encoder=self.encoder.attention_maps(source, mask))
        return maps
