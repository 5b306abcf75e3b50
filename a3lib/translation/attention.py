"""The assignment's three attentions: additive, scaled dot product, causal scaled dot product.

All take (queries, keys, values) and return the context (B, k, H) and the weights (B, S, k), whose
columns are distributions over the keys. A mask is True at keys that may be seen; the others get
weight zero, and a query that may see no key at all gets zero weights and a zero context.
"""

import inspect

import torch
from torch import nn


class AdditiveAttention(nn.Module):
    """Scores by a network of one hidden layer on [query; key] (Bahdanau et al. 2015, A.1.2)."""

    def __init__(self, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.attention_network = nn.Sequential(
            nn.Linear(2 * hidden_size, hidden_size), nn.ReLU(), nn.Linear(hidden_size, 1)
        )
        self.softmax = nn.Softmax(dim=1)  # over the keys

    def forward(self, queries, keys, values, mask=None):
        """queries (B, H) or (B, k, H); keys, values (B, S, H); mask (B, S) or None."""
        queries = as_sequence(queries)  # (B, k, H)
        shape = (len(keys), keys.shape[1], queries.shape[1], self.hidden_size)  # (B, S, k, H)
        asked, offered = queries[:, None].expand(shape), keys[:, :, None].expand(shape)
        scores = self.attention_network(torch.cat([asked, offered], dim=3)).squeeze(3)  # (B, S, k)
        weights = masked_softmax(self.softmax, scores, mask)
        return torch.bmm(weights.transpose(1, 2), values), weights


class ScaledDotAttention(nn.Module):
    """Products of projected queries and keys over sqrt(H) (Vaswani et al. 2017, 3.2.1)."""

    def __init__(self, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.Q = nn.Linear(hidden_size, hidden_size)
        self.K = nn.Linear(hidden_size, hidden_size)
        self.V = nn.Linear(hidden_size, hidden_size)
        self.softmax = nn.Softmax(dim=1)  # over the keys
        self.scaling_factor = hidden_size**-0.5

    def forward(self, queries, keys, values, mask=None):
        """queries (B, H) or (B, k, H); keys, values (B, S, H); mask (B, S), (B, S, k) or None."""
        q = self.Q(as_sequence(queries))  # (B, k, H)
        k, v = self.K(keys), self.V(values)  # (B, S, H)
        scores = torch.bmm(k, q.transpose(1, 2)) * self.scaling_factor  # (B, S, k)
        weights = masked_softmax(self.softmax, scores, mask)
        return torch.bmm(weights.transpose(1, 2), v), weights


class CausalScaledDotAttention(ScaledDotAttention):
    """`ScaledDotAttention` whose query i does not see keys after i."""

    def forward(self, queries, keys, values, mask=None):
        """As `ScaledDotAttention.forward`."""
        seen = causal_mask(keys.shape[1], as_sequence(queries).shape[1], keys.device)
        if mask is not None:
            seen = seen & as_weights(mask)
        return super().forward(queries, keys, values, seen)


def causal_mask(S, k, device=None):
    """(1, S, k), True where the key stands at the query's place or before it."""
    return torch.ones(1, S, k, dtype=torch.bool, device=device).triu()


def masked_softmax(softmax, scores, mask):
    """softmax(scores) with zeros where the mask (B, S) or (B, S, k) is False; scores (B, S, k).

    Scores become at least single precision before the softmax, so that half precision stays finite.
    """
    wide = scores.to(torch.promote_types(scores.dtype, torch.float32))
    if mask is None:
        return softmax(wide).to(scores.dtype)
    hidden = ~as_weights(mask)
    lowest = torch.finfo(wide.dtype).min  # finite: a column without a key is no NaN
    return softmax(wide.masked_fill(hidden, lowest)).masked_fill(hidden, 0).to(scores.dtype)


def as_weights(mask):
    """A mask (B, S) over keys or (B, S, k) over weights -> (B, S, 1 or k)."""
    return mask if mask.dim() == 3 else mask[:, :, None]


def as_sequence(queries):
    """Queries (B, H) or (B, k, H) -> (B, k, H)."""
    return queries if queries.dim() == 3 else queries[:, None]


def with_mask(attention_class):
    """The class itself or, if its `forward` takes only three tensors, one that also takes no mask.

    So the hand-out's own signature works. Padded words need a mask: there it raises ValueError.
    """
    if _takes_mask(attention_class.forward):
        return attention_class

    def forward(self, queries, keys, values, mask=None):
        if mask is not None:
            raise ValueError(
                f"{attention_class.__name__}.forward takes no mask, and these words are padded: "
                "use batches of equal source length ('buckets' or 'by-source-length')"
            )
        return attention_class.forward(self, queries, keys, values)

    members = {"forward": forward, "unmasked": True, "__module__": attention_class.__module__}
    return type(attention_class.__name__, (attention_class,), members)


def _takes_mask(forward):
    parameters = inspect.signature(forward).parameters.values()
    return len(parameters) > 4 or any(one.kind == one.VAR_POSITIONAL for one in parameters)
