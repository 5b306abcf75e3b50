"""The fast twin's arithmetic: what the published models compute, in fewer, larger operations.

Nothing here runs unless a run's settings ask for it, see `twin`. What is done otherwise than in the
readable classes:

- GRU: the input half of the gates goes through its weights once per symbol of the vocabulary, not
  once per place, and takes both biases along; z and r share one product per step. The backward
  pass is written out: in batches of 64 words an update takes a sixth less time than by autograd.
- RNN attention: keys are projected once per word, and each step weighs with sums, which are faster
  than tiny batched products.
- Transformer: with one head, softmax over the keys of (Wq x + bq)(Wk y + bk) is that of
  (x Wq'Wk + bq Wk) y, since the rest adds the same to all scores of a query. So keys need no
  projection, and the residual is added by the product that makes the context.
"""

import torch
from torch.nn import functional as F

from a3lib.translation.attention import AdditiveAttention
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
        return decoder.out(read).transpose(0, 1)
    y = encoder.embedding(source) + encoder.positions(source.shape[1])  # (B, S, H)
    seen = hiding(None if mask is None else ~mask, y)
    for block in encoder.blocks:
        y = residual_attention(block.attention, y, y, *seen)
        y = residual_mlp(block.mlp, y)
    x = decoder.embedding(prefix) + decoder.positions(prefix.shape[1])  # (B, T, H)
    own = hiding(None if decoder.causal else prefix == EOS, x, decoder.causal)
    for block in decoder.blocks:
        x = residual_attention(block.attention, x, x, *own)
        x = residual_attention(block.cross, x, y, *seen)
        x = residual_mlp(block.mlp, x)
    return decoder.out(x)


def gru_states(cell, embedding, symbols, h, mask=None):
    """States (S, B, H) of a `MyGRUCell` over embedded symbols (B, S) from the state h (B, H)."""
    inputs, bias, hidden_zr, hidden_g = _gate_weights(cell)
    gates = F.embedding(symbols.t(), F.linear(embedding.weight, inputs, bias))  # (S, B, 3H)
    if mask is not None:
        H = h.shape[1]
        z, others = gates.split([H, 2 * H], dim=2)
        z = z.masked_fill(~mask.t()[:, :, None], -torch.inf)  # sigmoid 0 keeps the state
        gates = torch.cat([z, others], dim=2)
    return _GRU.apply(gates, h, hidden_zr, hidden_g)


class _GRU(torch.autograd.Function):
    """gates (S, B, 3H) in the order z, r, g; h (B, H); hidden_zr (H, 2H); hidden_g (H, H).

    Backward, all steps' derivatives of the gates and both weights' gradients are made at once.
    """

    @staticmethod
    def forward(ctx, gates, h, hidden_zr, hidden_g):
        (S, B, _), H = gates.shape, h.shape[1]
        zr, g = gates.new_empty(S, B, 2 * H), gates.new_empty(S, B, H)
        reset, states = torch.empty_like(g), torch.cat([h[None], torch.empty_like(g)])
        steps = (*gates.split([2 * H, H], 2), zr, *zr.split(H, 2), reset, g, states[1:])
        for in_zr, in_g, zr_t, z_t, r_t, reset_t, g_t, new in _unbound(steps):
            torch.addmm(in_zr, h, hidden_zr, out=zr_t).sigmoid_()
            torch.mul(r_t, h, out=reset_t)
            torch.addmm(in_g, reset_t, hidden_g, out=g_t).tanh_()
            h = torch.lerp(h, g_t, z_t, out=new)  # (1 - z) h + z g
        ctx.save_for_backward(zr, g, reset, states, hidden_zr, hidden_g)
        return states[1:]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_states):
        zr, g, reset, states, hidden_zr, hidden_g = ctx.saved_tensors
        (S, B, H), before = g.shape, states[:-1]
        z, r = zr.split(H, dim=2)
        by_g = torch.ops.aten.tanh_backward(z, g)  # the new state by the sums that make each gate
        by_z = torch.ops.aten.sigmoid_backward(g - before, z)
        by_r = torch.ops.aten.sigmoid_backward(before, r)  # the reset state by r's
        grads, to_h, to_reset = grad_states.new_empty(S, B, 3 * H), hidden_zr.t(), hidden_g.t()
        grads_zr, grad_h = grads[:, :, : 2 * H], torch.zeros_like(g[0])
        steps = (grad_states, by_g, by_z, by_r, 1 - z, r, grads_zr, *grads.split(H, dim=2))
        for grad, by_g_t, by_z_t, by_r_t, keep, r_t, out_zr, out_z, out_r, out_g in reversed(
            list(_unbound(steps))
        ):
            grad_h.add_(grad)
            torch.mul(grad_h, by_g_t, out=out_g)
            torch.mul(grad_h, by_z_t, out=out_z)
            grad_reset = torch.mm(out_g, to_reset)
            torch.mul(grad_reset, by_r_t, out=out_r)
            grad_h.mul_(keep).addcmul_(grad_reset, r_t).addmm_(out_zr, to_h)
        rows = grads.view(S * B, 3 * H)
        grad_zr = before.reshape(S * B, H).t() @ rows[:, : 2 * H]
        return grads, grad_h, grad_zr, reset.view(S * B, H).t() @ rows[:, 2 * H :]


def _unbound(tensors):
    """The entries of all tensors at one step after the other."""
    return zip(*(tensor.unbind() for tensor in tensors), strict=True)


