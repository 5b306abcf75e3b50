"""Exceptions of the learner's code, told as theirs: the line, the shapes there, a plain reason."""

import re
from dataclasses import replace

from a3lib.check.bank import written
from a3lib.check.verdict import judged, not_attempted

PRINTS = "Something is printed while it runs: a leftover of debugging?"
# pairs of lines: name | what Python's message looks like, and what it means
USUAL = written("exceptions").splitlines()


def exception_verdict(item, error):
    """The `Verdict` on an exception that a session answered."""
    unnamed = error["type"] in ("NameError", "UnboundLocalError")
    if error["type"] == "NotImplementedError" or (unnamed and error["text"].startswith("return")):
        return not_attempted(item)
    name, reason = error["type"], "The message of Python above says what it is."
    for usual, why in zip(USUAL[::2], USUAL[1::2], strict=True):
        title, form = usual.split(" | ")
        if re.search(form, error["message"]):
            name, reason = title, why.strip()
            break
    where = f"line {error['line']}: {error['text']}" if error["line"] else "outside of your lines"
    shapes = ", ".join(f"{n} {tuple(size)}" for n, size in error.get("shapes", {}).items())
    shown = where + (f"\nshapes there: {shapes}" if shapes else "")
    message = f"Your code raised {error['type']}: {error['message'].partition(chr(10))[0][:200]}"
    return replace(
        judged(item, [(name, shown, reason)], "", ""), message=message, line=error["line"]
    )


def is_empty(outputs):
    """Whether a function answered nothing: it ends without a return, or returns '...'."""
    return all(one is None or str(one) == str({"type": "ellipsis"}) for one in outputs)
