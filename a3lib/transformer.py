"""The transformer as published in the assignment and, by the switches of one settings object, a modern one."""

from typing import NamedTuple

import torch
from torch import nn

from a3lib import positions
from a3lib.attention import CausalScaledDotAttention, ScaledDotAttention
from a3lib.batches import EOS
from a3lib.multihead import MultiHeadAttention, Pointer
from a3lib.transformer_blocks import BLOCK, PUBLISHED, DecoderBlock, EncoderBlock
from a3lib.translator import AttentionMaps

OWN = (ScaledDotAttention, CausalScaledDotAttention, MultiHeadAttention)


class Progress(NamedTuple):
    """Where a transformer decoder is in a word."""

    prefix: torch.Tensor | None  # (B, t) symbols so far; None before the first
    caches: tuple  # keys and values (B, t, H) of the prefix, a pair a layer; None before the first symbol
    sources: tuple  # keys and values (B, S, H) of the source, a pair a layer


class _Transformer(nn.Module):
    """The embedding with its positions, the layers, and the norm at the end."""

    def __init__(self, vocab_size, hidden_size, settings, blocks):
        super().__init__()
        self.settings = settings
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        added = positions.ADDED.get(settings.positions)
        self.positions = added(hidden_size) if added else None
        self.dropout = nn.Dropout(settings.dropout)
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(hidden_size) if settings.pre_norm else nn.Identity()

    def _embed(self, symbols, first=0):
        x = self.embedding(symbols)  # (B, length, H)
        if self.positions is not None:
            x = x + self.positions(symbols.shape[1], first)
        return self.dropout(x)


class TransformerEncoder(_Transformer):
    """Embedding, positions and `num_layers` blocks over the source."""

    def __init__(self, vocab_size, hidden_size, num_layers, settings=PUBLISHED, attention=ScaledDotAttention):
        blocks = (EncoderBlock(hidden_size, settings, attention) for _ in range(num_layers))
        super().__init__(vocab_size, hidden_size, settings, blocks)

    def forward(self, source, mask=None):
        """source (B, S), mask (B, S) or None -> states (B, S, H), and None in the place of a last state."""
        x = self._embed(source)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x), None

    def attention_maps(self, source, mask=None):
        """The self-attention map of each layer (B, h, S, S)."""
        x, maps = self._embed(source), []
        for block in self.blocks:
            x, weights = block.with_map(x, mask)
            maps.append(_by_head(weights))
        return tuple(maps)


class TransformerDecoder(_Transformer):
    """Embedding, positions and `num_layers` blocks over the prefix, linear map to logits."""

    def __init__(
        self,
        vocab_size,
        hidden_size,
        num_layers,
        settings=PUBLISHED,
        attention=ScaledDotAttention,
        causal_attention=CausalScaledDotAttention,
    ):
        own = causal_attention if settings.causal else attention
        blocks = (DecoderBlock(hidden_size, settings, own, attention) for _ in range(num_layers))
        super().__init__(vocab_size, hidden_size, settings, blocks)
        self.out = nn.Linear(hidden_size, vocab_size)
        self.pointer = Pointer(hidden_size, settings.positions == "rotary") if settings.copy else None

    def forward(self, prefix, memory):
        """prefix (B, T), memory (`translator.Memory`) -> logits (B, T, V) of the symbol after each prefix symbol."""
        x, mask = self._embed(prefix), self._mask(prefix)
        for block in self.blocks:
            x = block(x, memory, mask)
        return self._logits(x, memory)

    def attention_maps(self, prefix, memory):
        """`AttentionMaps` of the prefix over itself (B, h, T, T) and of the source (B, h, S, T), a map a layer."""
        x, mask, own, cross = self._embed(prefix), self._mask(prefix), [], []
        for block in self.blocks:
            x, *maps = block.with_maps(x, memory, mask)
            own.append(_by_head(maps[0]))
            cross.append(_by_head(maps[1]))
        return AttentionMaps((), tuple(own), tuple(cross))

    def start(self, memory):
        """The `Progress` before the first symbol."""
        sources = tuple(block.cross.project(memory.states, memory.states) for block in self.blocks if self._cached)
        return Progress(None, (None,) * len(self.blocks), sources)

    def step(self, symbol, state, memory):
        """symbol (B,), state (`Progress`) -> logits (B, V), new state.

        Keys and values of the prefix are kept. They cannot be where earlier symbols see later ones, nor for a class of
        attention from outside the library: then the whole prefix is computed anew.
        """
        symbol = symbol[:, None]  # (B, 1)
        prefix = symbol if state.prefix is None else torch.cat([state.prefix, symbol], dim=1)  # (B, t)
        if not self._cached:
            return self(prefix, memory)[:, -1], state._replace(prefix=prefix)
        first, caches = prefix.shape[1] - 1, []
        x = self._embed(symbol, first)
        for block, cache, source in zip(self.blocks, state.caches, state.sources, strict=True):
            x, cache = block.step(x, cache, source, memory.mask)
            caches.append(cache)
        return self._logits(x, memory, first)[:, 0], Progress(prefix, tuple(caches), state.sources)

    def _logits(self, x, memory, first=0):
        x = self.norm(x)
        logits = self.out(x)
        return logits if self.pointer is None else self.pointer(x, logits, memory, first)

    def _mask(self, prefix):
        """Without the causal mask a symbol would see the padding, which is EOS (see `batches.Batch`)."""
        return None if self.settings.causal else prefix != EOS

    @property
    def _cached(self):
        own = (type(block.attention) in OWN and type(block.cross) in OWN for block in self.blocks)
        return self.settings.causal and all(own)


class AttentionEncoder(TransformerEncoder):
    """The assignment's single attention block: no positions, so the source is a bag of letters to it."""

    def __init__(self, vocab_size, hidden_size, attention=ScaledDotAttention):
        super().__init__(vocab_size, hidden_size, 1, BLOCK, attention)


class AttentionDecoder(TransformerDecoder):
    """The decoder of the single attention block."""

    def __init__(
        self, vocab_size, hidden_size, attention=ScaledDotAttention, causal_attention=CausalScaledDotAttention
    ):
        super().__init__(vocab_size, hidden_size, 1, BLOCK, attention, causal_attention)


def _by_head(weights):
    """A map (B, keys, queries) or (B, h, keys, queries) -> (B, h, keys, queries)."""
    return weights if weights.dim() == 4 else weights[:, None]
