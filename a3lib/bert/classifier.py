"""The assignment's classifier, and how it gets the weights of a pretrained encoder."""

import copy

import torch
from torch import nn
from transformers import BertModel

from a3lib.bert.arithmetic import CLASSES


class BertForSentenceClassification(BertModel):
    """BERT with a linear layer from its pooler's output to the three classes."""

    def __init__(self, config):
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, len(CLASSES))

    def forward(self, labels=None, **kwargs):
        """(logits (B, 3),) or, with labels (B,), (logits, their mean cross entropy in nats)."""
        outputs = super().forward(**kwargs)
        logits = self.classifier(outputs.pooler_output)
        if labels is None:
            return (logits,)
        return logits, nn.functional.cross_entropy(logits, labels)


def from_encoder(cls, encoder, seed):
    """A `cls` with the encoder's weights and a drawn `classifier`. ValueError where none fits."""
    if not issubclass(cls, type(encoder.model)):
        wrong = f"{cls.__name__} is no {type(encoder.model).__name__}, which {encoder.name} is"
        raise ValueError(f"{wrong}: use SentenceClassifier, which takes any encoder")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = cls(copy.deepcopy(encoder.model.config))
        model.load_state_dict({**model.state_dict(), **encoder.model.state_dict()})
        model.classifier.apply(model._init_weights)
    return model
