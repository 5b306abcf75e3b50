"""Sentence classification with a pretrained encoder: the class of the assignment, and one for any encoder."""

import copy
import functools

import torch
from torch import nn
from torch.nn import functional as F

from a3lib.arithmetic import CLASSES

POOLINGS = ("pooler", "cls", "mean")


class Encoded:
    """Examples as tensors by name, tokenised once; `batch` cuts the padding that its rows do not need."""

    def __init__(self, inputs, labels):
        self.inputs, self.labels = dict(inputs), torch.as_tensor(list(labels))

    def __len__(self):
        return len(self.labels)

    def batch(self, rows, device="cpu"):
        """({name: tensor (B, ...)}, labels (B))."""
        chosen, mask = (
            {name: value[rows] for name, value in self.inputs.items()},
            self.inputs.get("attention_mask"),
        )
        if mask is not None:
            used = int(mask[rows].sum(1).max())  # S of this batch
            chosen = {name: value[:, :used] for name, value in chosen.items()}
        return {name: value.to(device) for name, value in chosen.items()}, self.labels[rows].to(
            device
        )


def encode(encoder, table):
    """`Encoded` expressions of a table with columns `input` and `label`, by the encoder's own tokenizer."""
    inputs = encoder.tokenizer(
        list(table["input"]),
        padding=True,
        truncation=True,
        padding_side="right",
        return_tensors="pt",
    )
    return Encoded(inputs, table["label"])


def pool(states, pooled, mask, pooling):
    """(B, H) from states (B, S, H): 'cls' the first, 'mean' that of the real tokens; 'pooler' is given (`pooled`)."""
    if pooling not in POOLINGS:
        raise ValueError(f"the pooling is one of {', '.join(POOLINGS)}, not {pooling!r}")
    if pooling == "pooler":
        return pooled
    weights = mask[..., None].to(states.dtype)  # (B, S, 1)
    return states[:, 0] if pooling == "cls" else (states * weights).sum(1) / weights.sum(1)


def _with_loss(logits, labels):
    return (logits,) if labels is None else (logits, F.cross_entropy(logits, labels))


@functools.cache
def sentence_classification_class():
    """The class `BertForSentenceClassification` of the assignment (made when asked for: transformers is heavy)."""
    from transformers import BertModel

    class BertForSentenceClassification(BertModel):
        def __init__(self, config):
            super().__init__(config)
            self.classifier = nn.Linear(config.hidden_size, len(CLASSES))

        def forward(self, labels=None, **kwargs):
            outputs = super().forward(**kwargs)
            logits = self.classifier(outputs.pooler_output)  # (B, 3)
            return _with_loss(logits, labels)

    return BertForSentenceClassification


def __getattr__(name):
    if name == "BertForSentenceClassification":
        return sentence_classification_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def from_encoder(cls, encoder, seed):
    """A classifier of the assignment's kind with the encoder's weights; only `classifier` is drawn, with the seed.

    Raises ValueError where the class and the encoder have not the same tensors.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = cls(copy.deepcopy(encoder.model.config))
        missing, unexpected = model.load_state_dict(encoder.model.state_dict(), strict=False)
        lost = [name for name in missing if not name.startswith("classifier.")]
        if lost or unexpected:
            raise ValueError(
                f"{cls.__name__} and {encoder.name}, a {type(encoder.model).__name__}, differ: {len(lost)} tensors "
                f"would stay random, {len(unexpected)} have no place. Use SentenceClassifier, which takes any encoder"
            )
        for name in {name.rpartition(".")[0] for name in missing}:
            model._init_weights(
                model.get_submodule(name)
            )  # as from_pretrained draws what a checkpoint does not have
    return model


class SentenceClassifier(nn.Module):
    """Any encoder's trunk (a copy) under a new linear classifier; called like the assignment's class."""

    def __init__(self, encoder, seed, pooling="pooler"):
        super().__init__()
        self.trunk, self.pooling = copy.deepcopy(encoder.model), pooling
        self.classifier = new_head(encoder.model.config.hidden_size, seed)

    def forward(self, labels=None, **inputs):
        outputs = self.trunk(**inputs)
        vectors = pool(
            outputs.last_hidden_state,
            outputs.pooler_output,
            inputs.get("attention_mask"),
            self.pooling,
        )
        return _with_loss(self.classifier(vectors), labels)  # (B, 3)

    def get_input_embeddings(self):
        return self.trunk.get_input_embeddings()

    def set_input_embeddings(self, embedding):
        self.trunk.set_input_embeddings(embedding)


class Head(nn.Module):
    """The linear classifier alone, on cached features (B, H)."""

    def __init__(self, hidden_size, seed):
        super().__init__()
        self.classifier = new_head(hidden_size, seed)

    def forward(self, labels=None, features=None):
        return _with_loss(self.classifier(features), labels)


def new_head(hidden_size, seed):
    """A linear layer to the three classes, drawn as BERT draws its own: normal with deviation 0.02, no bias."""
    head = nn.Linear(hidden_size, len(CLASSES))
    nn.init.normal_(head.weight, std=0.02, generator=torch.Generator().manual_seed(seed))
    nn.init.zeros_(head.bias)
    return head
