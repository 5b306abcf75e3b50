"""A modern transformer: heads, layer norm first, rotary positions, and a pointer that copies."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from a3lib.translation.attention import causal_mask
from a3lib.translation.positional_encoding import LONGEST, POSITIONS
from a3lib.translation.translator import Memory

ROTARY_BASE = 20.0  # longest wavelength over 2 pi, in symbols: words are short


@dataclass(frozen=True)
class ModernSettings:
    """Switches, so that each part can be taken away alone."""

    heads: int = 2  # as good as 4 and faster
    expansion: int = 2  # hidden size of the MLP in units of H
    rotary: bool = True  # copying asks for distances; False: the published sinusoids
    pre_norm: bool = True  # layer norm before each sublayer and at the end
    pointer: bool = True  # nearly all output symbols stand in the source


class MultiHeadAttention(nn.Module):
    """Scaled dot products in h subspaces, mixed by a last map (Vaswani et al. 2017, 3.2.2).

    With `rotary`, queries and keys are turned by their places. Raises ValueError if h does not
    divide H, or for rotary places in an odd subspace.
    """

    def __init__(self, hidden_size, heads, rotary, causal=False):
        super().__init__()
        if hidden_size % heads:
            raise ValueError(f"{heads} heads do not divide {hidden_size}: choose a divisor")
        self.heads, self.causal = heads, causal
        self.Q = nn.Linear(hidden_size, hidden_size)
        self.K = nn.Linear(hidden_size, hidden_size)
        self.V = nn.Linear(hidden_size, hidden_size)
        self.out = nn.Linear(hidden_size, hidden_size)
        self.turn = Rotation(hidden_size // heads) if rotary else nn.Identity()

    def forward(self, queries, keys, values, mask=None):
        """queries (B, k, H); keys, values (B, S, H); mask (B, S) -> (B, k, H), (B, h, S, k)."""
        q = self._split(self.Q(queries))  # (B, h, k, d)
        k, v = self._split(self.K(keys)), self._split(self.V(values))  # (B, h, S, d)
        scores = self.turn(k) @ self.turn(q).transpose(2, 3) * q.shape[3] ** -0.5  # (B, h, S, k)
        weights = softmax_over_keys(scores, mask, self.causal)
        context = weights.transpose(2, 3) @ v  # (B, h, k, d)
        return self.out(context.transpose(1, 2).flatten(2)), weights

    def _split(self, x):
        return x.unflatten(2, (self.heads, -1)).transpose(
            1, 2
        )  # (B, length, H) -> (B, h, length, d)


class Rotation(nn.Module):
    """Turn each pair of numbers by an angle proportional to the place (Su et al. 2021, 3.2.2).

    Products of turned queries and keys depend on the distance of their places alone.
    """

    def __init__(self, d):
        super().__init__()
        if d % 2:
            raise ValueError(
                f"rotary places turn pairs of numbers, and {d} is odd: change H or heads"
            )
        frequency = ROTARY_BASE ** (-torch.arange(0, d, 2) / d)  # (d/2,) radians per symbol
        angle = torch.arange(LONGEST)[:, None] * frequency  # (LONGEST, d/2)
        self.register_buffer("table", torch.stack([angle.cos(), angle.sin()], 2), persistent=False)

    def forward(self, x):
        """x (..., length, d) -> the same shape. Raises ValueError beyond the last place."""
        if x.shape[-2] > LONGEST:
            raise ValueError(f"there are {LONGEST} places: split the text into words")
        wide = torch.promote_types(x.dtype, torch.float32)  # no complex numbers in half precision
        turn = torch.view_as_complex(self.table[: x.shape[-2]].to(wide))  # (length, d/2)
        pairs = torch.view_as_complex(x.to(wide).unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(pairs * turn).flatten(-2).to(x.dtype)


def softmax_over_keys(scores, mask, causal=False):
    """Weights of scores (B, h, S, k); zero where the mask (B, S) is False, and at later keys."""
    lowest = torch.finfo(scores.dtype).min
    if causal:
        seen = causal_mask(*scores.shape[2:], scores.device)
        scores = scores.masked_fill(~seen, lowest)
    if mask is None:
        return scores.softmax(2)
    hidden = ~mask[:, None, :, None]
    return scores.masked_fill(hidden, lowest).softmax(2).masked_fill(hidden, 0)


class ModernBlock(nn.Module):
    """x + self-attention, in a decoder + attention to the source, + MLP; each on a normed x."""

    def __init__(self, hidden_size, settings, decoder):
        super().__init__()
        H, size = hidden_size, (hidden_size, settings.heads, settings.rotary)
        wide = settings.expansion * H
        norms = (nn.LayerNorm(H) if settings.pre_norm else nn.Identity() for _ in range(3))
        self.attention = MultiHeadAttention(*size, causal=decoder)
        self.cross = MultiHeadAttention(*size) if decoder else None
        self.mlp = nn.Sequential(nn.Linear(H, wide), nn.ReLU(), nn.Linear(wide, H))
        self.attention_norm, self.mlp_norm, cross_norm = norms
        self.cross_norm = cross_norm if decoder else None

    def forward(self, x, mask=None, memory=None):
        """x (B, length, H), mask of x or None, memory of the source -> (B, length, H)."""
        n = self.attention_norm(x)
        x = x + self.attention(n, n, n, mask)[0]
        if self.cross is not None:
            n = self.cross_norm(x)
            x = x + self.cross(n, memory.states, memory.states, memory.mask)[0]
        return x + self.mlp(self.mlp_norm(x))


class ModernEncoder(nn.Module):
    """Embedding, blocks, norm."""

    def __init__(self, vocab_size, hidden_size, num_layers, settings):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.positions = POSITIONS["none" if settings.rotary else "sinusoid"](hidden_size)
        blocks = (ModernBlock(hidden_size, settings, decoder=False) for _ in range(num_layers))
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(hidden_size) if settings.pre_norm else nn.Identity()

    def forward(self, source, mask=None):
        """source (B, S), mask (B, S) or None -> `Memory`; there is no last state."""
        x = self.embedding(source) + self.positions(source.shape[1])  # (B, S, H)
        for block in self.blocks:
            x = block(x, mask)
        return Memory(self.norm(x), None, mask, source)


class ModernDecoder(nn.Module):
    """Embedding, blocks, norm, logits; with a pointer, the log of a mixture of probabilities."""

    def __init__(self, vocab_size, hidden_size, num_layers, settings):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.positions = POSITIONS["none" if settings.rotary else "sinusoid"](hidden_size)
        blocks = (ModernBlock(hidden_size, settings, decoder=True) for _ in range(num_layers))
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(hidden_size) if settings.pre_norm else nn.Identity()
        self.out = nn.Linear(hidden_size, vocab_size)
        self.pointer = Pointer(hidden_size, settings.rotary) if settings.pointer else None

    def forward(self, prefix, memory):
        """prefix (B, T), memory (`Memory`) -> logits (B, T, V) after each prefix symbol."""
        x = self.embedding(prefix) + self.positions(prefix.shape[1])  # (B, T, H)
        for block in self.blocks:
            x = block(x, None, memory)
        x = self.norm(x)
        logits = self.out(x)
        return logits if self.pointer is None else self.pointer(x, logits, memory)


class Pointer(nn.Module):
    """Mix the decoder's distribution with one that copies source symbols (See et al. 2017, 2.2)."""

    def __init__(self, hidden_size, rotary):
        super().__init__()
        self.Q = nn.Linear(hidden_size, hidden_size)
        self.K = nn.Linear(hidden_size, hidden_size)
        self.turn = Rotation(hidden_size) if rotary else nn.Identity()
        self.gate = nn.Linear(hidden_size, 1)

    def forward(self, x, logits, memory):
        """States x (B, T, H) and their logits (B, T, V) -> log of the mixture (B, T, V)."""
        q, k = self.turn(self.Q(x)), self.turn(self.K(memory.states))
        scores = torch.bmm(k, q.transpose(1, 2)) * q.shape[2] ** -0.5  # (B, S, T)
        weights = softmax_over_keys(scores[:, None], memory.mask)[:, 0]
        symbols = F.one_hot(memory.source, logits.shape[2]).to(x.dtype)  # (B, S, V)
        copied = torch.bmm(weights.transpose(1, 2), symbols)  # (B, T, V)
        mixture = torch.lerp(logits.softmax(2), copied, torch.sigmoid(self.gate(x)))
        return mixture.clamp_min(torch.finfo(x.dtype).tiny).log()
