"""The GRU that attends, over a whole sequence at once: the fast path of `attention_rnn`.

Beyond what makes `recurrence` fast: the keys are projected once a sequence, not once a step. So are the values, through
the context's half of the gates, so that weighting them adds the context's part to all three gates in one product. The
state passes through the query's weights and the gates' in one product. The backward pass is written out.
"""

import torch
from torch.nn import functional as F

from a3lib.attention import AdditiveAttention


def attending_states(cell, attention, embedding, symbols, memory):
    """States (B, T, H) of a `gru.MyGRUCell` over [embedded symbol; context], from `memory.last`.

    symbols (B, T); attention an `AdditiveAttention` or `ScaledDotAttention` asked with the previous state. Gradients
    are exact, but have none themselves; biases that a softmax cancels (a constant added to all scores) get none. For
    float32 and float64, and sources of at least one symbol, as every batch has them; `attention` itself takes the rest.
    """
    H = memory.last.shape[1]
    # g comes doubled, since tanh(x) = 2 sigmoid(2x) - 1 and the library's sigmoid is several times faster than its tanh
    inputs = torch.cat([cell.Wiz.weight, cell.Wir.weight, 2 * cell.Wih.weight])  # (3H, 2H)
    bias = [cell.Wiz.bias + cell.Whz.bias, cell.Wir.bias + cell.Whr.bias, 2 * (cell.Wih.bias + cell.Whh.bias)]
    table = F.linear(
        embedding.weight, inputs[:, :H], torch.cat(bias)
    )  # (V, 3H) each symbol's part in the gates z, r, g
    gates = table.index_select(0, symbols.t().flatten()).view(*symbols.t().shape, -1)  # (T, B, 3H)
    read = _additive if type(attention) is AdditiveAttention else _scaled_dot
    query, keys, offset, values, score = read(attention, memory.states)
    if memory.mask is not None:
        offset = offset.masked_fill(~memory.mask, attention.neg_inf)  # (B, S)
    hidden = torch.cat([query, cell.Whz.weight, cell.Whr.weight]).t().contiguous()  # (H, 3H)
    values = F.linear(values, inputs[:, H:])  # (B, S, 3H)
    keys = keys.transpose(0, 1).contiguous()  # (S, B, H)
    hidden_g = 2 * cell.Whh.weight.t().contiguous()  # (H, H)
    arguments = (gates, memory.last, hidden, hidden_g, keys, offset.t(), values, score)
    return _Recurrence.apply(*arguments).transpose(0, 1)


def _additive(attention, states):
    """The query's weights (H, H), keys (B, S, H), what is added to the scores (B, S), values, the last layer (H,)."""
    first, _, last = attention.attention_network
    keys, values = attention.project(states, states)
    return first.weight[:, : attention.hidden_size], keys, keys.new_zeros(keys.shape[:2]), values, last.weight[0]


def _scaled_dot(attention, states):
    """As `_additive`; the query's bias meets the keys once, and no last layer stands for the dot product."""
    keys, values = attention.project(states, states)
    keys = keys * attention.scaling_factor
    return attention.Q.weight, keys, keys @ attention.Q.bias, values, None


