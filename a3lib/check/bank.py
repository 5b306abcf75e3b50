"""Equations, what people write instead, and the search for what a submission has written.

A bank is a text, in the folder `mistakes`: lines `variables = formula  # hint` in the order in
which they are computed and, indented below each, `name of a mistake | wrong formula`, followed by
` | remark` where the formula may be right as well. A submission is explained by the fewest wrong
formulas, at most one per line, whose numbers equal its own; a line here may be a part of a line
that people write, so that pairs include two mistakes in one of theirs. A line `? 3, [4]` is a case
of a function: inputs on which it is tried, from small to large.
"""

import ast
import math
import re
from itertools import combinations, product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

FOLDER = Path(__file__).parent / "mistakes"
LIBRARIES = {"torch": torch, "F": F, "np": np, "math": math, "re": re}  # for the formulas
DO_NOT_FIT = (ArithmeticError, LookupError, NameError, RuntimeError, TypeError, ValueError)


def written(file, /, **filled):
    """The text of a file in `mistakes`; a line '@gate letter=z' in it stands for that of gate.txt.

    filled: what stands there for '{letter}' and so on.
    """
    text = (FOLDER / f"{file}.txt").read_text(encoding="utf-8")
    for key, value in filled.items():
        text = text.replace(f"{{{key}}}", value)
    lines = text.splitlines()
    for n, line in enumerate(lines):
        if line.startswith("@"):
            included, _, given = line[1:].partition(" ")
            lines[n] = written(included, **dict(re.findall(r"(\w+)=([^,]+)", given)))
    return "\n".join(lines)


class Formula(NamedTuple):
    """What stands for one or more variables."""

    variables: str
    code: object  # compiled
    reads: tuple  # names of what it depends on
    hint: str  # where to think next, never the answer


class Bank:
    """The equations of one item and the known ways to miss them.

    takes: names of the inputs; tools: what formulas use beside LIBRARIES. Lines below '[step]' are
    computed `steps` times, which is a variable of the lines above; `t` counts the times from 0.
    Those below '[end]' follow. Raises ValueError with the first line that cannot be read or has
    the name of another.
    """

    def __init__(self, takes, text, tools=None):
        self.takes, self.tools = takes.split(), tools or {}
        self.right, self.wrong, self.cases = {}, {}, []
        self.accepted = {}  # name -> remark
        self._at = "", "", ""  # section, variables and hint of the line above
        for line in filter(None, map(str.rstrip, text.splitlines())):
            try:
                self._add(line)
            except (ValueError, SyntaxError) as error:
                forms = "'variables = formula  # hint' or, indented, 'name of a mistake | formula'"
                told = f"the bank's line {line!r} is none: write {forms}, each name once"
                raise ValueError(told) from error

    def _add(self, line):
        section, variables, hint = self._at
        if line.startswith("["):
            section = line.strip("[]")
        elif line.startswith("? "):
            self.cases.append(list(ast.literal_eval(f"({line[2:]},)")))
        elif line.startswith(" "):
            name, formula, *remark = line.strip().split(" | ")
            if name in self.wrong:
                raise ValueError("two mistakes have one name")
            self.wrong[name] = _compiled(variables, formula, hint)
            if remark:
                self.accepted[name] = remark[0]
        else:
            variables, formula = line.split(" = ", 1)
            formula, _, hint = formula.partition("  # ")
            self.right.setdefault(section, []).append(_compiled(variables, formula, hint))
        self._at = section, variables, hint

    def mistakes(self, accepted=()):
        """Names of all wrong formulas."""
        return [name for name in self.wrong if name not in accepted]

    def told(self, names, accepted):
        """(problems (name, '', hint), remarks) on the formulas of these names."""
        mistakes = [name for name in self.mistakes(accepted) if name in names]
        remarks = [remark for name, remark in self.accepted.items() if name in names]
        return [(name, "", self.wrong[name].hint) for name in mistakes], remarks

    def run(self, names, inputs, tools, known=None):
        """Outputs with the formulas of these names; None where they do not fit together.

        known: a dictionary that several runs with the same inputs and tools share, so that what
        they have in common is computed once.
        """
        chosen = {self.wrong[name].variables: self.wrong[name] for name in names}
        environment = {**LIBRARIES, **self.tools, **tools}
        environment |= zip(self.takes, inputs, strict=False)
        known = {} if known is None else known

        def compute(section):
            for right in self.right.get(section, []):
                variables, code, reads, _ = chosen.get(right.variables, right)
                key = (id(code), *(_mark(environment.get(name)) for name in reads))
                if key not in known:
                    known[key] = eval(code, environment)
                values = known[key] if "," in variables else [known[key]]
                environment.update(zip(variables.split(", "), values, strict=True))

        try:
            with np.errstate(all="ignore"):
                compute("")
                for t in range(environment["steps"] if "step" in self.right else 0):
                    environment["t"] = t
                    compute("step")
                compute("end")
        except DO_NOT_FIT:
            return None
        return environment["outputs"]

    def sets(self, accepted=(), most=2):
        """Sets of at most that many mistakes, fewest first, each beside any accepted formulas."""
        known = [name for name in accepted if name in self.wrong]
        bases = [one for size in range(len(known) + 1) for one in combinations(known, size)]
        for size in range(most + 1):
            for wrong, base in product(combinations(self.mistakes(accepted), size), bases):
                names = wrong + base
                if len({self.wrong[name].variables for name in names}) == len(names):
                    yield frozenset(names)

    def explain(self, cases, sets, readings=1):
        """(names, number of the reading) that give all outputs; None if none do.

        cases: (inputs, outputs of the submission, the tools of each reading of its weights); sets:
        of names; readings: how many of them are tried.
        """
        known = [[{} for _ in cases] for _ in range(readings)]
        for names in sets:
            for number in range(readings):
                if all(
                    close(self.run(names, inputs, tools[number], shared), outputs)
                    for (inputs, outputs, tools), shared in zip(cases, known[number], strict=True)
                ):
                    return names, number
        return None


def _mark(value):
    """What stands for a value while it lives: lists are new each time, what they hold is not."""
    if isinstance(value, (list, tuple)):
        return tuple(map(_mark, value))
    return value if isinstance(value, (int, float, str)) else id(value)


def _compiled(variables, formula, hint):
    tree = ast.parse(formula.strip(), mode="eval")
    reads = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return Formula(variables, compile(tree, "<bank>", "eval"), tuple(sorted(reads)), hint)


def close(reference, found):
    """Whether outputs are equal up to single precision; further outputs do not matter.

    NaN in the reference allows anything, in three quarters of it at most. Whole numbers must be
    whole, too.
    """
    if reference is None or len(found) < len(reference):
        return False
    return all(_close(a, b) for a, b in zip(reference, found, strict=False))


def _close(reference, found):
    if isinstance(reference, str):
        return found == reference
    if not isinstance(found, (torch.Tensor, int, float)):
        return False
    a, b = torch.as_tensor(reference), torch.as_tensor(found)
    if a.shape != b.shape or (b.is_floating_point() and not a.is_floating_point()):
        return False
    near = torch.isclose(b.double(), a.double(), rtol=1e-4, atol=3e-5) | a.isnan()
    return bool(near.all()) and bool(a.isnan().sum() * 4 <= a.numel() * 3)
