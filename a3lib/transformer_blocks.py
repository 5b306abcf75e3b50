"""The switches of a transformer, and the blocks that encoder and decoder are made of."""

from dataclasses import dataclass

import torch
from torch import nn

from a3lib import positions
from a3lib.attention import CausalScaledDotAttention, ScaledDotAttention
from a3lib.multihead import MultiHeadAttention
from a3lib.residual import residual_attention, residual_mlp


@dataclass(frozen=True)
class TransformerSettings:
    """Switches; the defaults are the published transformer."""

    positions: str = "sinusoid"  # 'none', 'sinusoid', 'learned', 'one-hot', or 'rotary' (relative; needs heads)
    causal: bool = True  # False shows what the decoder's mask is for
    heads: int | None = None  # None: the assignment's attention, one head and no map after it
    pre_norm: bool = False  # layer norm before each sublayer and at the end
    expansion: int | None = None  # hidden size of the MLP in units of H; None: the published Linear(H, H) and ReLU
    dropout: float = 0.0  # of embeddings and of what each sublayer adds
    copy: bool = False  # a pointer over the source beside the logits

    def __post_init__(self):
        if self.positions not in positions.KINDS:
            raise ValueError(f"there are no positions {self.positions!r}: choose one of {', '.join(positions.KINDS)}")
        if self.positions == "rotary" and self.heads is None:
            raise ValueError("rotary positions act inside attention with heads: set heads to 1 or more")


PUBLISHED = TransformerSettings()
BLOCK = TransformerSettings(positions="none")  # the assignment's single attention block


class _Block(nn.Module):
    """The sublayers that encoder and decoder share, and the residual around each."""

    def __init__(self, hidden_size, settings, attention):
        super().__init__()
        H, self.settings = hidden_size, settings
        self.attention = self._build(attention, H)
        if settings.expansion is None:
            self.mlp = nn.Sequential(nn.Linear(H, H), nn.ReLU())
        else:
            wide = settings.expansion * H
            self.mlp = nn.Sequential(nn.Linear(H, wide), nn.GELU(), nn.Linear(wide, H))
        self.norm, self.mlp_norm = self._norm(H), self._norm(H)
        self.dropout = nn.Dropout(settings.dropout)

    def _build(self, attention, hidden_size):
        if self.settings.heads is None:
            return attention(hidden_size)
        causal, rotary = issubclass(attention, CausalScaledDotAttention), self.settings.positions == "rotary"
        return MultiHeadAttention(hidden_size, self.settings.heads, causal, rotary)

    def _norm(self, hidden_size):
        return nn.LayerNorm(hidden_size) if self.settings.pre_norm else nn.Identity()

    @property
    def plain(self):
        """Whether `residual` computes the same: the assignment's own attention and nothing modern around it."""
        s, own = self.settings, type(self.attention) in (ScaledDotAttention, CausalScaledDotAttention)
        return own and not s.pre_norm and s.expansion is None and s.dropout == 0

    def _add_mlp(self, x):
        return x + self.dropout(self.mlp(self.mlp_norm(x)))


class EncoderBlock(_Block):
    """x + self-attention, then + MLP."""

    def forward(self, x, mask=None):
        """x (B, S, H), mask (B, S) or None -> (B, S, H)."""
        if self.plain:
            return residual_mlp(self.mlp[0], residual_attention(self.attention, x, x, mask))
        return self.with_map(x, mask)[0]

    def with_map(self, x, mask=None):
        """`forward` by the classes themselves, and the attention map: the readable path."""
        n = self.norm(x)
        context, weights = self.attention(n, n, n, mask)
        return self._add_mlp(x + self.dropout(context)), weights


class DecoderBlock(_Block):
    """x + self-attention, then + attention to the source, then + MLP."""

    def __init__(self, hidden_size, settings, attention, cross):
        super().__init__(hidden_size, settings, attention)
        self.cross = self._build(cross, hidden_size)
        self.cross_norm = self._norm(hidden_size)

    def forward(self, x, memory, mask=None):
        """x (B, T, H), memory (`translator.Memory`), mask (B, T) of the prefix or None -> (B, T, H)."""
        if self.plain:
            x = residual_attention(self.attention, x, x, mask)
            x = residual_attention(self.cross, x, memory.states, memory.mask)
            return residual_mlp(self.mlp[0], x)
        return self.with_maps(x, memory, mask)[0]

    def with_maps(self, x, memory, mask=None):
        """`forward` by the classes themselves, the self-attention map and the cross map: the readable path."""
        n = self.norm(x)
        context, own = self.attention(n, n, n, mask)
        x = x + self.dropout(context)
        context, cross = self.cross(self.cross_norm(x), memory.states, memory.states, memory.mask)
        return self._add_mlp(x + self.dropout(context)), own, cross

    def step(self, x, cache, source, mask):
        """The newest symbol alone: x (B, 1, H), cache and source as (keys, values) -> (B, 1, H), longer cache."""
        n = self.norm(x)
        new = self.attention.project(n, n)
        first = 0 if cache is None else cache[0].shape[1]
        cache = new if cache is None else tuple(torch.cat(pair, dim=1) for pair in zip(cache, new, strict=True))
        x = x + self.attention.attend(n, *cache, first=first)[0]
        x = x + self.cross.attend(self.cross_norm(x), *source, mask, first)[0]
        return self._add_mlp(x), cache
