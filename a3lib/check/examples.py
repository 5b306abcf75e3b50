"""The smallest example that still shows a difference, with its numbers."""

import torch

from a3lib.check.bank import close


def example(trial, number, names, right):
    """Text of a smallest case in which the learner's numbers differ from the equations'.

    names: the formulas that give the learner's numbers; right: those of them that are no mistakes.
    """
    spec = trial.spec

    def shown(sizes):
        smaller = trial.again(sizes, seed=5, change=_rounded)
        if smaller.error or not close(smaller.expected(names, number), smaller.outputs):
            return None
        expected = smaller.expected(right, number)
        return expected and difference(smaller, expected)

    sizes, text = dict(trial.sizes), shown(trial.sizes)
    for letter in sizes:
        linked = [other for other in sizes if spec.sizes[other] == spec.sizes[letter]]
        for size in range(spec.smallest.get(letter, 1), sizes[letter]):
            smaller = {**sizes, **dict.fromkeys(linked, size)}
            less = shown(smaller)
            if less:
                sizes, text = smaller, less
                break
    return text or ""


def _rounded(parameters, inputs):
    """Short numbers, none of them zero."""
    for value in [*parameters.values(), *inputs]:
        if value.is_floating_point():
            value.copy_((value * 10).round() / 10)
            value[value == 0] = 0.5


def difference(trial, expected):
    """Inputs and the first output that differs, with numbers; None if none does."""
    spec = trial.spec
    for title, mine, yours in zip(spec.returns, expected, trial.outputs, strict=False):
        if mine.shape != yours.shape:
            return f"{title} has shape {tuple(yours.shape)}; expected {tuple(mine.shape)}"
        if not torch.allclose(mine.float(), yours.float(), rtol=1e-2, atol=2e-3):
            known = list(zip(spec.bank.takes, trial.inputs, strict=False))
            if sum(v.numel() for v in trial.parameters.values()) <= 24:
                known += trial.parameters.items()
            lines = [f"{n} {tuple(v.shape)} = {numbers(v)}" for n, v in known]
            lines += [f"your {title}: {numbers(yours)}", f"expected: {numbers(mine)}"]
            return "\n".join(lines)
    return None


def numbers(value):
    """Nested lists with three significant digits."""
    if isinstance(value, torch.Tensor):
        value = value.tolist()
    if isinstance(value, list):
        return "[" + ", ".join(map(numbers, value)) + "]"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
