"""What any right module does, whatever its formulas: the first thing that fails, with an example.

Each property takes a `Trial` and answers (name, example, hint), or None where it holds.
"""

import re

import torch

from a3lib.check.weights import doubled


def first_failing(trial):
    """The first property that fails where no formula of the bank gives the numbers."""
    for failed in (*_structure(trial), *(one(trial) for one in trial.spec.properties)):
        if failed:
            return failed
    name = "the numbers differ, in a way that is not in the bank"
    hint = "Compute one entry by hand, with all weights equal, and compare."
    if not trial.readings:
        name = "its layers are not those of the hand-out: its numbers cannot be compared"
        hint = f"Its parameters: {', '.join(trial.parameters)}. Ask someone to look at it."
    norms = [n for n in trial.built["children"] if re.search(r"norm|(^|[._])ln", n)]
    if norms:
        name, hint = "a layer norm, which the equations do not have", f"What is {norms[0]} for?"
    rest = (name, f"at {trial.sizes}", hint)
    return next(_behaviour(trial), rest)


def returns_tensors(trial):
    """All outputs are there, and are tensors."""
    names, count = trial.spec.returns, len(trial.outputs)
    if count < len(names):
        shown = f"{count} returned; expected {len(names)}: {', '.join(names)}"
        return f"the {names[-1]} is not returned", shown, "What does the docstring promise?"
    for name, value in zip(names, trial.outputs, strict=False):
        if not isinstance(value, torch.Tensor):
            return f"the {name} is no tensor", f"it is {value!r}", "What is assigned to it?"
    return None


def is_repeatable(trial):
    """The same inputs give the same outputs."""
    again = trial.call(trial.inputs, seed=1)
    if "error" in again or _same(trial.outputs, again["outputs"]):
        return None
    shown = "two calls with the same inputs gave different numbers"
    hint = "Which layer is made anew, or drawn at random (dropout), in forward?"
    return "not deterministic (layers made in forward, or dropout)", shown, hint


def keeps_inputs(trial):
    """No input is changed in place."""
    changed = [trial.spec.bank.takes[n] for n in trial.answer["changed"]]
    if not changed:
        return None
    shown = f"after the call {', '.join(changed)} holds other values than before"
    hint = "Which line writes into a tensor that was given (+=, x[...] = ..., an operation_)?"
    return f"the input {changed[0]} is changed in place", shown, hint


def finite_when_large(trial, names=(), number=0):
    """Equal places, inputs 10000 times as large: no NaN or infinity but where formulas have one."""
    large = [1e4 * (v[:, :1].expand_as(v) if v.dim() == 3 else v) for v in trial.inputs]
    expected = trial.expected(names, number, inputs=[v.double() for v in large])
    found = trial.call(large).get("outputs", [])
    for name, value, mine in zip(trial.spec.returns, found, expected or found, strict=False):
        if not value.isfinite().all() and (mine is value or mine.isfinite().all()):
            shown = f"with inputs 10000 times as large the {name} holds NaN or infinity"
            return "not finite at large inputs", shown, "Is exp taken without a softmax's care?"
    return None


def fixed_dtype(trial):
    """A remark where it works in single precision only, else nothing."""
    trial.session.ask("convert", handle=trial.built["handle"], dtype="float64")
    answer = trial.call(doubled(trial.inputs))
    return ["It fails in double precision: is a dtype fixed in the code?"] * ("error" in answer)


def softmax_axis(trial):
    """Attention weights are distributions over the keys: dimension 1 of (B, S, k)."""
    weights = trial.outputs[1].float()
    if weights.isnan().any() or weights.min() < -1e6:
        nan = "NaN from infinities in the mask (0 * inf, inf - inf, or no key left)"
        late = "minus infinity among the weights: masked after the softmax"
        return nan if weights.isnan().any() else late, "", "Print the scores before the softmax."
    sums = [torch.allclose(weights.sum(n), torch.ones(()), atol=1e-4) for n in range(weights.dim())]
    if weights.dim() != 3 or sums[1]:
        return scores_off_by_a_factor(trial, weights)
    column = [round(v, 2) for v in weights[0, :, 0].tolist()]
    shown = f"weights of the first query over the keys: {column}"
    over = "the batch" if sums[0] else "the queries" if sums[2] else "no dimension"
    return f"weights add up to one over {over}", shown, "Among what is attention distributed?"


