"""One submission in, one table out: a row per item of the hand-out, with points and reasons."""

import re
import secrets
from pathlib import Path

from a3lib.check import ITEMS
from a3lib.check.grade import extract, selection
from a3lib.check.grade.sandbox import LIMITS, Sandbox, SubmissionEnded, alarm
from a3lib.common import one_thread

COLUMNS = ("submission", "year", "item", "points", "out_of", "verdict", "place", "message",
           "mistakes", "remarks", "example", "layers")  # fmt: skip
EMPTY = dict.fromkeys(COLUMNS, "") | {"points": 0.0, "out_of": 0.0}
BERT = ("BertModel", "BertConfig", "BertPreTrainedModel", "BertForSequenceClassification")
READING = 120  # seconds


def row_of(path, **cells):
    """A row of COLUMNS: short texts that can be written down, whatever they came from."""
    cells = EMPTY | {"submission": Path(path).name} | cells
    texts = {n: str(v)[:3000].encode("utf-8", "replace").decode() for n, v in cells.items()}
    return texts | {n: float(cells[n]) for n in ("points", "out_of")}


def ungraded(path, reason):
    """The only row of a submission that could not be read."""
    return row_of(path, item="all", verdict="not graded", message=reason)


def grade(path, items, limits=LIMITS, tell=lambda rows: None):
    """The rows (dictionaries of COLUMNS) of a file or folder; `tell` gets them after every step.

    Whatever the submission is or does becomes a row, and so does a cell that was left out.
    """
    try:
        with alarm(READING):
            found, lost = extract.read(path)
    except (ValueError, OSError) as error:
        return [ungraded(path, str(error))]
    year, items = selection.year_of({n for one in [*found, *lost] for n in one.names}, items)
    rows = [
        row_of(path, year=year, item=one.title, out_of=one.points, verdict="not graded yet")
        for one in items
    ] or [ungraded(path, "it defines nothing that a hand-out asks for")]
    for one in lost:
        told = {"verdict": "left out", "place": one, "message": one.reason}
        rows.append(row_of(path, year=year, item="cell", **told))
    tell(rows)
    uses = set().union(*(one.uses for one in found))
    with one_thread(), Sandbox(BERT if uses & {*BERT} else (), limits) as sandbox:
        for item, row in zip(items, rows, strict=False):
            try:
                told = _graded(item, found, lost, sandbox, year)
            except Exception as error:  # whatever a reply brought about: never points, never lost
                reason = f"could not be judged ({type(error).__name__}: {error})"
                told = {"verdict": "look by hand", "message": reason}
            row.update(row_of(path, **row | told))
            tell(rows)
    return rows


def _graded(item, found, lost, sandbox, year):
    """The cells that tell what came of one item."""
    target = selection.chosen(found, item)
    if target is None:
        for one in lost:
            if item.name in one.names:
                reason = f"its cell is no Python: {one.reason}"
                return {"verdict": "unreadable", "place": str(one), "message": reason}
        return {"verdict": "not found", "message": f"nothing is named {item.name}"}
    needed = selection.needed(found, target)
    parts = ("names", "place", "line", "source")
    code = [{part: getattr(one, part) for part in parts} for one in needed]
    told = {"place": str(target)}
    try:
        sandbox.open(code, sorted({name for one in needed for name in one.names}))
        told["layers"] = "; ".join(sandbox.layers)
        # imports may fail: what the hand-outs import is there without them
        if any(item.name in one["names"] for one in sandbox.failures):
            failure = sandbox.failures[0]
            reason = f"its definition raised {failure['message']}"
            told |= {"verdict": "wrong", "place": failure["place"], "message": reason}
        else:
            hand_out = int(year[:4]) if year[:4].isdigit() else None
            check, seed = ITEMS[item.check][1], secrets.randbelow(1 << 30)
            verdict = check(sandbox, item.name, hand_out, seed)
            told |= {n: "; ".join(getattr(verdict, n)) for n in ("mistakes", "remarks")}
            told |= {"message": verdict.message, "example": verdict.counter_example}
            missed = "wrong" if verdict.attempted else "not attempted"
            told["verdict"] = "correct" if verdict.right else missed
            told["points"] = item.points * verdict.right
            if sandbox.where and not verdict.right:
                told["place"] = sandbox.where
    except SubmissionEnded as error:
        told |= {"verdict": "ended", "message": f"the submission was ended: {error}"}
    finally:
        sandbox.close()
    if re.search("ModuleNotFoundError: .*a3lib", told["message"]):
        reason = "the companion's own class was handed in instead of one written here"
        told |= {"verdict": "not the student's", "message": reason}
    return told
