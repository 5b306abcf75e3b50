"""AdamW and Muon as PyTorch has them, with little to do beside the arithmetic.

An update of a small model takes a few milliseconds. PyTorch's own classes spend a tenth of that on
bookkeeping per parameter (AdamW), or multiply one small matrix after the other in bfloat16 (Muon,
four times as long on a CPU). Tests compare both with them.
"""

import torch

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # as published: fast rather than exact
STEPS = 5  # of Newton and Schulz


class AdamW(torch.optim.Optimizer):
    """Adam with decoupled weight decay (Kingma and Ba 2015; Loshchilov and Hutter 2019)."""

    def __init__(self, parameters, lr, weight_decay=0.0, betas=(0.9, 0.999), eps=1e-8):
        defaults = {"lr": lr, "weight_decay": weight_decay, "betas": betas, "eps": eps}
        super().__init__(parameters, defaults)
        self._gathered = {}  # number of a group -> what its last step used

    @torch.no_grad()
    def step(self):
        """One update of every parameter that has a gradient."""
        for number, group in enumerate(self.param_groups):
            learning = [p for p in group["params"] if p.grad is not None]
            if not learning:
                continue
            states, means, squares = self._moments(number, learning)
            for state in states:
                state["updates"] += 1
            made = {state["updates"] for state in states}  # one number, unless some learn later
            counts = {n: torch.full((), float(n), device=learning[0].device) for n in made}
            torch._fused_adamw_(
                learning,
                [p.grad for p in learning],
                means,
                squares,
                [],  # of AMSGrad
                [counts[state["updates"]] for state in states],
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )

    def _moments(self, number, learning):
        """States, means and squares of the parameters; gathered anew when others learn."""
        key = list(map(id, learning))
        if self._gathered.get(number, (None,))[0] != key:
            for p in learning:
                if p not in self.state:
                    moments = {"mean": torch.zeros_like(p), "square": torch.zeros_like(p)}
                    self.state[p] = {"updates": 0, **moments}
            states = [self.state[p] for p in learning]
            moments = ([state[name] for state in states] for name in ("mean", "square"))
            self._gathered[number] = (key, states, *moments)
        return self._gathered[number][1:]

    def load_state_dict(self, state_dict):
        """As PyTorch's."""
        super().load_state_dict(state_dict)
        self._gathered.clear()


class Muon(torch.optim.Optimizer):
    """The momentum of a matrix, made orthogonal, is the direction of its update (Jordan 2024)."""

    def __init__(self, parameters, lr, weight_decay=0.0, momentum=0.8):
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self):
        """One update of every matrix that has a gradient."""
        for group in self.param_groups:
            shapes = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    shapes.setdefault(matrix.shape, []).append(matrix)
            for (rows, columns), matrices in shapes.items():
                rate = group["lr"] * max(1, rows / columns) ** 0.5
                directions = orthogonal(self._momenta(matrices, group["momentum"]))
                torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(matrices, directions.unbind(), alpha=-rate)

    def _momenta(self, matrices, momentum):
        """Nesterov's momentum of each gradient (N, rows, columns)."""
        for matrix in matrices:
            if matrix not in self.state:
                self.state[matrix] = {"momentum": torch.zeros_like(matrix)}
        gradients = [matrix.grad for matrix in matrices]
        averages = [self.state[matrix]["momentum"] for matrix in matrices]
        torch._foreach_lerp_(averages, gradients, 1 - momentum)
        return torch.stack(torch._foreach_lerp(gradients, averages, momentum))


def orthogonal(matrices):
    """Nearly orthogonal matrices (N, rows, columns) with the singular vectors of the given ones."""
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    for _ in range(STEPS):
        gram = x @ x.transpose(1, 2)  # (N, smaller side, smaller side)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.transpose(1, 2) if tall else x
