"""The GRU of Part 1: the cell, the encoder and the decoder.

How the cell differs from `torch.nn.GRU`: (1) the reset gate multiplies the state *before* the matrix product,
g = tanh(Wih x + Whh (r h)) (Cho et al. 2014, the first version), while PyTorch multiplies after it,
tanh(Wih x + r (Whh h)); (2) z weighs the candidate, h' = (1 - z) h + z g, while PyTorch's z weighs the old state.
`as_torch_gru` gives the case in which both compute the same: a constant reset gate of one, and z's sign reversed.
"""

import torch
from torch import nn

from a3lib.recurrence import gru_states, gru_states_of_symbols


class MyGRUCell(nn.Module):
    """One step of a gated recurrent unit, as the assignment defines it (Cho et al. 2014, section 2.3)."""

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


def unroll(cell, inputs, initial, mask=None):
    """Run a cell over inputs (B, S, D) from the initial state (B, H) -> states (B, S, H).

    Where mask (B, S) is False the state is carried over. A `MyGRUCell` of this module takes the fast path; any other
    cell, a subclass too, is stepped through its own `forward`.
    """
    if type(cell) is MyGRUCell:
        return gru_states(cell, inputs, initial, mask)
    return unroll_stepwise(cell, inputs, initial, mask)


def unroll_symbols(cell, embedding, symbols, initial, mask=None):
    """`unroll` over the embedded symbols (B, S) -> states (B, S, H)."""
    if type(cell) is MyGRUCell:
        return gru_states_of_symbols(cell, embedding, symbols, initial, mask)
    return unroll_stepwise(cell, embedding(symbols), initial, mask)


def unroll_stepwise(cell, inputs, initial, mask=None):
    """`unroll` as a plain loop over `cell(x, h)`: the readable path, which the fast one is tested against."""
    h, states = initial, []
    for t in range(inputs.shape[1]):
        new = cell(inputs[:, t], h)  # (B, H)
        h = new if mask is None else torch.where(mask[:, t, None], new, h)
        states.append(h)
    return torch.stack(states, dim=1)  # (B, S, H)


class GRUEncoder(nn.Module):
    """Embedding and GRU over the source symbols."""

    def __init__(self, vocab_size, hidden_size, cell=MyGRUCell):
        super().__init__()
        self.hidden_size = hidden_size
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.gru = cell(hidden_size, hidden_size)

    def forward(self, source, mask=None):
        """source (B, S), mask (B, S) or None -> states (B, S, H), state after the last symbol (B, H)."""
        initial = self.embedding.weight.new_zeros(len(source), self.hidden_size)
        states = unroll_symbols(self.gru, self.embedding, source, initial, mask)  # (B, S, H)
        return states, states[:, -1]


class RNNDecoder(nn.Module):
    """Embedding, GRU and a linear map to logits; it sees the source through its initial state alone."""

    def __init__(self, vocab_size, hidden_size, cell=MyGRUCell):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.rnn = cell(hidden_size, hidden_size)
        self.out = nn.Linear(hidden_size, vocab_size)

    def forward(self, prefix, memory):
        """prefix (B, T), memory (`translator.Memory`) -> logits (B, T, V) of the symbol after each prefix symbol."""
        states = unroll_symbols(self.rnn, self.embedding, prefix, memory.last)  # (B, T, H)
        return self.out(states)

    def start(self, memory):
        """The state before the first symbol: the encoder's last (B, H)."""
        return memory.last

    def step(self, symbol, state, memory):
        """symbol (B,), state (B, H) -> logits (B, V), new state (B, H)."""
        state = self.rnn(self.embedding(symbol), state)
        return self.out(state), state


def as_torch_gru(cell):
    """The `nn.GRU` (batch first) that equals a `MyGRUCell` whose reset gate is one for every input.

    Make the gate constant by zero weights in Wir and Whr and a large bias (sigmoid(100) is 1 in floating point).
    PyTorch's z is 1 - z here, hence the reversed sign; its gates come in the order r, z, n.
    """
    gru = nn.GRU(cell.Wiz.in_features, cell.Wiz.out_features, batch_first=True).to(cell.Wiz.weight)
    with torch.no_grad():
        for kind, (r, z, n) in {"ih": (cell.Wir, cell.Wiz, cell.Wih), "hh": (cell.Whr, cell.Whz, cell.Whh)}.items():
            getattr(gru, f"weight_{kind}_l0").copy_(torch.cat([r.weight, -z.weight, n.weight]))
            getattr(gru, f"bias_{kind}_l0").copy_(torch.cat([r.bias, -z.bias, n.bias]))
    return gru
