"""The RNN decoder that attends to the encoder's states (Bahdanau et al. 2015, section 3.1)."""

import torch
from torch import nn

from a3lib.translation.attention import AdditiveAttention, ScaledDotAttention, with_mask
from a3lib.translation.gru import MyGRUCell

ATTENTIONS = {"additive": AdditiveAttention, "scaled_dot": ScaledDotAttention}


class RNNAttentionDecoder(nn.Module):
    """Embedding, attention asked with the previous state, GRU over [embedding; context], logits.

    attention_type: 'additive', 'scaled_dot', or a class that is built with the hidden size and
    called with (queries, keys, values) or (queries, keys, values, mask). Raises ValueError for
    another name.
    """

    def __init__(self, vocab_size, hidden_size, attention_type="additive", cell=MyGRUCell):
        super().__init__()
        if isinstance(attention_type, str) and attention_type not in ATTENTIONS:
            known = ", ".join(ATTENTIONS)
            raise ValueError(f"there is no attention {attention_type!r}: choose one of {known}")
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.rnn = cell(2 * hidden_size, hidden_size)
        self.attention = with_mask(ATTENTIONS.get(attention_type, attention_type))(hidden_size)
        self.out = nn.Linear(hidden_size, vocab_size)

    def forward(self, prefix, memory):
        """prefix (B, T), memory (`Memory`) -> logits (B, T, V) after each prefix symbol."""
        x = self.embedding(prefix)  # (B, T, H)
        h, states = memory.last, []
        for t in range(prefix.shape[1]):
            context, _ = self.attention(h, memory.states, memory.states, memory.mask)
            h = self.rnn(torch.cat([x[:, t], context.flatten(1)], dim=1), h)  # (B, H)
            states.append(h)
        return self.out(torch.stack(states, dim=1))
