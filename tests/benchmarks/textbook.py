"""Part 1 written as a textbook would: the opponent of the benchmarks, plain and not weakened.

Six linear layers a step, a Python loop over the symbols, batches of equal lengths, PyTorch's default Adam, one word
decoded at a time. It shares no code with a3lib and takes its weights from there, so that both start equal.
"""

import torch
from torch import nn
from torch.nn import functional as F

SOS, EOS = 27, 28


class Cell(nn.Module):
    def __init__(self, D, H):
        super().__init__()
        self.Wiz, self.Wir, self.Wih = nn.Linear(D, H), nn.Linear(D, H), nn.Linear(D, H)
        self.Whz, self.Whr, self.Whh = nn.Linear(H, H), nn.Linear(H, H), nn.Linear(H, H)

    def forward(self, x, h):
        z = torch.sigmoid(self.Wiz(x) + self.Whz(h))
        r = torch.sigmoid(self.Wir(x) + self.Whr(h))
        g = torch.tanh(self.Wih(x) + self.Whh(r * h))
        return (1 - z) * h + z * g


class Encoder(nn.Module):
    def __init__(self, vocabulary, H):
        super().__init__()
        self.hidden_size = H
        self.embedding, self.gru = nn.Embedding(vocabulary, H), Cell(H, H)

    def forward(self, source):
        embedded = self.embedding(source)
        h = torch.zeros(source.shape[0], self.hidden_size)
        for t in range(source.shape[1]):
            h = self.gru(embedded[:, t], h)
        return h


class Decoder(nn.Module):
    def __init__(self, vocabulary, H):
        super().__init__()
        self.embedding, self.rnn, self.out = (
            nn.Embedding(vocabulary, H),
            Cell(H, H),
            nn.Linear(H, vocabulary),
        )

    def forward(self, prefix, h):
        embedded = self.embedding(prefix)
        states = []
        for t in range(prefix.shape[1]):
            h = self.rnn(embedded[:, t], h)
            states.append(h)
        return self.out(torch.stack(states, dim=1)), h


class Translator(nn.Module):
    def __init__(self, vocabulary, H):
        super().__init__()
        self.encoder, self.decoder = Encoder(vocabulary, H), Decoder(vocabulary, H)

    def forward(self, source, prefix):
        return self.decoder(prefix, self.encoder(source))[0]

    @torch.no_grad()
    def translate(self, word, longest):
        """One word as a list of indices with EOS -> output indices, at most `longest`."""
        h = self.encoder(torch.tensor([word]))
        symbol, output = SOS, []
        while len(output) < longest and symbol != EOS:
            logits, h = self.decoder(torch.tensor([[symbol]]), h)
            logits[..., SOS] = -torch.inf
            symbol = int(logits.argmax())
            output.append(symbol)
        return output


def bucket_batches(pairs, size):
    """(source, target) tensors of equal lengths from (word indices, translation indices) pairs."""
    groups = {}
    for source, target in pairs:
        groups.setdefault((len(source), len(target)), []).append((source, target))
    batches = []
    for group in groups.values():
        for start in range(0, len(group), size):
            sources, targets = zip(*group[start : start + size], strict=True)
            batches.append((torch.tensor(sources), torch.tensor(targets)))
    return batches


def loss(model, source, target):
    prefix = torch.cat([torch.full((len(target), 1), SOS), target[:, :-1]], dim=1)
    logits = model(source, prefix)
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), target.reshape(-1))


def update(model, optimizer, source, target):
    optimizer.zero_grad()
    value = loss(model, source, target)
    value.backward()
    optimizer.step()
    return value.item()