def scores_off_by_a_factor(trial, weights):
    """Logarithms of the weights, from that of the first key on, as they should be but for scale."""
    expected = trial.expected((), 0)
    if not expected:
        return None
    logs = [one.double().clamp_min(1e-12).log() for one in (expected[1], weights)]
    mine, yours = ((one - one[:, :1]) * (expected[1] > 1e-9) for one in logs)
    factor = (mine * yours).sum() / mine.square().sum()
    same = abs(factor - 1) < 1e-3 or not torch.allclose(factor * mine, yours, atol=1e-3)
    name = f"scores are {factor:.3g} times what they should be"
    return None if same else (name, "", "What are they divided by?")


def is_causal(trial):
    """No query's context depends on a later place; shown with the first pair that leaks."""
    for query in range(trial.sizes["K"] - 1 if trial.outputs[0].dim() == 3 else 0):
        moved = [v.clone() for v in trial.inputs]
        for value in moved[1:]:
            value[:, query + 1] += 2.0
        new = trial.call(moved).get("outputs")
        if new and not _same([trial.outputs[0][:, query]], [new[0][:, query]]):
            shown = f"changing key {query + 1} changes the context of query {query} (from 0)"
            hint = "Which of the two triangles must be hidden, and before which operation?"
            return "a query sees a later key", shown, hint
    return None


def _structure(trial):
    """Layers are attributes, so that the module knows them; outputs have the promised shapes."""
    loose = ", ".join(trial.built["loose"])
    if loose or not trial.parameters:
        name = f"layers or weights in {loose} are not registered" if loose else "no parameters"
        hint = "Would an optimizer that gets parameters() see them (nn.ModuleList, nn.Parameter)?"
        yield name, f"parameters() lists {', '.join(trial.parameters) or 'nothing'}", hint
    expected = trial.expected((), 0) or []
    for name, mine, yours in zip(trial.spec.returns, expected, trial.outputs, strict=False):
        if yours.shape != mine.shape:
            shown = f"at {trial.sizes}: {tuple(yours.shape)}; expected {tuple(mine.shape)}"
            yield f"wrong shape of the {name}", shown, "Which dimension is which?"


def _behaviour(trial):
    """Inputs matter, gradients arrive, elements of a batch are apart, large inputs are no harm."""
    places = [n for n, value in enumerate(trial.inputs) if value.is_floating_point()]

    def outputs(change):
        moved = [change(n, v.clone()) if n in places else v for n, v in enumerate(trial.inputs)]
        return trial.call(moved).get("outputs", [])[: len(trial.outputs)]

    for place in places:
        name = trial.spec.bank.takes[place]
        new = outputs(lambda n, v, place=place: 0.9 - 1.7 * v if n == place else v)
        if _same(trial.outputs, new):
            shown = f"with any other {name} the outputs are the same"
            yield f"{name} is not used", shown, f"In which line should {name} enter?"
    answer = trial.call(trial.inputs, weigh=trial.weigh())
    for name, value in answer.get("gradients", {}).items():
        if value is None or not value.abs().max() > 0:
            shown = f"after backward {name}.grad is {'None' if value is None else 'zero'}"
            yield f"no gradient for {name}", shown, f"In which line is {name} used?"
    new = outputs(lambda n, v: torch.cat([v[:1], v[1:] + 1]))
    if not _same(*([one[:1] for one in many if one.dim()] for many in (trial.outputs, new))):
        shown = "changing the second element of the batch changes the output of the first"
        yield "elements of a batch are mixed", shown, "Which operation runs over dimension 0?"
    yield from filter(None, [finite_when_large(trial)])


def _same(old, new):
    """Whether tensors are equal; what else is returned does not matter."""
    pairs = [(a, b) for a, b in zip(old, new, strict=False) if isinstance(a, torch.Tensor)]
    return bool(pairs) and all(
        a.shape == b.shape and torch.allclose(a, b, atol=1e-5, equal_nan=True) for a, b in pairs
    )
