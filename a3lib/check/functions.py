"""The check of a function: its answers on cases from small to large, compared with a bank."""

from collections.abc import Callable
from dataclasses import dataclass

from a3lib.check.bank import Bank, close
from a3lib.check.examples import numbers
from a3lib.check.verdict import PRINTS, exception_verdict, is_empty, judged, not_attempted


@dataclass(frozen=True)
class FunctionCheck:
    """All that is particular to one item; calling it checks a function (or a class)."""

    item: str
    bank: Bank
    cases: tuple  # inputs, from small to large
    returns: tuple  # names of the outputs
    # (session, name, inputs) -> answer
    ask: Callable = lambda session, name, inputs: session.ask("apply", name=name, inputs=inputs)
    most: int = 2  # mistakes at once that are looked for

    @property
    def accepted(self):
        """Names of formulas that are right as well."""
        return tuple(self.bank.accepted)

    def __call__(self, session, name, year=None, seed=0):
        """The `Verdict` on the function of that name; year and seed change nothing."""
        asked = [(inputs, self.ask(session, name, inputs)) for inputs in self.cases]
        failed = [(inputs, answer["error"]) for inputs, answer in asked if "error" in answer]
        cases = [(inputs, answer["outputs"]) for inputs, answer in asked if "error" not in answer]
        if not cases:
            return exception_verdict(self.item, failed[0][1])
        if all(is_empty(outputs) for _, outputs in cases):
            return not_attempted(self.item)
        bank, titles = self.bank, ", ".join(self.returns)
        tried = [(*case, [{}]) for case in cases]
        names, _ = bank.explain(tried, bank.sets(self.accepted, self.most)) or (frozenset(), 0)
        problems, remarks = bank.told(names, self.accepted)
        remarks += [PRINTS] * any(answer["printed"] for _, answer in asked)
        right, example, line = names - {name for name, _, _ in problems}, "", None
        wrong = next(((i, o) for i, o in cases if not close(bank.run(right, i, {}), o)), None)
        if wrong:
            unknown = "the answers differ, in a way that is not in the bank"
            problems = problems or [(unknown, "", "Work out the example by hand, step by step.")]
            expected = numbers(list(bank.run(right, wrong[0], {})))
            example = f"{self.shown(wrong[0])}\nyour {titles}: {numbers(list(wrong[1]))}"
            example += f"\nexpected: {expected}"
        if failed:
            told = exception_verdict(self.item, failed[0][1])
            name, line = f"{told.mistakes[0]}, at {self.shown(failed[0][0])}", told.line
            problems.append((name, f"{told.message}\n{told.counter_example}", told.hint))
        told, verified = f"All {len(cases)} cases agree.", [f"{titles} for {len(cases)} inputs"]
        found = (problems, "Not as the rule says", told, verified, remarks, line, example)
        return judged(self.item, *found)

    def shown(self, inputs):
        """The inputs as text."""
        named = zip(self.bank.takes, inputs, strict=False)
        return ", ".join(f"{name} = {numbers(value)}" for name, value in named)
