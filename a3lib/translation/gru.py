"""The GRU of Part 1: the cell, the encoder and the decoder.

The cell differs from `torch.nn.GRU` in two ways. (1) The reset gate multiplies the state *before*
the matrix product, g = tanh(Wih x + Whh (r h)) (Cho et al. 2014, first version; the hand-out since
16 March 2022); PyTorch multiplies after it, tanh(Wih x + r (Whh h)). (2) z weighs the candidate,
h' = (1 - z) h + z g; PyTorch's z weighs the old state.
"""

import torch
from torch import nn

from a3lib.translation.translator import Memory


class MyGRUCell(nn.Module):
    """One step of a gated recurrent unit (Cho et al. 2014, section 2.3)."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.Wiz = nn.Linear(input_size, hidden_size)
        self.Wir = nn.Linear(input_size, hidden_size)
        self.Wih = nn.Linear(input_size, hidden_size)
        self.Whz = nn.Linear(hidden_size, hidden_size)
        self.Whr = nn.Linear(hidden_size, hidden_size)
        self.Whh = nn.Linear(hidden_size, hidden_size)

    def forward(self, x, h_prev):
        """x (B, D), h_prev (B, H) -> new state (B, H)."""
        z = torch.sigmoid(self.Wiz(x) + self.Whz(h_prev))  # (B, H) update gate
        r = torch.sigmoid(self.Wir(x) + self.Whr(h_prev))  # (B, H) reset gate
        g = torch.tanh(self.Wih(x) + self.Whh(r * h_prev))  # (B, H) candidate
        return (1 - z) * h_prev + z * g


class GRUEncoder(nn.Module):
    """Embedding and GRU over the source symbols."""

    def __init__(self, vocab_size, hidden_size, cell=MyGRUCell):
        super().__init__()
        self.hidden_size = hidden_size
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.gru = cell(hidden_size, hidden_size)

    def forward(self, source, mask=None):
        """source (B, S), mask (B, S) or None -> `Memory` of all states and the last one.

        Where the mask is False the state is carried over unchanged.
        """
        x = self.embedding(source)  # (B, S, H)
        h = x.new_zeros(len(source), self.hidden_size)
        states = []
        for t in range(source.shape[1]):
            new = self.gru(x[:, t], h)  # (B, H)
            h = new if mask is None else torch.where(mask[:, t, None], new, h)
            states.append(h)
        return Memory(torch.stack(states, dim=1), h, mask, source)


class RNNDecoder(nn.Module):
    """Embedding, GRU, linear map to logits; it sees the source through its first state alone."""

    def __init__(self, vocab_size, hidden_size, cell=MyGRUCell):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.rnn = cell(hidden_size, hidden_size)
        self.out = nn.Linear(hidden_size, vocab_size)

    def forward(self, prefix, memory):
        """prefix (B, T), memory (`Memory`) -> logits (B, T, V) after each prefix symbol."""
        x = self.embedding(prefix)  # (B, T, H)
        h, states = memory.last, []
        for t in range(prefix.shape[1]):
            h = self.rnn(x[:, t], h)  # (B, H)
            states.append(h)
        return self.out(torch.stack(states, dim=1))


def as_torch_gru(cell):
    """The `nn.GRU` (batch first) that equals a `MyGRUCell` whose reset gate is always one.

    Zero weights in Wir and Whr and a large bias make the gate one (sigmoid(100) is 1 in floating
    point). PyTorch's z is 1 - z here, hence the reversed sign; its gates come in the order r, z, n.
    """
    gru = nn.GRU(cell.Wiz.in_features, cell.Wiz.out_features, batch_first=True).to(cell.Wiz.weight)
    sides = {"ih": (cell.Wir, cell.Wiz, cell.Wih), "hh": (cell.Whr, cell.Whz, cell.Whh)}
    with torch.no_grad():
        for side, (r, z, n) in sides.items():
            weights = torch.cat([r.weight, -z.weight, n.weight])
            biases = torch.cat([r.bias, -z.bias, n.bias])
            getattr(gru, f"weight_{side}_l0").copy_(weights)
            getattr(gru, f"bias_{side}_l0").copy_(biases)
    return gru
