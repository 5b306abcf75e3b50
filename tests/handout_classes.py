"""The classes that a student writes, with the hand-out's own signatures: no mask anywhere."""

import torch
from torch import nn
from transformers import BertModel


class HandoutCell(nn.Module):
    """A GRU cell of six layers."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.Wiz = nn.Linear(input_size, hidden_size)
        self.Wir = nn.Linear(input_size, hidden_size)
        self.Wih = nn.Linear(input_size, hidden_size)
        self.Whz = nn.Linear(hidden_size, hidden_size)
        self.Whr = nn.Linear(hidden_size, hidden_size)
        self.Whh = nn.Linear(hidden_size, hidden_size)

    def forward(self, x, h_prev):
        z = torch.sigmoid(self.Wiz(x) + self.Whz(h_prev))
        r = torch.sigmoid(self.Wir(x) + self.Whr(h_prev))
        g = torch.tanh(self.Wih(x) + self.Whh(r * h_prev))
        return (1 - z) * h_prev + z * g


class HandoutAdditive(nn.Module):
    """A network of one hidden layer on [query; key]."""

    def __init__(self, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.attention_network = nn.Sequential(
            nn.Linear(hidden_size * 2, hidden_size), nn.ReLU(), nn.Linear(hidden_size, 1)
        )
        self.softmax = nn.Softmax(dim=1)

    def forward(self, queries, keys, values):
        if queries.dim() == 2:
            queries = queries.unsqueeze(1)
        asked = queries.unsqueeze(1).expand(-1, keys.size(1), -1, -1)
        offered = keys.unsqueeze(2).expand(-1, -1, queries.size(1), -1)
        scores = self.attention_network(torch.cat([asked, offered], dim=3)).squeeze(3)
        weights = self.softmax(scores)
        return torch.bmm(weights.transpose(1, 2), values), weights


class HandoutScaledDot(nn.Module):
    """Products of projected queries and keys."""

    def __init__(self, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.Q = nn.Linear(hidden_size, hidden_size)
        self.K = nn.Linear(hidden_size, hidden_size)
        self.V = nn.Linear(hidden_size, hidden_size)
        self.softmax = nn.Softmax(dim=1)
        self.scaling_factor = torch.rsqrt(torch.tensor(self.hidden_size, dtype=torch.float))

    def scores(self, queries, keys):
        if queries.dim() == 2:
            queries = queries.unsqueeze(1)
        products = torch.bmm(self.K(keys), self.Q(queries).transpose(1, 2))
        return products * self.scaling_factor.to(products)

    def forward(self, queries, keys, values):
        weights = self.softmax(self.scores(queries, keys))
        return torch.bmm(weights.transpose(1, 2), self.V(values)), weights


class HandoutCausal(HandoutScaledDot):
    """The same, blind to later keys."""

    def __init__(self, hidden_size):
        super().__init__(hidden_size)
        self.neg_inf = torch.tensor(-1e7)

    def forward(self, queries, keys, values):
        scores = self.scores(queries, keys)
        later = torch.tril(torch.ones_like(scores), diagonal=-1)
        weights = self.softmax(scores.masked_fill(later.bool(), float(self.neg_inf)))
        return torch.bmm(weights.transpose(1, 2), self.V(values)), weights


class HandoutClassifier(BertModel):
    """A BertModel with one more layer."""

    def __init__(self, config):
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, 3)
        self.loss = nn.CrossEntropyLoss()

    def forward(self, labels=None, **kwargs):
        outputs = super().forward(**kwargs)
        logits = self.classifier(outputs.pooler_output)
        if labels is not None:
            return logits, self.loss(logits, labels)
        return (logits,)
