"""Expressions as tensors, and a linear head on any encoder or on cached features."""

import copy

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from a3lib.bert.arithmetic import CLASSES

POOLINGS = ("pooler", "cls", "mean")


class Encoded:
    """Examples as tensors by name (N, ...), tokenised once, and their labels (N,)."""

    def __init__(self, inputs, labels):
        self.inputs, self.labels = dict(inputs), torch.as_tensor(list(labels))

    def __len__(self):
        return len(self.labels)

    def batch(self, rows, device="cpu"):
        """({name: tensor (B, ...)}, labels (B,)) of some rows, without padding that none needs."""
        mask = self.inputs.get("attention_mask")
        longest = None if mask is None else int(mask[rows].sum(1).max())
        inputs = {name: value[rows, :longest] for name, value in self.inputs.items()}
        moved = {name: value.to(device, non_blocking=True) for name, value in inputs.items()}
        return moved, self.labels[rows].to(device, non_blocking=True)


def encode(encoder, table):
    """`Encoded` expressions of a table, made by the encoder's own tokenizer."""
    options = {"padding": True, "padding_side": "right", "truncation": True, "return_tensors": "pt"}
    return Encoded(encoder.tokenizer(list(table["input"]), **options), table["label"])


def pool(states, pooled, mask, pooling):
    """(B, H) from states (B, S, H), what a pooler made (B, H) or None, and the mask (B, S)."""
    if pooling == "pooler" and pooled is not None:
        return pooled
    if pooling == "cls":
        return states[:, 0]
    if pooling == "mean":
        weights = mask[..., None].to(states.dtype)  # (B, S, 1): 1 at real tokens
        return (states * weights).sum(1) / weights.sum(1)
    raise ValueError(f"the pooling is 'cls', 'mean' or, with a pooler, 'pooler', not {pooling!r}")


class Head(nn.Module):
    """The linear classifier alone, drawn as BERT draws its own: normal with deviation 0.02."""

    def __init__(self, hidden_size, seed):
        super().__init__()
        self.classifier = nn.Linear(hidden_size, len(CLASSES))
        generator = torch.Generator().manual_seed(seed)
        nn.init.normal_(self.classifier.weight, std=0.02, generator=generator)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, labels=None, features=None):
        """Like the assignment's class, on cached features (B, H)."""
        logits = self.classifier(features)  # (B, 3)
        return (logits,) if labels is None else (logits, cross_entropy(logits, labels))


class SentenceClassifier(nn.Module):
    """A copy of any encoder's network under a head; called like the assignment's class."""

    def __init__(self, encoder, seed, pooling="pooler"):
        super().__init__()
        self.trunk, self.pooling = copy.deepcopy(encoder.model), pooling
        self.classifier = Head(encoder.model.config.hidden_size, seed).classifier

    def forward(self, labels=None, **inputs):
        outputs, mask = self.trunk(**inputs), inputs.get("attention_mask")
        states, pooled = outputs.last_hidden_state, outputs.get("pooler_output")
        logits = self.classifier(pool(states, pooled, mask, self.pooling))  # (B, 3)
        return (logits,) if labels is None else (logits, cross_entropy(logits, labels))
