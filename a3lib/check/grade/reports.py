"""The rows of all submissions as text, CSV, JSON, a page of HTML, or Gradescope's results.json."""

import csv
import json
from itertools import groupby

import pandas

from a3lib.check.grade.grading import COLUMNS

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Report</title><style>
body {font: 15px/1.5 system-ui, sans-serif; margin: 2em} table {border-collapse: collapse}
th, td {text-align: left; vertical-align: top; padding: .3em .8em; border-bottom: 1px solid #ccc}
td {white-space: pre-wrap} .correct {color: #1a7f37; font-weight: bold}</style><h1>Report</h1>"""


def as_text(rows):
    """A block per submission, for the terminal."""
    text = ""
    for (name, year), block in groupby(rows, lambda row: (row["submission"], row["year"])):
        block = list(block)
        points, out_of = (sum(row[n] for row in block) for n in ("points", "out_of"))
        text += f"{name} ({year or 'unknown year'}): {points:g} of {out_of:g}\n"
        for row in block:
            text += "  {points:>4g}/{out_of:<4g} {item}: {verdict}\n".format(**row)
            told = ["place", "message", "remarks"][2 * (row["verdict"] == "correct") :]
            text += "".join(f"            {row[name]}\n" for name in told if row[name])
    return text


def as_csv(rows):
    """One line per row; no text can become a formula of a spreadsheet, or another row."""
    table = pandas.DataFrame(rows, columns=COLUMNS)
    table = table.map(lambda v: f"'{v}" if str(v)[:1] in set("=+-@") else v)
    return table.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC)


def as_json(rows):
    """All that is known."""
    return json.dumps(rows, indent=1)


def as_html(rows):
    """One page, nothing loaded from elsewhere."""
    table = pandas.DataFrame(rows, columns=COLUMNS[:-1]).rename(columns={"out_of": "out of"})
    with pandas.option_context("display.max_colwidth", None):
        page = table.to_html(index=False, border=0, float_format="{:g}".format)
    page = page.replace("<td>correct</td>", "<td class='correct'>correct</td>")
    return f"{PAGE}{page}</html>\n"


def as_gradescope(rows):
    """results.json of one submission; what is not graded yet counts nothing."""
    tests = []
    for row in rows:
        told = "\n".join(row[name] for name in COLUMNS[5:] if row[name])
        points = {"score": row["points"], "max_score": row["out_of"]}
        tests.append({"name": row["item"], "output": told, **points})
    told = f"Hand-out: {rows[0]['year'] or 'unknown year'}" if rows else "The grading starts."
    return json.dumps({"score": sum(row["points"] for row in rows), "output": told, "tests": tests})
