"""The check of a function: its answers on cases from small to large, compared with a bank."""

from collections.abc import Callable
from dataclasses import dataclass

from a3lib.check.bank import Bank, close
from a3lib.check.examples import numbers
from a3lib.check.reasons import PRINTS, exception_verdict, is_empty
from a3lib.check.verdict import judged, not_attempted


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
    accepted: tuple = ()  # names of formulas that are right as well

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
        found = bank.explain(tried, bank.sets(self.accepted, self.most))
        names = found[0] if found else frozenset()
        mistakes = [n for n in bank.mistakes(self.accepted) if n in names]
        remarks = [bank.accepted[n] for n in self.accepted if n in names]
        remarks += [PRINTS] * any(answer["printed"] for _, answer in asked)
        problems = [(n, "", bank.wrong[n].hint) for n in mistakes]
        right, line = names - set(mistakes), None
        wrong = next(((i, o) for i, o in cases if not close(bank.run(right, i, {}), o)), None)
        if wrong:
            unknown = "the answers differ, in a way that is not in the bank"
            problems = problems or [(unknown, "", "Work out the example by hand, step by step.")]
            expected = numbers(list(bank.run(right, wrong[0], {})))
            shown = f"{self.shown(wrong[0])}\nyour {titles}: {numbers(list(wrong[1]))}"
            problems[0] = (problems[0][0], f"{shown}\nexpected: {expected}", problems[0][2])
        if failed:
            told = exception_verdict(self.item, failed[0][1])
            name, line = f"{told.mistakes[0]}, at {self.shown(failed[0][0])}", told.line
            problems.append((name, f"{told.message}\n{told.counter_example}", told.hint))
        told, verified = f"All {len(cases)} cases agree.", [f"{titles} for {len(cases)} inputs"]
        return judged(self.item, problems, "Not as the rule says", told, verified, remarks, line)

    def shown(self, inputs):
        """The inputs as text."""
        named = zip(self.bank.takes, inputs, strict=False)
        return ", ".join(f"{name} = {numbers(value)}" for name, value in named)
