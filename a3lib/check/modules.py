"""The check of a module: build it, compare numbers with the equations, name what differs."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from a3lib.check import properties
from a3lib.check.bank import Bank, close
from a3lib.check.examples import difference, example
from a3lib.check.verdict import PRINTS, exception_verdict, is_empty, judged, not_attempted
from a3lib.check.weights import doubled, draw, shared

SQUEEZED = "Is a dimension of size one removed (squeeze)?"


@dataclass(frozen=True)
class ModuleCheck:
    """All that is particular to one item; calling it checks a class."""

    item: str
    bank: Bank
    sizes: dict  # letters to unequal sizes, so that no exchange of dimensions stays unseen
    values: Callable  # sizes -> constructor's values by name, in the hand-out's order
    inputs: Callable  # (sizes, generator) -> inputs of forward
    returns: tuple  # names of the outputs
    read: Callable  # trial -> readings of its parameters
    # weights of a reading -> functions that the bank's formulas call
    tools: Callable = lambda weights: weights
    hidden: dict = field(default_factory=dict)  # title -> (change of the values, sizes, hint)
    arranged: Callable = lambda inputs, takes: inputs  # the inputs as this forward takes them
    differentiable: bool = True  # whether gradients are compared, too
    properties: tuple = ()  # of this item, beside those of every module
    smallest: dict = field(default_factory=dict)  # sizes below which an example says nothing
    accepted: Callable = lambda year, built: ()  # names of formulas that are right as well
    lacks: Callable = lambda reading: None  # (name, example, hint) of what its parameters lack

    def __call__(self, session, name, year=None, seed=0):
        """The `Verdict` on the class of that name.

        year: of its hand-out; seed: of all parameters and inputs.
        """
        trial = Trial(session, name, self, seed=seed)
        accepted = self.accepted(year, trial.built)
        if trial.error:
            return _raised(trial, accepted)
        if is_empty(trial.outputs):
            return not_attempted(self.item)
        remarks = [PRINTS] * bool(trial.built["printed"] or trial.answer["printed"])
        unsound = properties.returns_tensors(trial) or properties.is_repeatable(trial)
        changed = properties.keeps_inputs(trial)
        found = None if unsound else _explain(trial, accepted)
        if not found:
            return self.verdict([unsound or changed or properties.first_failing(trial)], remarks)
        names, number = found
        problems, known = self.bank.told(names, accepted)
        right = names - {mistake for mistake, _, _ in problems}
        shown = example(trial, number, names, right) if problems else ""
        unseen = (
            changed
            or self.lacks(trial.readings[number])
            or _gradients(trial, names, number, bool(problems))
            or _hidden(trial, names, number)
            or properties.finite_when_large(trial, names, number)
        )
        remarks += known + (properties.fixed_dtype(trial) if self.differentiable else [])
        return self.verdict(problems + [unseen] * bool(unseen), remarks, example=shown)

    def verdict(self, problems, remarks=(), **more):
        """The `Verdict` on problems (name, example, hint); without any it is right."""
        sizes = f"in single precision at {shown_sizes(self.sizes)}"
        cases = f"special cases: {', '.join(self.hidden)}"
        verified = (f"{' and '.join(self.returns)} {sizes}", "gradients", cases)
        wrong, right = "Not as the equations say", "All numbers agree with the equations."
        return judged(self.item, problems, wrong, right, verified, remarks, **more)


class Trial:
    """One instance with drawn parameters, one input, and what the learner's code answered."""

    def __init__(self, session, name, spec, sizes=None, seed=0, change=None):
        self.session, self.name, self.spec, self.seed = session, name, spec, seed
        self.sizes = {**spec.sizes, **(sizes or {})}
        self.built = session.ask("build", name=name, values=spec.values(self.sizes))
        self.error = self.built.get("error")
        self.parameters = draw(self.built.get("parameters", {}), seed)
        self.inputs = spec.inputs(self.sizes, torch.Generator().manual_seed(1000 + seed))
        if change:
            change(self.parameters, self.inputs)
        self.outputs = []
        if not self.error:
            self.readings = list(spec.read(self))
            self.set(self.parameters)
            self.answer = self.call(self.inputs)
            self.error = self.answer.get("error")
            self.outputs = self.answer.get("outputs", [])[: len(spec.returns)]

    def again(self, sizes, seed, change=None):
        """The same class at other sizes, with other values."""
        return Trial(self.session, self.name, self.spec, sizes, seed, change)

    def set(self, parameters):
        """Write parameters into the instance."""
        self.session.ask("set", handle=self.built["handle"], values=parameters)

    def call(self, inputs, **options):
        """The answer to other inputs."""
        inputs = self.spec.arranged(inputs, self.built["takes"])
        return self.session.ask("call", handle=self.built["handle"], inputs=inputs, **options)

    def part(self, inputs, **options):
        """Outputs of a part (a path or method). Raises ValueError where the learner's code does."""
        handle = self.built["handle"]
        answer = self.session.ask("call", handle=handle, inputs=inputs, **options)
        if "error" in answer:
            raise ValueError(answer["error"]["message"])
        return answer["outputs"]

    def weigh(self):
        """A weight for every number that comes out: gradients of the weighted sum are compared."""
        return list(draw(dict(enumerate(self.outputs)), seed=3).values())

    def tools(self, reading, parameters=None):
        """The functions of the bank's formulas, with these parameters."""
        return self.spec.tools(reading.weights(parameters or self.parameters))

    def expected(self, names, number, parameters=None, inputs=None):
        """Outputs of the equations with these formulas in double precision; None if there are none.

        number: which of the readings of its parameters is meant.
        """
        if number >= len(self.readings):
            return None
        tools = self.tools(self.readings[number], parameters)
        return self.spec.bank.run(names, inputs or doubled(self.inputs), tools)