class _Recurrence(torch.autograd.Function):
    """gates (T, B, 3H); initial (B, H); hidden (H, 3H) of query, z, r; hidden_g (H, H); keys (S, B, H); offset (S, B);
    values (B, S, 3H); score (H,) or None -> states (T, B, H)."""

    @staticmethod
    def forward(ctx, gates, initial, hidden, hidden_g, keys, offset, values, score):
        T, B, _ = gates.shape
        S, _, H = keys.shape
        layer = keys.new_empty(T if score is not None else 1, S, B, H)  # of the additive network
        query, zr = gates.new_empty(T, B, H), gates.new_empty(T, B, 2 * H)
        g, reset, weights = gates.new_empty(T, B, H), gates.new_empty(T, B, H), gates.new_empty(T, B, S)
        states = gates.new_empty(T + 1, B, H)
        states[0] = h = initial
        minus_one = torch.full_like(initial, -1.0)
        layers = layer if score is not None else layer.expand(T, S, B, H)
        zs, rs = zr.split(H, dim=2)
        steps = (gates[:, :, None], layers, query, zr, zs, rs, reset, g, weights, states[1:])
        for in_t, layer_t, query_t, zr_t, z_t, r_t, reset_t, g_t, weights_t, new in _steps(steps):
            hidden_t = torch.mm(h, hidden)  # (B, 3H)
            query_t.copy_(hidden_t[:, :H])
            if score is None:
                scores = torch.mul(keys, query_t, out=layer_t).sum(2)  # (S, B)
            else:
                torch.add(keys, query_t, out=layer_t).relu_()
                scores = torch.mv(layer_t.view(S * B, H), score).view(S, B)
            weights_t.copy_(torch.softmax(scores.add_(offset), 0).t())
            in_t = torch.baddbmm(in_t, weights_t[:, None], values).squeeze(1)  # (B, 3H)
            torch.add(in_t[:, : 2 * H], hidden_t[:, H:], out=zr_t).sigmoid_()
            torch.mul(r_t, h, out=reset_t)
            torch.addmm(in_t[:, 2 * H :], reset_t, hidden_g, out=g_t).sigmoid_()
            torch.add(minus_one, g_t, alpha=2, out=g_t)
            h = torch.lerp(h, g_t, z_t, out=new)  # (1 - z) h + z g
        ctx.save_for_backward(zr, g, reset, states, weights, query, layer, hidden, hidden_g, keys, values, score)
        return states[1:]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_states):
        zr, g, reset, states, weights, query, layer, hidden, hidden_g, keys, values, score = ctx.saved_tensors
        T, B, S = weights.shape
        H = g.shape[2]
        before = states[:-1]
        z, r = zr.split(H, dim=2)
        keep = 1 - z
        by_g = torch.ops.aten.tanh_backward(z, g).mul_(0.5)  # z (1 - g^2), and the half since g comes doubled
        by_z = torch.ops.aten.sigmoid_backward(g - before, z)  # (g - h) z (1 - z)
        by_r = torch.ops.aten.sigmoid_backward(before, r)  # h r (1 - r)
        grad_query, grad_gates = grad_states.new_empty(T, B, H), grad_states.new_empty(T, B, 3 * H)
        grad_zr = grad_gates[:, :, : 2 * H]
        grad_scores = grad_states.new_empty(T, S, B)
        grad_layer, grad_keys = torch.empty_like(keys), torch.zeros_like(keys)
        grad_score = None if score is None else torch.zeros_like(score)
        to_h, to_reset = hidden.t().contiguous().split([H, 2 * H]), hidden_g.t().contiguous()
        to_weights = values.transpose(1, 2)  # (B, 3H, S)
        grad_h, grad_reset = torch.zeros_like(g[0]), torch.empty_like(g[0])
        layers = layer if score is not None else layer.expand(T, S, B, H)
        steps = (grad_states, by_g, by_z, by_r, keep, r, weights, layers)
        outputs = (grad_query, *grad_gates.split(H, dim=2), grad_zr, grad_gates[:, :, None], grad_scores)
        for (grad, by_g_t, by_z_t, by_r_t, keep_t, r_t, weights_t, layer_t), out in zip(
            _steps(steps, reverse=True), _steps(outputs, reverse=True), strict=True
        ):
            query_t, z_t, reset_t, g_t, zr_t, gates_t, scores_t = out
            grad_h.add_(grad)
            torch.mul(grad_h, by_g_t, out=g_t)
            torch.mul(grad_h, by_z_t, out=z_t)
            torch.mm(g_t, to_reset, out=grad_reset)
            torch.mul(grad_reset, by_r_t, out=reset_t)
            grad_weights = torch.bmm(gates_t, to_weights).squeeze(1)  # (B, S)
            scores_t.copy_(torch.ops.aten._softmax_backward_data(grad_weights, weights_t, 1, weights.dtype).t())
            if score is None:
                torch.mul(keys, scores_t[:, :, None], out=grad_layer)
            else:
                torch.mul(scores_t[:, :, None], score, out=grad_layer)
                torch.ops.aten.threshold_backward(grad_layer, layer_t, 0, grad_input=grad_layer)
                grad_keys.add_(grad_layer)
                grad_score.addmv_(layer_t.view(S * B, H).t(), scores_t.view(S * B))
            torch.sum(grad_layer, 0, out=query_t)
            grad_h.mul_(keep_t).addcmul_(grad_reset, r_t).addmm_(query_t, to_h[0]).addmm_(zr_t, to_h[1])
        before = before.reshape(-1, H)
        if score is None:
            grad_keys = torch.bmm(grad_scores.permute(2, 1, 0), query.transpose(0, 1)).transpose(0, 1)
        return (
            grad_gates,
            grad_h,
            torch.cat([before.t() @ grad_query.view(-1, H), before.t() @ grad_zr.reshape(-1, 2 * H)], dim=1),
            reset.view(-1, H).t() @ grad_gates[:, :, 2 * H :].reshape(-1, H),
            grad_keys,
            grad_scores.sum(0),
            torch.bmm(weights.permute(1, 2, 0), grad_gates.transpose(0, 1)),  # (B, S, 3H)
            grad_score,
        )


def _steps(tensors, reverse=False):
    """The tensors' entries at one step after the other."""
    return zip(*(reversed(x.unbind()) if reverse else x.unbind() for x in tensors), strict=True)
