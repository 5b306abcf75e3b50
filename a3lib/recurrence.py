"""The GRU of the assignment over a whole sequence at once: the fast path of `gru.unroll`.

Four things make it fast, none changes the result. The input half of all gates is computed before the loop, and takes
both biases along, since the assignment's cell adds them outside the reset gate. Inputs that are embedded symbols go
through the gates' weights once a symbol of the vocabulary, not once a place. The hidden halves of z and r are one
product a step. The backward pass is written out, so that a step leaves no graph behind and all gradients of the
hidden weights are two products after the loop.
"""

import torch
from torch.nn import functional as F


def gru_states(cell, inputs, initial, mask=None):
    """States of a `gru.MyGRUCell` over inputs (B, S, D) from the initial state (B, H) -> (B, S, H).

    Where mask (B, S) is False the state is carried over unchanged. Gradients are exact, but have none themselves.
    """
    return _states(cell, _gates(cell, inputs.transpose(0, 1)), initial, mask)


def gru_states_of_symbols(cell, embedding, symbols, initial, mask=None):
    """`gru_states` of the embedded symbols (B, S) -> (B, S, H)."""
    table = _gates(cell, embedding.weight)  # (V, 3H)
    gates = table.index_select(0, symbols.t().flatten())  # (S B, 3H)
    return _states(cell, gates.view(symbols.shape[1], symbols.shape[0], -1), initial, mask)


def _gates(cell, inputs):
    """The input half of the gates z, r, g with all biases: (..., D) -> (..., 3H)."""
    input_gates, hidden_gates = (cell.Wiz, cell.Wir, cell.Wih), (cell.Whz, cell.Whr, cell.Whh)
    weight = torch.cat([gate.weight for gate in input_gates])  # (3H, D)
    bias = torch.cat([gate.bias for gate in input_gates]) + torch.cat([gate.bias for gate in hidden_gates])  # (3H,)
    return F.linear(inputs, weight, bias)


def _states(cell, gates, initial, mask):
    if mask is not None:
        hidden = initial.shape[1]
        z, others = gates.split([hidden, 2 * hidden], dim=2)
        # z = sigmoid(-inf) = 0 keeps the state to the bit
        gates = torch.cat([z.masked_fill(~mask.t()[:, :, None], -torch.inf), others], dim=2)
    hidden_zr = torch.cat([cell.Whz.weight, cell.Whr.weight]).t().contiguous()  # (H, 2H)
    return _Recurrence.apply(gates, initial, hidden_zr, cell.Whh.weight.t().contiguous()).transpose(0, 1)


class _Recurrence(torch.autograd.Function):
    """gates (S, B, 3H) in the order z, r, g; initial (B, H); hidden_zr (H, 2H); hidden_g (H, H) -> states (S, B, H)."""

    @staticmethod
    def forward(ctx, gates, initial, hidden_zr, hidden_g):
        S, B, _ = gates.shape
        H = initial.shape[1]
        gates_zr, gates_g = gates.split([2 * H, H], dim=2)
        zr, g, reset = gates.new_empty(S, B, 2 * H), gates.new_empty(S, B, H), gates.new_empty(S, B, H)
        states = gates.new_empty(S + 1, B, H)
        states[0] = h = initial
        z, r = zr.split(H, dim=2)
        # tanh(x) = 2 sigmoid(2x) - 1: the library's sigmoid is several times faster than its tanh
        doubled, minus_one = 2 * hidden_g, gates.new_full((B, H), -1.0)
        steps = (gates_zr, 2 * gates_g, zr, z, r, reset, g, states[1:])
        for in_zr, in_g, zr_t, z_t, r_t, reset_t, g_t, new in zip(*(x.unbind() for x in steps), strict=True):
            torch.addmm(in_zr, h, hidden_zr, out=zr_t).sigmoid_()
            torch.mul(r_t, h, out=reset_t)
            torch.addmm(in_g, reset_t, doubled, out=g_t).sigmoid_()
            torch.add(minus_one, g_t, alpha=2, out=g_t)
            h = torch.lerp(h, g_t, z_t, out=new)  # (1 - z) h + z g
        ctx.save_for_backward(zr, g, reset, states, hidden_zr, hidden_g)
        return states[1:]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_states):
        zr, g, reset, states, hidden_zr, hidden_g = ctx.saved_tensors
        S, B, H = g.shape
        before = states[:-1]
        z, r = zr.split(H, dim=2)
        keep = 1 - z
        # derivative of the new state by each gate's pre-activation (for r: of reset), all steps at once
        by_g = torch.ops.aten.tanh_backward(z, g)  # z (1 - g^2)
        by_z = torch.ops.aten.sigmoid_backward(g - before, z)  # (g - h) z (1 - z)
        by_r = torch.ops.aten.sigmoid_backward(before, r)  # h r (1 - r)
        grad_gates = grad_states.new_empty(S, B, 3 * H)
        grad_zr = grad_gates[:, :, : 2 * H]
        grad_z, grad_r, grad_g = grad_gates.split(H, dim=2)
        to_h, to_reset = hidden_zr.t().contiguous(), hidden_g.t().contiguous()
        grad_h, grad_reset = torch.zeros_like(g[0]), torch.empty_like(g[0])
        steps = (grad_states, by_g, by_z, by_r, keep, r, grad_zr, grad_z, grad_r, grad_g)
        for grad, by_g_t, by_z_t, by_r_t, keep_t, r_t, zr_t, z_t, reset_t, g_t in zip(
            *(reversed(x.unbind()) for x in steps), strict=True
        ):
            grad_h.add_(grad)
            torch.mul(grad_h, by_g_t, out=g_t)
            torch.mul(grad_h, by_z_t, out=z_t)
            torch.mm(g_t, to_reset, out=grad_reset)
            torch.mul(grad_reset, by_r_t, out=reset_t)
            grad_h.mul_(keep_t).addcmul_(grad_reset, r_t).addmm_(zr_t, to_h)
        grad_hidden_zr = before.reshape(-1, H).t() @ grad_zr.reshape(-1, 2 * H)
        grad_hidden_g = reset.reshape(-1, H).t() @ grad_g.reshape(-1, H)
        return grad_gates, grad_h, grad_hidden_zr, grad_hidden_g
