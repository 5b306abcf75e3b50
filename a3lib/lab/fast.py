"""The fast twin's arithmetic: what the published models compute, in fewer, larger operations.

Nothing here runs unless a run's settings ask for it, see `twin`. What is done otherwise than in the
readable classes:

- GRU: the input half of the gates goes through its weights once per symbol of the vocabulary, not
  once per place, and takes both biases along; z and r share one product per step.
- RNN attention: keys are projected once per word, and each step weighs with sums, which are faster
  than tiny batched products.
- Transformer: with one head, softmax over the keys of (Wq x + bq)(Wk y + bk) is that of
  (x Wq'Wk + bq Wk) y, since the rest adds the same to all scores of a query. So keys need no
  projection, and the residual is added by the product that makes the context.
"""

import torch
from torch import nn
from torch.nn import functional as F

from a3lib.translation.attention import AdditiveAttention, CausalScaledDotAttention
from a3lib.translation.batches import EOS
from a3lib.translation.gru import GRUEncoder, RNNDecoder


def fast_logits(model, source, prefix, mask=None):
    """What `model(source, prefix, mask)` returns, for every published translator."""
    encoder, decoder = model.encoder, model.decoder
    if isinstance(encoder, GRUEncoder):
        first = encoder.embedding.weight.new_zeros(len(source), encoder.hidden_size)
        states = gru_states(encoder.gru, encoder.embedding, source, first, mask)
        if isinstance(decoder, RNNDecoder):
            read = gru_states(decoder.rnn, decoder.embedding, prefix, states[-1])
        else:
            read = attending_states(decoder, prefix, states, mask)
        return decoder.out(read.transpose(0, 1))
    hidden = None if mask is None else ~mask[:, :, None]  # (B, S, 1)
    y = encoder.embedding(source) + encoder.positions(source.shape[1])  # (B, S, H)
    for block in encoder.blocks:
        y = residual_attention(block.attention, y, y, hidden)
        y = y + _mlp(block.mlp, y)
    x = decoder.embedding(prefix) + decoder.positions(prefix.shape[1])  # (B, T, H)
    own = None if decoder.causal else (prefix == EOS)[:, :, None]
    for block in decoder.blocks:
        x = residual_attention(block.attention, x, x, own)
        x = residual_attention(block.cross, x, y, hidden)
        x = x + _mlp(block.mlp, x)
    return decoder.out(x)


def _mlp(layers, x):
    for layer in layers:
        x = torch.relu_(x) if isinstance(layer, nn.ReLU) else layer(x)
    return x


def gru_states(cell, embedding, symbols, h, mask=None):
    """States (S, B, H) of a `MyGRUCell` over embedded symbols (B, S) from the state h (B, H)."""
    inputs, bias, hidden_zr, hidden_g = _gate_weights(cell)
    gates = F.embedding(symbols.t(), F.linear(embedding.weight, inputs, bias))  # (S, B, 3H)
    H, states = h.shape[1], []
    steps = zip(*(part.unbind() for part in gates.split([2 * H, H], dim=2)), strict=True)
    for t, (in_zr, in_g) in enumerate(steps):
        new = _gated(torch.addmm(in_zr, h, hidden_zr), in_g, h, hidden_g)
        h = new if mask is None else torch.where(mask[:, t, None], new, h)
        states.append(h)
    return torch.stack(states)


def attending_states(decoder, prefix, states, mask=None):
    """States (T, B, H) of an `RNNAttentionDecoder` over a prefix (B, T), given states (S, B, H)."""
    h, H, attend = states[-1], states.shape[2], decoder.attention
    inputs, bias, hidden_zr, hidden_g = _gate_weights(decoder.rnn)
    gates = F.embedding(prefix.t(), F.linear(decoder.embedding.weight, inputs[:, :H], bias))
    from_context = inputs[:, H:].t()  # (H, 3H)
    if isinstance(attend, AdditiveAttention):
        first, _, last = attend.attention_network
        query = first.weight[:, :H].t()
        keys, values = F.linear(states, first.weight[:, H:], first.bias), states  # (S, B, H)
    else:
        query, keys, values = attend.Q.weight.t(), attend.K(states), attend.V(states)
        keys = keys * attend.scaling_factor
    by_state = torch.cat([query, hidden_zr], dim=1)  # (H, 3H)
    hidden = None if mask is None else ~mask.t()  # (S, B)
    lowest, read = torch.finfo(h.dtype).min, []
    for gate in gates.unbind():
        asked, state_zr = (h @ by_state).split([H, 2 * H], dim=1)
        if isinstance(attend, AdditiveAttention):
            scores = torch.matmul((keys + asked).relu_(), last.weight[0])  # (S, B)
        else:
            scores = (keys * (asked + attend.Q.bias)).sum(2)
        if hidden is None:
            weights = torch.softmax(scores, 0)
        else:
            weights = torch.softmax(scores.masked_fill(hidden, lowest), 0).masked_fill(hidden, 0)
        context = (weights[:, :, None] * values).sum(0)  # (B, H)
        in_zr, in_g = torch.addmm(gate, context, from_context).split([2 * H, H], dim=1)
        h = _gated(in_zr + state_zr, in_g, h, hidden_g)
        read.append(h)
    return torch.stack(read)


