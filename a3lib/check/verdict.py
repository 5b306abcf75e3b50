"""What a check says, for the terminal and the notebook, on exceptions of learners' code, too."""

import csv
import functools
import re
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from a3lib.check.bank import written

PRINTS = "Something is printed while it runs: a leftover of debugging?"
# pairs of lines: name | what Python's message looks like, and what it means
USUAL = written("exceptions").splitlines()


@dataclass(frozen=True, repr=False)
class Verdict:
    """The outcome of one check. `right` is all that a grader needs; the rest explains it."""

    item: str  # what was checked, such as 'GRU cell'
    right: bool
    message: str  # one sentence
    mistakes: tuple = ()  # their names, as in the bank
    remarks: tuple = ()  # true, but no mistakes
    counter_example: str = ""  # the smallest input that was found, with numbers
    hint: str = ""  # where to think next; never the answer
    verified: tuple = ()  # what was compared and found equal
    line: int | None = None  # of the learner's code, where it raised
    attempted: bool = True  # False for a stub that was left as it was
    consequence: str = ""  # what a training with the mistake came to, measured

    def __str__(self):
        details = "".join(f"\n  {title}: {text}" for title, text in self._details())
        return f"{self.item}: {self._state()}. {self.message}{details}"

    __repr__ = __str__  # what a notebook shows where there is no HTML

    def _repr_html_(self):
        color = {"correct": "#1a7f37", "not attempted": "#6e5494"}.get(self._state(), "#b35900")
        rows = "".join(
            f"<dt><b>{escape(title)}</b></dt>"
            f"<dd style='margin:0 0 .4em 1em;white-space:pre-wrap'>{escape(text)}</dd>"
            for title, text in self._details()
        )
        return (
            f"<div role='status' style='border-left:.4em solid {color};padding:.2em .8em'>"
            f"<p><b>{escape(self.item)}: {self._state()}.</b> {escape(self.message)}</p>"
            f"<dl style='margin:0'>{rows}</dl></div>"
        )

    def _state(self):
        right = "correct" if self.right else "not correct"
        return right if self.attempted else "not attempted"

    def _details(self):
        details = {
            "Named": "; ".join(self.mistakes),
            "Smallest example": self.counter_example,
            "Think about": self.hint,
            "Had it not been caught": self.consequence,
            "Verified": "; ".join(self.verified),
            "Remark": "\n".join(self.remarks),
        }
        return [(title, text) for title, text in details.items() if text]


def judged(item, problems, wrong, right, verified=(), remarks=(), line=None, example=""):
    """The verdict on problems (name, example, hint); wrong and right begin and are its message.

    example: of all problems together, shown before those of their own.
    """
    names = tuple(name for name, _, _ in problems)
    measured = consequences()
    return Verdict(
        item,
        not problems,
        f"{wrong}: {', and '.join(names)}." if problems else right,
        mistakes=names,
        remarks=tuple(remarks),
        counter_example="\n".join(filter(None, [example, *(shown for _, shown, _ in problems)])),
        hint=" ".join(dict.fromkeys(hint for _, _, hint in problems)),
        consequence="\n".join(measured[item, n] for n in names if (item, n) in measured),
        verified=() if problems else tuple(verified),
        line=line,
    )


def not_attempted(item):
    """The verdict on a stub."""
    return Verdict(item, False, "The stub is as it was given.", attempted=False)


def is_empty(outputs):
    """Whether a function answered nothing: it ends without a return, or returns '...'."""
    return all(one is None or one == {"type": "ellipsis"} for one in outputs)


def exception_verdict(item, error):
    """The `Verdict` on an exception that a session answered: its line, shapes there, a reason."""
    unnamed = error["type"] in ("NameError", "UnboundLocalError")
    of_torch = re.search("bool tensor|not implemented for", error["message"])
    stub = error["type"] == "NotImplementedError" and not of_torch
    if stub or (unnamed and error["text"].startswith("return")):
        return not_attempted(item)
    name, reason = error["type"], "The message of Python above says what it is."
    for usual, why in zip(USUAL[::2], USUAL[1::2], strict=True):
        title, form = usual.split(" | ")
        if re.search(form, error["message"]):
            name, reason = title, why.strip()
            break
    shown = f"line {error['line']}: {error['text']}" if error["line"] else "outside of your lines"
    if error.get("shapes"):
        shapes = (f"{name} {tuple(size)}" for name, size in error["shapes"].items())
        shown += f"\nshapes there: {', '.join(shapes)}"
    message = f"Your code raised {error['type']}: {error['message'].partition(chr(10))[0][:200]}"
    told = judged(item, [(name, shown, reason)], "", "", line=error["line"])
    return replace(told, message=message)


@functools.cache
def consequences():
    """(item, mistake) -> a sentence of consequences.csv (made by tests/check/consequences.py)."""
    path = Path(__file__).with_name("consequences.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return {(row["item"], row["mistake"]): row["sentence"] for row in csv.DictReader(file)}
