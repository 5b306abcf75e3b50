"""The RNN decoder that attends to the encoder's states (Bahdanau et al. 2015, section 3.1)."""

from typing import NamedTuple

import torch
from torch import nn

from a3lib.attention import AdditiveAttention, ScaledDotAttention
from a3lib.attention_recurrence import attending_states
from a3lib.gru import MyGRUCell
from a3lib.translator import AttentionMaps

ATTENTIONS = {"additive": AdditiveAttention, "scaled_dot": ScaledDotAttention}


class Reading(NamedTuple):
    """Where the decoder is in a word, and what it reads."""

    hidden: torch.Tensor  # (B, H) the GRU's state
    keys: torch.Tensor  # (B, S, H) as the attention projected them
    values: torch.Tensor  # (B, S, H)


class RNNAttentionDecoder(nn.Module):
    """Embedding, attention asked with the previous state, GRU over [embedding; context], linear map to logits.

    attention_type: 'additive', 'scaled_dot', or a class that is built with the hidden size and called with (queries,
    keys, values, mask). Raises ValueError for another name.
    """

    def __init__(self, vocab_size, hidden_size, attention_type="additive", cell=MyGRUCell):
        super().__init__()
        if isinstance(attention_type, str) and attention_type not in ATTENTIONS:
            raise ValueError(f"there is no attention {attention_type!r}: choose one of {', '.join(ATTENTIONS)}")
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.rnn = cell(2 * hidden_size, hidden_size)
        self.attention = ATTENTIONS.get(attention_type, attention_type)(hidden_size)
        self.out = nn.Linear(hidden_size, vocab_size)

    def forward(self, prefix, memory):
        """prefix (B, T), memory (`translator.Memory`) -> logits (B, T, V) of the symbol after each prefix symbol."""
        if type(self.rnn) is MyGRUCell and self._known:
            states = attending_states(self.rnn, self.attention, self.embedding, prefix, memory)  # (B, T, H)
        else:
            states, _ = self.stepwise(prefix, memory)
        return self.out(states)

    def stepwise(self, prefix, memory):
        """States (B, T, H) and weights (B, S, T) by a plain loop: the readable path, which the fast one must equal."""
        embedded, state, states, weights = self.embedding(prefix), self.start(memory), [], []
        for t in range(prefix.shape[1]):
            state, weight = self._advance(embedded[:, t], state, memory)
            states.append(state.hidden)
            weights.append(weight)
        return torch.stack(states, dim=1), torch.cat(weights, dim=2)

    def attention_maps(self, prefix, memory):
        """The `AttentionMaps` of a prefix (B, T): one cross map (B, 1, S, T)."""
        return AttentionMaps((), (), (self.stepwise(prefix, memory)[1][:, None],))

    def start(self, memory):
        """The `Reading` before the first symbol: the encoder's last state, keys and values projected for all steps."""
        keys = values = memory.states
        if self._known:
            keys, values = self.attention.project(keys, values)
        return Reading(memory.last, keys, values)

    def step(self, symbol, state, memory):
        """symbol (B,), state (`Reading`) -> logits (B, V), new state."""
        state, _ = self._advance(self.embedding(symbol), state, memory)
        return self.out(state.hidden), state

    def _advance(self, embedded, state, memory):
        ask = self.attention.attend if self._known else self.attention
        context, weights = ask(state.hidden, state.keys, state.values, memory.mask)  # (B, 1, H), (B, S, 1)
        hidden = self.rnn(torch.cat([embedded, context.squeeze(1)], dim=1), state.hidden)
        return state._replace(hidden=hidden), weights

    @property
    def _known(self):
        """Whether the attention is the library's own: any other class is called as a whole at every step."""
        return type(self.attention) in ATTENTIONS.values()
