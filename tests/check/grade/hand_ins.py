"""Submissions for the tests of the grader: right answers of our own, and notebooks made of cells."""

import json

CODE, MARKDOWN = "code", "markdown"

SETUP = """!pip install six
%mkdir -p /content
% matplotlib inline
import pdb
import torch
import torch.nn as nn
from six.moves.urllib.request import urlretrieve
data_fpath = get_file("pig_latin_small.txt", "http://www.cs.toronto.edu/", untar=False)
"""

GRU = """class MyGRUCell(nn.Module):
    def __init__(self, input_size, hidden_size):
        super(MyGRUCell, self).__init__()
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
        pdb.set_trace()
        h_new = (1 - z) * h_prev + z * g
        return to_var(h_new, opts.cuda)
"""

DOT = """class ScaledDotAttention(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.Q = nn.Linear(hidden_size, hidden_size)
        self.K = nn.Linear(hidden_size, hidden_size)
        self.V = nn.Linear(hidden_size, hidden_size)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, queries, keys, values):
        if queries.dim() == 2:
            queries = queries.unsqueeze(1)
        scores = self.K(keys) @ self.Q(queries).transpose(1, 2) / math.sqrt(self.hidden_size)
        weights = self.softmax(scores)
        return weights.transpose(1, 2) @ self.V(values), weights
"""

CAUSAL = """class CausalScaledDotAttention(ScaledDotAttention):
    def forward(self, queries, keys, values):
        scores = self.K(keys) @ self.Q(queries).transpose(1, 2) / math.sqrt(self.hidden_size)
        mask = torch.tril(torch.ones_like(scores), diagonal=-1).bool()
        weights = self.softmax(scores.masked_fill(mask, -1e7))
        return weights.transpose(1, 2) @ self.V(values), weights
"""

ENCODERS = """class GRUEncoder(nn.Module):
    def __init__(self, vocab_size, hidden_size, opts):
        super().__init__()
        self.gru = MyGRUCell(hidden_size, hidden_size)


class AttentionEncoder(nn.Module):
    pass
"""

TRAINING = """TEST_SENTENCE = "the air conditioning is working"
rnn_encoder, rnn_losses = train(rnn_args)
plt.plot(rnn_losses)
"""

BERT = """from transformers import BertModel
class BertForSentenceClassification(BertModel):
    def __init__(self, config):
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.loss = nn.CrossEntropyLoss()

    def forward(self, labels=None, **inputs):
        logits = self.classifier(super().forward(**inputs).pooler_output)
        return (logits,) if labels is None else (logits, self.loss(logits, labels))
"""

STUB = """class MyGRUCell(nn.Module):
    def __init__(self, input_size, hidden_size):
        super(MyGRUCell, self).__init__()
        self.input_size = input_size

    def forward(self, x, h_prev):
{body}
"""

CELLS = [(CODE, SETUP), (MARKDOWN, "# Part 1"), (CODE, GRU), (CODE, ENCODERS), (MARKDOWN, "# Part 2"),
         (CODE, DOT), (CODE, CAUSAL), (CODE, TRAINING), (CODE, BERT)]  # fmt: skip


def write_notebook(path, cells=CELLS):
    """A notebook of (kind, source) pairs at `path`, which is given back."""
    cells = [
        {"cell_type": kind, "metadata": {}, "source": source.splitlines(keepends=True)}
        for kind, source in cells
    ]
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}))
    return path


def with_gru(source):
    """The cells with another GRU cell."""
    return [(kind, source if text == GRU else text) for kind, text in CELLS]


def renamed(source, name):
    """A class's source under another name."""
    old = source.split("class ", 1)[1].split("(", 1)[0]
    return source.replace(old, name)
