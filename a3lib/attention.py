"""The assignment's three attentions: additive, scaled dot product, causal scaled dot product.

All take (queries, keys, values) and return the context (B, k, H) and the weights (B, seq, k), in which every column is
a distribution over the keys. Masked keys get weight zero; a query with no key left gets zero weights and a zero
context. Scores become at least single precision before the softmax, so that half precision stays finite.

`project` and `attend` are the two halves of `forward`: a caller that asks step by step computes once a sequence what
depends on keys and values alone. `context` is `forward` without the map.
"""

import torch
from torch import nn
from torch.nn import functional as F


class _Attention(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.softmax = nn.Softmax(dim=1)  # over the keys
        self.neg_inf = torch.finfo(torch.float32).min  # finite: the softmax of a fully masked row is then no NaN

    def forward(self, queries, keys, values, mask=None):
        """Context (B, k, H) and weights (B, seq, k) of queries (B, H) or (B, k, H) over keys and values (B, seq, H).

        mask (B, seq) is True at keys that may be seen.
        """
        return self.attend(queries, *self.project(keys, values), mask)

    def _read(self, scores, values, hidden):
        """Context and weights of scores (B, seq, k); weights are zero where hidden (B or 1, seq, k or 1) is True."""
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        if hidden is None:
            weights = self.softmax(scores)
        else:
            weights = self.softmax(scores.masked_fill(hidden, self.neg_inf)).masked_fill(hidden, 0)
        weights = weights.to(values.dtype)
        return torch.bmm(weights.transpose(1, 2), values), weights


class AdditiveAttention(_Attention):
    """Scores by a network of one hidden layer on [query; key] (Bahdanau et al. 2015, appendix A.1.2)."""

    def __init__(self, hidden_size):
        super().__init__(hidden_size)
        self.attention_network = nn.Sequential(
            nn.Linear(2 * hidden_size, hidden_size), nn.ReLU(), nn.Linear(hidden_size, 1)
        )

    def project(self, keys, values):
        """The keys' half of the first layer with its bias (B, seq, H), and the values as they are."""
        first = self.attention_network[0]
        return F.linear(keys, first.weight[:, self.hidden_size :], first.bias), values

    def attend(self, queries, keys, values, mask=None):
        """`forward` given what `project` returned."""
        first, relu, last = self.attention_network
        queries = F.linear(as_sequence(queries), first.weight[:, : self.hidden_size])  # (B, k, H)
        scores = last(relu(queries[:, None] + keys[:, :, None])).squeeze(3)  # (B, seq, k)
        largest = torch.finfo(scores.dtype).max  # half precision may have overflowed to inf
        return self._read(scores.clamp(-largest, largest), values, None if mask is None else ~mask[:, :, None])


class ScaledDotAttention(_Attention):
    """Scores by the dot product of projected query and key over sqrt(H) (Vaswani et al. 2017, section 3.2.1)."""

    causal = False

    def __init__(self, hidden_size):
        super().__init__(hidden_size)
        self.Q = nn.Linear(hidden_size, hidden_size)
        self.K = nn.Linear(hidden_size, hidden_size)
        self.V = nn.Linear(hidden_size, hidden_size)
        self.scaling_factor = hidden_size**-0.5

    def project(self, keys, values):
        """K of the keys and V of the values, both (B, seq, H)."""
        return self.K(keys), self.V(values)

    def attend(self, queries, keys, values, mask=None, first=0):
        """`forward` given what `project` returned; `first` is the place of the first query among the keys."""
        queries = self.Q(as_sequence(queries)) * self.scaling_factor  # (B, k, H)
        wide = torch.promote_types(queries.dtype, torch.float32)
        scores = torch.bmm(keys.to(wide), queries.to(wide).transpose(1, 2))  # (B, seq, k)
        return self._read(scores, values, hidden_weights(scores.shape, mask, self.causal, first, scores.device))

    def context(self, queries, keys, values, mask=None):
        """The context of `forward` by PyTorch's fused kernels, which form no map."""
        queries, (keys, values) = self.Q(as_sequence(queries)), self.project(keys, values)
        return fused_context(queries[:, None], keys[:, None], values[:, None], mask, self.causal).squeeze(1)


class CausalScaledDotAttention(ScaledDotAttention):
    """`ScaledDotAttention` whose query i does not see keys after i."""

    causal = True


def as_sequence(queries):
    """Queries (B, H) or (B, k, H) -> (B, k, H)."""
    return queries if queries.dim() == 3 else queries.unsqueeze(1)


def hidden_weights(shape, mask, causal, first=0, device=None):
    """True (B or 1, seq, k or 1) at those of the weights (..., seq, k) that must be zero; None where all may be used.

    A causal query i, at place first + i, does not see the keys after that place.
    """
    hidden = None if mask is None else ~mask[:, :, None]  # (B, seq, 1)
    if not causal:
        return hidden
    later = torch.ones(1, *shape[-2:], dtype=torch.bool, device=device).tril(-1 - first)
    return later if hidden is None else later | hidden


def fused_context(queries, keys, values, mask=None, causal=False):
    """softmax(Q K' / sqrt(d)) V of queries (B, h, k, d), keys and values (B, h, seq, d), without the map.

    mask (B, seq) is True at keys that may be seen.
    """
    if mask is None:
        return F.scaled_dot_product_attention(queries, keys, values, is_causal=causal)
    hidden = hidden_weights((keys.shape[2], queries.shape[2]), mask, causal, device=keys.device)
    seen = ~hidden.transpose(1, 2)[:, None]  # (B, 1, k or 1, seq)
    return F.scaled_dot_product_attention(queries, keys, values, attn_mask=seen)