def attending_states(decoder, prefix, states, mask=None):
    """States (T, B, H) of an `RNNAttentionDecoder` over a prefix (B, T), given states (S, B, H)."""
    h, H, attend = states[-1], states.shape[2], decoder.attention
    inputs, bias, hidden_zr, hidden_g = _gate_weights(decoder.rnn)
    gates = F.embedding(prefix.t(), F.linear(decoder.embedding.weight, inputs[:, :H], bias))
    from_context = inputs[:, H:].t().contiguous()  # (H, 3H)
    additive = isinstance(attend, AdditiveAttention)
    if additive:
        first, _, last = attend.attention_network
        to_query, score = first.weight[:, :H].t().contiguous(), last.weight[0]
        keys, values = F.linear(states, first.weight[:, H:], first.bias), states  # (S, B, H)
    else:
        to_query, keys, values = attend.Q.weight.t(), attend.K(states), attend.V(states)
        keys = keys * attend.scaling_factor
    padded = None if mask is None else ~mask.t()  # (S, B)
    lowest, read = torch.finfo(h.dtype).min, []
    for gate in gates.unbind():
        query = h @ to_query  # (B, H)
        if additive:
            scores = torch.mv((keys + query).relu_().view(-1, H), score).view(keys.shape[:2])
        else:
            scores = (keys * (query + attend.Q.bias)).sum(2)  # (S, B)
        if padded is None:
            weights = torch.softmax(scores, 0)
        else:
            weights = torch.softmax(scores.masked_fill(padded, lowest), 0).masked_fill(padded, 0)
        context = (weights[:, :, None] * values).sum(0)  # (B, H)
        in_zr, in_g = torch.addmm(gate, context, from_context).split([2 * H, H], dim=1)
        z, r = torch.addmm(in_zr, h, hidden_zr).sigmoid().chunk(2, dim=1)
        g = torch.addmm(in_g, r * h, hidden_g).tanh()
        h = torch.lerp(h, g, z)  # (1 - z) h + z g
        read.append(h)
    return torch.stack(read)


def _gate_weights(cell):
    """Of z, r and g: weights on the input (3H, D), biases (3H,); on the state (H, 2H), (H, H)."""
    inputs, hidden = (cell.Wiz, cell.Wir, cell.Wih), (cell.Whz, cell.Whr, cell.Whh)
    bias = torch.cat([one.bias for one in inputs]) + torch.cat([one.bias for one in hidden])
    hidden_zr = torch.cat([cell.Whz.weight, cell.Whr.weight]).t().contiguous()
    weight = torch.cat([one.weight for one in inputs])
    return weight, bias, hidden_zr, cell.Whh.weight.t().contiguous()


def hiding(padded, x, causal=False):
    """(what is added to the scores, keys that no query sees): (B or 1, S, T or 1), (B, S, 1).

    padded (B, S) is True at padding, or None; x (B, S, H) tells size and type.
    """
    lowest, offset = torch.finfo(x.dtype).min, None
    if causal:
        offset = x.new_full((1, x.shape[1], x.shape[1]), lowest).tril_(-1)
    if padded is None:
        return offset, None
    padded = padded[:, :, None]
    padding = torch.zeros_like(padded, dtype=x.dtype).masked_fill_(padded, lowest)
    return padding if offset is None else torch.minimum(offset, padding), padded


def residual_attention(attend, x, y, offset=None, padded=None):
    """x + attend(x, y, y)[0] of a `ScaledDotAttention` or its causal form.

    x (B, T, H), y (B, S, H); for the rest see `hiding`.
    """
    Q, K, V, scale = attend.Q, attend.K, attend.V, attend.scaling_factor
    weights = (Q.weight, Q.bias, K.weight, V.weight, V.bias)
    return _ResidualAttention.apply(x, y, *weights, offset, padded, scale)


def residual_mlp(mlp, x):
    """x + mlp(x) of a Linear and a ReLU: x (B, T, H)."""
    return _ResidualMLP.apply(x, mlp[0].weight, mlp[0].bias)


class _ResidualMLP(torch.autograd.Function):
    """x (B, T, H), weight (H, H), bias (H,) -> (B, T, H)."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        rows = x.reshape(-1, x.shape[-1])
        layer = torch.addmm(bias, rows, weight.t()).relu_()
        ctx.save_for_backward(rows, layer, weight)
        return (rows + layer).view_as(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        rows, layer, weight = ctx.saved_tensors
        grad_rows = grad.reshape(rows.shape)
        grad_layer = torch.ops.aten.threshold_backward(grad_rows, layer, 0)
        grad_x = torch.addmm(grad_rows, grad_layer, weight).view_as(grad)
        return grad_x, torch.mm(grad_layer.t(), rows), grad_layer.sum(0)


class _ResidualAttention(torch.autograd.Function):
    """x (B, T, H), y (B, S, H), offset of the scores (B or 1, S, T or 1) or None -> (B, T, H).

    Its gradients are sums that products add to in place; autograd would make each sum anew.
    """

    @staticmethod
    def forward(ctx, x, y, Wq, bq, Wk, Wv, bv, offset, padded, scale):
        (B, T, H), S = x.shape, y.shape[1]
        ctx.same, ctx.scale = x is y, scale  # self-attention: one tensor in both roles
        x, y = x.contiguous(), y.contiguous()
        Wqk, bqk = torch.mm(Wq.t(), Wk).mul_(scale), torch.mv(Wk.t(), bq).mul_(scale)
        q = torch.addmm(bqk, x.view(B * T, H), Wqk).view(B, T, H)
        v = torch.addmm(bv, y.view(B * S, H), Wv.t()).view(B, S, H)
        q_t = q.transpose(1, 2)
        scores = torch.bmm(y, q_t) if offset is None else torch.baddbmm(offset, y, q_t)  # (B, S, T)
        weights = torch.softmax(scores, 1)
        if padded is not None:
            weights.masked_fill_(padded, 0)  # a word without any symbol has no context
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
