"""Part 2 written as a textbook would: the opponent of the benchmarks, plain and not weakened.

Attention as the classes are published, the RNN decoder calling it anew at every step, one linear layer a projection, a
mask added to the scores. It shares no code with a3lib; its parameters bear the same names, so that both start equal.
"""

import math

import torch
from textbook import Cell, loss
from torch import nn


class Additive(nn.Module):
    def __init__(self, H):
        super().__init__()
        self.attention_network = nn.Sequential(nn.Linear(2 * H, H), nn.ReLU(), nn.Linear(H, 1))

    def forward(self, query, keys, values):
        queries = query.unsqueeze(1).expand_as(keys)
        weights = torch.softmax(self.attention_network(torch.cat([queries, keys], dim=2)), dim=1)
        return torch.bmm(weights.transpose(1, 2), values), weights


class ScaledDot(nn.Module):
    causal = False

    def __init__(self, H):
        super().__init__()
        self.Q, self.K, self.V = nn.Linear(H, H), nn.Linear(H, H), nn.Linear(H, H)
        self.scaling_factor = 1 / math.sqrt(H)

    def forward(self, queries, keys, values):
        q, k, v = self.Q(queries), self.K(keys), self.V(values)
        scores = torch.bmm(k, q.transpose(1, 2)) * self.scaling_factor
        if self.causal:
            scores = scores + torch.full_like(scores[0], -1e7).tril(-1)
        weights = torch.softmax(scores, dim=1)
        return torch.bmm(weights.transpose(1, 2), v), weights


class CausalScaledDot(ScaledDot):
    causal = True


class RNNEncoder(nn.Module):
    def __init__(self, vocabulary, H):
        super().__init__()
        self.hidden_size = H
        self.embedding, self.gru = nn.Embedding(vocabulary, H), Cell(H, H)

    def forward(self, source):
        embedded, states = self.embedding(source), []
        h = torch.zeros(source.shape[0], self.hidden_size)
        for t in range(source.shape[1]):
            h = self.gru(embedded[:, t], h)
            states.append(h)
        return torch.stack(states, dim=1), h


class RNNAttentionDecoder(nn.Module):
    def __init__(self, vocabulary, H):
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(vocabulary, H), Cell(2 * H, H)
        self.attention, self.out = Additive(H), nn.Linear(H, vocabulary)

    def forward(self, prefix, memory):
        annotations, h = memory
        embedded, states = self.embedding(prefix), []
        for t in range(prefix.shape[1]):
            context, _ = self.attention(h, annotations, annotations)
            h = self.rnn(torch.cat([embedded[:, t], context.squeeze(1)], dim=1), h)
            states.append(h)
        return self.out(torch.stack(states, dim=1))


def sinusoids(length, H):
    position = torch.arange(length)[:, None]
    angle = position / 10000 ** (torch.arange(0, H, 2) / H)
    encoding = torch.zeros(length, H)
    encoding[:, 0::2], encoding[:, 1::2] = torch.sin(angle), torch.cos(angle)
    return encoding


class EncoderBlock(nn.Module):
    def __init__(self, H):
        super().__init__()
        self.attention, self.mlp = ScaledDot(H), nn.Sequential(nn.Linear(H, H), nn.ReLU())

    def forward(self, x):
        x = x + self.attention(x, x, x)[0]
        return x + self.mlp(x)


class DecoderBlock(nn.Module):
    def __init__(self, H):
        super().__init__()
        self.attention, self.cross = CausalScaledDot(H), ScaledDot(H)
        self.mlp = nn.Sequential(nn.Linear(H, H), nn.ReLU())

    def forward(self, x, annotations):
        x = x + self.attention(x, x, x)[0]
        x = x + self.cross(x, annotations, annotations)[0]
        return x + self.mlp(x)


class TransformerEncoder(nn.Module):
    def __init__(self, vocabulary, H, layers, positions):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, H)
        self.blocks = nn.ModuleList(EncoderBlock(H) for _ in range(layers))
        self.positions = sinusoids(1000, H) if positions else None

    def forward(self, source):
        x = self.embedding(source)
        if self.positions is not None:
            x = x + self.positions[: source.shape[1]]
        for block in self.blocks:
            x = block(x)
        return x


class TransformerDecoder(nn.Module):
    def __init__(self, vocabulary, H, layers, positions):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, H)
        self.blocks = nn.ModuleList(DecoderBlock(H) for _ in range(layers))
        self.positions = sinusoids(1000, H) if positions else None
        self.out = nn.Linear(H, vocabulary)

    def forward(self, prefix, annotations):
        x = self.embedding(prefix)
        if self.positions is not None:
            x = x + self.positions[: prefix.shape[1]]
        for block in self.blocks:
            x = block(x, annotations)
        return self.out(x)


class Translator(nn.Module):
    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, source, prefix):
        return self.decoder(prefix, self.encoder(source))


def rnn_attention(vocabulary, H):
    return Translator(RNNEncoder(vocabulary, H), RNNAttentionDecoder(vocabulary, H))


def transformer(vocabulary, H, layers, positions=True):
    return Translator(
        TransformerEncoder(vocabulary, H, layers, positions),
        TransformerDecoder(vocabulary, H, layers, positions),
    )


def update(model, optimizer, source, target):
    optimizer.zero_grad()
    value = loss(model, source, target)
    value.backward()
    optimizer.step()
    return value.item()
