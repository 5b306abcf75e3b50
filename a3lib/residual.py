"""The published transformer's two sublayers, x + attention and x + MLP, with their backward passes written out.

Both equal the classes they stand for. With one head, softmax over the keys of (W_q x + b_q)(W_k y + b_k) is that of
(x W_q'W_k + b_q W_k) y: the rest adds the same to all scores of a query. So the keys need no projection, and the bias
of K no gradient (it is zero). The residual is added by the product that makes the context, and backward by those that
make the gradient. Weights are (keys, queries): a softmax over the middle dimension is several times faster than one
over a short last one.
"""

import torch

from a3lib.attention import hidden_weights


def residual_attention(attention, x, y, mask=None):
    """x + attention(x, y, y, mask)[0] of a `ScaledDotAttention` or its causal form: x (B, T, H), y (B, S, H)."""
    hidden = hidden_weights((y.shape[1], x.shape[1]), mask, attention.causal, device=x.device)
    offset = None if hidden is None else x.new_zeros(hidden.shape).masked_fill_(hidden, attention.neg_inf)
    Q, K, V = attention.Q, attention.K, attention.V
    return _ResidualAttention.apply(x, y, Q.weight, Q.bias, K.weight, V.weight, V.bias, offset)


def residual_mlp(layer, x):
    """x + relu(layer(x)) of a `nn.Linear`: x (B, T, H)."""
    return _ResidualMLP.apply(x, layer.weight, layer.bias)


class _ResidualAttention(torch.autograd.Function):
    """x (B, T, H), y (B, S, H), offset of the scores (B or 1, S, T or 1) or None -> (B, T, H)."""

    @staticmethod
    def forward(ctx, x, y, Wq, bq, Wk, Wv, bv, offset):
        (B, T, H), S = x.shape, y.shape[1]
        scale = H**-0.5
        ctx.same = x is y  # self-attention: one tensor in both roles
        x, y = x.contiguous(), y.contiguous()
        Wqk, bqk = torch.mm(Wq.t(), Wk).mul_(scale), torch.mv(Wk.t(), bq).mul_(scale)  # (H, H), (H,)
        q = torch.addmm(bqk, x.view(B * T, H), Wqk).view(B, T, H)
        v = torch.addmm(bv, y.view(B * S, H), Wv.t()).view(B, S, H)
        q_t = q.transpose(1, 2)
        scores = torch.bmm(y, q_t) if offset is None else torch.baddbmm(offset, y, q_t)  # (B, S, T)
        weights = torch.softmax(scores, 1)
        ctx.save_for_backward(x, y, q, v, weights, Wqk, Wq, bq, Wk, Wv)
        return torch.baddbmm(x, weights.transpose(1, 2), v)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        x, y, q, v, weights, Wqk, Wq, bq, Wk, Wv = ctx.saved_tensors
        (B, T, H), S = x.shape, y.shape[1]
        scale = H**-0.5
        grad = grad.contiguous()
        grad_weights = torch.bmm(v, grad.transpose(1, 2))  # (B, S, T)
        grad_scores = torch.ops.aten._softmax_backward_data(grad_weights, weights, 1, weights.dtype)
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
        grad_Wqk, grad_bqk = torch.mm(x_rows.t(), grad_q).mul_(scale), grad_q.sum(0).mul_(scale)
        return (
            grad_x,
            grad_y,
            torch.mm(Wk, grad_Wqk.t()),
            torch.mv(Wk, grad_bqk),
            torch.mm(Wq, grad_Wqk).addr_(bq, grad_bqk),
            torch.mm(grad_v.t(), y_rows),
            grad_v.sum(0),
            None,
        )


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