def _gate_weights(cell):
    """Of z, r and g: weights on the input (3H, D), biases (3H,); on the state (H, 2H), (H, H)."""
    inputs, hidden = (cell.Wiz, cell.Wir, cell.Wih), (cell.Whz, cell.Whr, cell.Whh)
    bias = torch.cat([one.bias for one in inputs]) + torch.cat([one.bias for one in hidden])
    hidden_zr = torch.cat([cell.Whz.weight, cell.Whr.weight]).t()
    return torch.cat([one.weight for one in inputs]), bias, hidden_zr, cell.Whh.weight.t()


def _gated(zr, in_g, h, hidden_g):
    """The new state of a GRU from the gates' sums."""
    z, r = zr.sigmoid().chunk(2, dim=1)
    g = torch.addmm(in_g, r * h, hidden_g).tanh()
    return torch.lerp(h, g, z)  # (1 - z) h + z g


def residual_attention(attend, x, y, hidden=None):
    """x + attend(x, y, y, ~hidden)[0] of a `ScaledDotAttention` or its causal form.

    x (B, T, H), y (B, S, H), hidden (B, S, 1) True at keys that may not be seen, or None.
    """
    offset, lowest = None, torch.finfo(x.dtype).min
    if hidden is not None:
        offset = torch.zeros_like(hidden, dtype=x.dtype).masked_fill_(hidden, lowest)
    if isinstance(attend, CausalScaledDotAttention):
        later = torch.full(
            (1, y.shape[1], x.shape[1]), lowest, dtype=x.dtype, device=x.device
        ).tril_(-1)
        offset = later if offset is None else torch.minimum(offset, later)
    Q, K, V, scale = attend.Q, attend.K, attend.V, attend.scaling_factor
    weights = (Q.weight, Q.bias, K.weight, V.weight, V.bias)
    return _ResidualAttention.apply(x, y, *weights, offset, hidden, scale)


class _ResidualAttention(torch.autograd.Function):
    """x (B, T, H), y (B, S, H), offset of the scores (B or 1, S, T or 1) or None -> (B, T, H).

    Its gradients are sums that products add to in place; autograd would make each sum anew.
    """

    @staticmethod
    def forward(ctx, x, y, Wq, bq, Wk, Wv, bv, offset, hidden, scale):
        (B, T, H), S = x.shape, y.shape[1]
        ctx.same, ctx.scale = x is y, scale  # self-attention: one tensor in both roles
        x, y = x.contiguous(), y.contiguous()
        Wqk, bqk = torch.mm(Wq.t(), Wk).mul_(scale), torch.mv(Wk.t(), bq).mul_(scale)
        q = torch.addmm(bqk, x.view(B * T, H), Wqk).view(B, T, H)
        v = torch.addmm(bv, y.view(B * S, H), Wv.t()).view(B, S, H)
        q_t = q.transpose(1, 2)
        scores = torch.bmm(y, q_t) if offset is None else torch.baddbmm(offset, y, q_t)  # (B, S, T)
        weights = torch.softmax(scores, 1)
        if hidden is not None:
            weights.masked_fill_(hidden, 0)  # a word without any symbol has no context
        ctx.save_for_backward(x, y, q, v, weights, Wqk, Wq, bq, Wk, Wv)
        return torch.baddbmm(x, weights.transpose(1, 2), v)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        x, y, q, v, weights, Wqk, Wq, bq, Wk, Wv = ctx.saved_tensors
        (B, T, H), S = x.shape, y.shape[1]
        grad = grad.contiguous()
        grad_weights = torch.bmm(v, grad.transpose(1, 2))  # (B, S, T)
        grad_scores = torch._softmax_backward_data(grad_weights, weights, 1, weights.dtype)
        grad_q = torch.bmm(grad_scores.transpose(1, 2), y).view(B * T, H)
        grad_v = torch.bmm(weights, grad).view(B * S, H)
        x_rows, y_rows = x.view(B * T, H), y.view(B * S, H)
        if ctx.same:
            grad_x, grad_y = torch.baddbmm(grad, grad_scores, q), None
            grad_x.view(B * T, H).addmm_(grad_q, Wqk.t()).addmm_(grad_v, Wv)
        else:
            grad_x = torch.addmm(grad.view(B * T, H), grad_q, Wqk.t()).view(B, T, H)
            grad_y = torch.bmm(grad_scores, q)
            grad_y.view(B * S, H).addmm_(grad_v, Wv)
        grad_Wqk = torch.mm(x_rows.t(), grad_q).mul_(ctx.scale)
        grad_bqk = grad_q.sum(0).mul_(ctx.scale)
        grad_Wq, grad_bq = torch.mm(Wk, grad_Wqk.t()), torch.mv(Wk, grad_bqk)
        grad_Wk = torch.mm(Wq, grad_Wqk).addr_(bq, grad_bqk)
        grad_Wv, grad_bv = torch.mm(grad_v.t(), y_rows), grad_v.sum(0)
        return grad_x, grad_y, grad_Wq, grad_bq, grad_Wk, grad_Wv, grad_bv, None, None, None