def shown_sizes(sizes):
    """'B = 2, S = 5', in the order of the specification."""
    return ", ".join(f"{letter} = {size}" for letter, size in sizes.items() if size)


def _explain(trial, accepted):
    """(names, number of the reading) that give the learner's numbers; None if none are known."""
    bank, count = trial.spec.bank, len(trial.readings)
    sizes = {n: size + 4 * (n == "K" and size == 3) for n, size in trial.sizes.items()}  # 3 axes
    trials = [trial, *(trial.again(sizes, trial.seed + n) for n in (7, 8))]
    cases = [
        (doubled(one.inputs), one.outputs, [one.tools(reading) for reading in one.readings])
        for one in trials
    ]
    if count < 3:
        return bank.explain(cases, bank.sets(accepted), count)
    found = bank.explain(cases, bank.sets(accepted, most=0), count)
    aligned = sum(one.aligned() for one in trial.readings)
    return found or bank.explain(cases, _possible(trial, accepted), aligned)


def _possible(trial, accepted):
    """Sets of names that give the learner's numbers where all gates have equal matrices."""
    bank, found = trial.spec.bank, set()
    for same, reading in shared(trial.parameters, trial.readings):
        trial.set(same)
        outputs = trial.call(trial.inputs).get("outputs", [])
        inputs, tools, known = doubled(trial.inputs), trial.tools(reading, same), {}
        runs = ((n, bank.run(n, inputs, tools, known)) for n in bank.sets(accepted))
        found |= {names for names, expected in runs if close(expected, outputs)}
    trial.set(trial.parameters)
    return sorted(found, key=lambda names: (len(names), sorted(names)))


def _gradients(trial, names, number, wrong):
    """(name, example, hint) if a gradient is not that of the equations, or reaches a part not."""
    weigh = trial.weigh()
    if not trial.spec.differentiable:  # the loss, or the last step, must reach all by itself
        weigh[:-1] = [0 * one for one in weigh[:-1]]
        if weigh[-1].dim() == 3:
            weigh[-1][:, :-1] = 0
    answer = trial.call(trial.inputs, weigh=weigh)
    if "error" in answer:
        told = exception_verdict(trial.spec.item, answer["error"])
        return f"{told.mistakes[0]} (in backward)", told.message, told.hint
    takes, hint = trial.spec.bank.takes, "Is a tensor taken out of the graph (detach, no_grad)?"
    found = answer["gradients"] | dict(zip(takes, answer["input_gradients"], strict=False))
    if not trial.spec.differentiable:
        for name in () if wrong else (*trial.readings[number].owners, *takes):
            own = [v for m, v in found.items() if m.split(".")[0] == name]
            reached = any(v is False or (v is not None and v.any()) for v in own)
            if own and not reached:
                return f"no gradient for {name}", "from the loss, or the last step's logits", hint
        return None
    inputs = [v.requires_grad_() for v in doubled(trial.inputs)]
    leaves = {n: v.double().requires_grad_() for n, v in trial.parameters.items()}
    outputs = trial.expected(names, number, leaves, inputs)
    leaves |= zip(takes, inputs, strict=True)
    terms = [(o * w).sum() for o, w in zip(outputs, weigh, strict=False) if o.requires_grad]
    if not terms or any(one.isnan().any() for one in outputs):
        return None
    expected = torch.autograd.grad(sum(terms), list(leaves.values()), allow_unused=True)
    for name, mine in zip(leaves, expected, strict=True):
        missing = found[name] is None
        frozen = missing and "out_proj" in name  # the equations have no such layer
        if mine is None or mine.abs().max() <= 1e-9 or frozen:
            continue
        yours = torch.zeros_like(mine) if missing else found[name].double()
        if not torch.allclose(mine, yours, rtol=1e-2, atol=1e-4):
            kind = "no gradient" if missing else "a wrong gradient"
            shown = f"{name} gets {kind}; expected entries up to {mine.abs().max():.2g}"
            return f"{kind} for {name}", shown, hint
    return None


def _hidden(first, names, number):
    """(name, example, hint) of the first case that fails, of those that random inputs hide."""
    spec = first.spec
    for n, (title, (change, sizes, hint)) in enumerate(spec.hidden.items(), start=11):
        trial = first.again(sizes, first.seed + n, change)
        if trial.error:
            told = exception_verdict(spec.item, trial.error)
            return f"fails for {title}", f"{told.message}\n{told.counter_example}", told.hint
        expected = trial.expected(names, number)
        undefined = expected is not None and any(one.isnan().all() for one in expected)
        if not undefined and not close(expected, trial.outputs):
            shown = difference(trial, expected) if expected else shown_sizes(trial.sizes)
            return f"wrong for {title}", shown, hint
    return None


def _raised(trial, accepted):
    """An exception at unequal sizes: what is it at equal ones, as in the course's own models?"""
    spec = trial.spec
    told = exception_verdict(spec.item, trial.error)
    size = max(spec.sizes.get("D", 0), spec.sizes["H"])
    again = trial.again({n: size for n, old in spec.sizes.items() if old and n != "B"}, trial.seed)
    if again.error or not told.attempted or is_empty(again.outputs):
        return told
    names, _ = _explain(again, accepted) or ((), 0)
    problems, _ = spec.bank.told(names, accepted)
    problems = problems or [("works for equal sizes only", "", told.hint)]
    remarks, shown = [f"At unequal sizes: {told.message}"], told.counter_example
    return spec.verdict(problems, remarks, line=told.line, example=shown)
