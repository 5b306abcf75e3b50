"""Attention of several heads and the pointer that copies source symbols: what the modern transformer adds."""

import torch
from torch import nn
from torch.nn import functional as F

from a3lib.attention import hidden_weights
from a3lib.positions import Rotation


def distribution(scores, hidden=None):
    """Softmax over the keys of scores (..., seq, k); zero where hidden (broadcast) is True."""
    if hidden is None:
        return torch.softmax(scores, dim=-2)
    lowest = torch.finfo(scores.dtype).min
    return torch.softmax(scores.masked_fill(hidden, lowest), dim=-2).masked_fill(hidden, 0)


class MultiHeadAttention(nn.Module):
    """Scaled dot product attention in h subspaces, and a map of what they read (Vaswani et al. 2017, section 3.2.2).

    It is called as the assignment's classes are; its weights are (B, h, seq, k). With `rotary` queries and keys are
    turned by their positions. Raises ValueError if h does not divide H.
    """

    def __init__(self, hidden_size, heads, causal=False, rotary=False):
        super().__init__()
        if hidden_size % heads:
            raise ValueError(f"{heads} heads do not divide the hidden size {hidden_size}: choose a divisor")
        self.heads, self.causal = heads, causal
        self.Q = nn.Linear(hidden_size, hidden_size)
        self.K = nn.Linear(hidden_size, hidden_size)
        self.V = nn.Linear(hidden_size, hidden_size)
        self.out = nn.Linear(hidden_size, hidden_size)
        self.rotation = Rotation(hidden_size // heads) if rotary else None

    def forward(self, queries, keys, values, mask=None):
        """queries (B, k, H); keys, values (B, seq, H); mask (B, seq) True at keys that may be seen."""
        return self.attend(queries, *self.project(keys, values), mask)

    def project(self, keys, values):
        """K of the keys and V of the values, both (B, seq, H)."""
        return self.K(keys), self.V(values)

    def attend(self, queries, keys, values, mask=None, first=0):
        """`forward` given what `project` returned; `first` is the place of the first query among the keys."""
        q, k, v = (x.unflatten(2, (self.heads, -1)) for x in (self.Q(queries), keys, values))  # (B, k or seq, h, d)
        if self.rotation is not None:
            q, k = self.rotation(q, first), self.rotation(k)
        scale = q.shape[3] ** -0.5
        scores = torch.matmul(k.transpose(1, 2), (q * scale).permute(0, 2, 3, 1))  # (B, h, seq, k)
        hidden = hidden_weights(scores.shape, mask, self.causal, first, scores.device)
        weights = distribution(scores, None if hidden is None else hidden[:, None])
        context = torch.matmul(weights.transpose(2, 3), v.transpose(1, 2))  # (B, h, k, d)
        return self.out(context.transpose(1, 2).flatten(2)), weights


class Pointer(nn.Module):
    """Mix the decoder's distribution with one that copies source symbols (See et al. 2017, section 2.2)."""

    def __init__(self, hidden_size, rotary=False):
        super().__init__()
        self.Q = nn.Linear(hidden_size, hidden_size)
        self.K = nn.Linear(hidden_size, hidden_size)
        self.rotation = Rotation(hidden_size) if rotary else None
        self.gate = nn.Linear(hidden_size, 1)

    def forward(self, x, logits, memory, first=0):
        """Decoder states x (B, T, H) from place `first` on, their logits (B, T, V) -> log of the mixture (B, T, V)."""
        q, k = self.Q(x), self.K(memory.states)
        if self.rotation is not None:
            q, k = (self.rotation(x[:, :, None], start)[:, :, 0] for x, start in ((q, first), (k, 0)))
        scores = torch.bmm(k, (q * q.shape[2] ** -0.5).transpose(1, 2))  # (B, S, T)
        pointed = distribution(scores, hidden_weights(scores.shape, memory.mask, causal=False))
        symbols = F.one_hot(memory.source, logits.shape[2]).to(x.dtype)  # (B, S, V)
        copied = torch.bmm(pointed.transpose(1, 2), symbols)  # (B, T, V)
        mixture = torch.lerp(logits.softmax(2), copied, torch.sigmoid(self.gate(x)))
        return mixture.clamp_min(torch.finfo(x.dtype).tiny).log()
