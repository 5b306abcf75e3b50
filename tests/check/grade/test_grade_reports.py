"""From submissions to tables: what real hand-ins get, and how it is written down."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from html.parser import HTMLParser

import pytest
from hand_ins import (
    BERT,
    CELLS,
    CODE,
    DOT,
    GRU,
    MARKDOWN,
    STUB,
    TRAINING,
    renamed,
    write_notebook,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.check import blank
from a3lib.check.grade import __main__ as command
from a3lib.check.grade import reports
from a3lib.check.grade.grading import COLUMNS, grade, row_of
from a3lib.check.grade.selection import Item, load_items

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="submissions are shut in as Linux does")


def item(name, check="gru_cell"):
    return Item("mine", check, name, "", 1, name)


# forms in which a cell is left unfinished


UNFINISHED = {
    "docstring": '        """What to do."""',
    "comments": "        # z = ...\n        # return h_new",
    "dots": "        ...",
    "pass": "        pass",
    "assigned dots": "        z = ...\n        h_new = ...\n        return h_new",
    "undefined names": "        # h_new = ...\n        return h_new",
    "not implemented": "        raise NotImplementedError",
    "not implemented, with words": "        raise NotImplementedError('fill in')",
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """The rows of one notebook with every unfinished form, a twice defined class, a lost cell."""
    cells, items = [(CODE, "import pdb, torch\nfrom torch import nn\nfrom utils import to_var")], []
    for number, body in enumerate(UNFINISHED.values()):
        cells.append((CODE, renamed(STUB.format(body=body), f"Stub{number}")))
        items.append(item(f"Stub{number}"))
    cells += [(CODE, GRU), (MARKDOWN, "# Later"), (CODE, GRU.replace("1 - z", "z"))]
    cells += [
        (CODE, renamed(GRU, "Lost").replace("def forward(self", "def forward(self((")),
        (CODE, TRAINING),
    ]
    cells += [(CODE, renamed(GRU, "NoImports")), (CODE, "class Raises:\n    x = undefined")]
    cells += [(CODE, renamed(GRU, "Renames").replace("tanh(", "tanhh("))]
    items += [
        item("MyGRUCell"),
        item("Lost"),
        item("Absent"),
        item("NoImports"),
        item("Raises"),
        item("Renames"),
    ]
    items.append(Item("mine", "gru_cell", "MyGRUCell", "later", 2, "in the section"))
    items.append(Item("mine", "gru_cell", "MyGRUCell", "", 0.5, "without a section"))
    items.append(Item("mine", "shown by", "Stub0", "", 0, ""))
    path = write_notebook(tmp_path_factory.mktemp("mixed") / "nmt.ipynb", cells)
    steps = []
    rows = grade(path, items, tell=lambda rows: steps.append([row["verdict"] for row in rows]))
    assert [step.count("not graded yet") for step in steps] == list(range(len(items) - 1, -1, -1))
    return {row["item"]: row for row in rows}


@LINUX
@pytest.mark.parametrize("number", range(len(UNFINISHED)), ids=UNFINISHED)
def test_unfinished_cells_are_not_attempted(mixed, number):
    row = mixed[f"Stub{number}"]
    assert (row["verdict"], row["points"]) == ("not attempted", 0)
    assert row["place"].startswith(f"nmt.ipynb cell {number + 1}, line ")


@LINUX
def test_verdicts_have_places(mixed):
    last = 3 + len(UNFINISHED)
    assert mixed["in the section"]["verdict"] == "wrong"
    assert mixed["in the section"]["place"] == f"nmt.ipynb cell {last}, line 1"
    assert mixed["in the section"]["mistakes"]
    assert mixed["Lost"]["verdict"] == "unreadable"
    assert mixed["Lost"]["place"] == f"nmt.ipynb cell {last + 1}, line 11"
    assert mixed["cell"]["verdict"] == "left out" and mixed["cell"]["out_of"] == 0
    assert mixed["Absent"]["verdict"] == "not found"
    assert (mixed["NoImports"]["verdict"], mixed["NoImports"]["points"]) == ("correct", 1)
    assert "NameError" in mixed["Raises"]["message"]
    assert mixed["Raises"]["place"] == f"nmt.ipynb cell {last + 4}, line 2"
    assert mixed["Renames"]["verdict"] == "wrong" and "tanhh" in mixed["Renames"]["message"]
    assert mixed["Renames"]["place"] == f"nmt.ipynb cell {last + 5}, line 14"


@LINUX
@pytest.mark.parametrize("marker, year, points", [("RNNDecoder", "2019 or 2020", 1),
                                                  ("AttentionEncoder", "2022", 0), ("Other", "", 0)])  # fmt: skip
def test_the_year_decides_which_formula_is_right(tmp_path, marker, year, points):
    """2019 asks for the z of PyTorch; an unknown year is graded by what is there, and told."""
    swapped = GRU.replace("(1 - z) * h_prev + z * g", "z * h_prev + (1 - z) * g")
    cells = [(CODE, swapped), (CODE, f"class {marker}: pass")]
    rows = grade(write_notebook(tmp_path / "nmt.ipynb", cells), load_items())
    [row] = [row for row in rows if row["item"].endswith("GRU cell")]
    assert (row["year"], row["points"]) == (year, points)
    assert points or "update gate" in row["mistakes"]
    assert len(rows) == 1 or year


@LINUX
def test_gradescopes_zip_gives_a_good_hand_in_all_points(tmp_path):
    """What Gradescope runs, from its zip: results.json has its form and all points."""
    command.main(["--pack", str(tmp_path / "autograder.zip")])
    source, handed_in = tmp_path / "source", tmp_path / "submission"
    with zipfile.ZipFile(tmp_path / "autograder.zip") as packed:
        packed.extractall(source)
    handed_in.mkdir()
    write_notebook(handed_in / "nmt.ipynb", [cell for cell in CELLS if cell[1] != BERT])
    write_notebook(handed_in / "bert.ipynb", [(CODE, BERT)])
    program = (source / "run_autograder").read_text()
    assert "results.json" in program
    program = program.replace("/autograder", str(tmp_path)).replace("python3", sys.executable)
    (source / "run_autograder").write_text(program)
    subprocess.run(["bash", str(source / "run_autograder")], check=True)
    result = json.loads((tmp_path / "results" / "results.json").read_text())
    assert set(result) == {"score", "output", "tests"}
    assert result["score"] == sum(test["score"] for test in result["tests"]) == 3
    for test in result["tests"]:
        assert set(test) == {"name", "score", "max_score", "output"}
        assert test["score"] == test["max_score"] and "correct" in test["output"]
    assert "2022" in result["output"]


@LINUX
def test_many_submissions_one_row_each_in_their_order(tmp_path, capsys):
    paths = [str(write_notebook(tmp_path / f"{name}.ipynb", [(CODE, DOT)])) for name in "ba"]
    (tmp_path / "broken.ipynb").write_text("{")
    (tmp_path / "other.py").write_text("def f(): return 1")
    paths += [str(tmp_path / name) for name in ("broken.ipynb", "other.py", "absent.py")]
    output = tmp_path / "table.csv"
    command.main([*paths, "--csv", "-o", str(output), "--jobs", "1"])
    rows = list(csv.DictReader(output.open()))
    assert [row["submission"] for row in rows] == [
        "b.ipynb", "a.ipynb", "broken.ipynb", "other.py", "absent.py",
    ]  # fmt: skip
    assert [row["verdict"] for row in rows] == ["correct"] * 2 + ["not graded"] * 3
    assert "no notebook" in rows[2]["message"]


def test_without_submissions_the_command_says_what_it_needs(capsys):
    with pytest.raises(SystemExit):
        command.main([])
    assert "at least one notebook" in capsys.readouterr().err


class Killer:
    """A path that ends the process which looks at it, unless that is the test's own."""

    def __init__(self):
        self.mine = os.getpid()

    def __fspath__(self):
        if os.getpid() != self.mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return "killer.py"


def test_a_file_that_kills_the_graders_worker_costs_no_other(tmp_path):
    paths = [tmp_path / "a.py", Killer(), tmp_path / "b.py"]
    done = dict(command.grade_all(paths, load_items(), jobs=2))
    assert sorted(done) == [0, 1, 2]
    assert [done[n][0]["verdict"] for n in range(3)] == ["not graded"] * 3
    assert "No such file" in done[0][0]["message"] and "No such file" in done[2][0]["message"]
    assert "ended the grader" in done[1][0]["message"]


# forms of reports


TEXT = st.text(st.characters(), max_size=20)
TAGS = ("html", "meta", "title", "style", "h1", "table", "thead", "tbody", "tr", "th", "td")
ROW = st.fixed_dictionaries(
    {n: TEXT for n in COLUMNS if n not in ("points", "out_of")}
    | {n: st.floats(0, 100) for n in ("points", "out_of")}
)


class Tags(HTMLParser):
    """Every tag and the number of table cells."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.cells = set(), 0
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.cells += tag == "td"


@settings(max_examples=25, deadline=None)
@given(st.lists(ROW, max_size=4))
def test_nothing_is_lost_or_becomes_code_in_any_form(rows):
    rows = [row_of("x", **row) for row in rows]
    assert json.loads(reports.as_json(rows)) == rows
    result = json.loads(reports.as_gradescope(rows))
    assert [test["name"] for test in result["tests"]] == [row["item"] for row in rows]
    page = Tags(reports.as_html(rows))
    assert page.tags <= set(TAGS)
    assert page.cells == len(rows) * (len(COLUMNS) - 1)
    assert all(row["item"] in reports.as_text(rows) for row in rows)
    written = list(csv.reader(io.StringIO(reports.as_csv(rows), newline="")))
    assert len(written) == len(rows) + 1
    assert not any(cell[:1] in set("=+-@") for line in written for cell in line if cell)


def test_a_hostile_message_is_only_text():
    long = "<script>alert(1)</script>" * 20
    page = reports.as_html([row_of("a.py", message=long, item="x", year="2022")])
    assert "<script" not in page and page.count("alert(1)") == 20


# notebooks without solutions


def test_blank_notebooks_have_no_solutions_and_all_else(tmp_path):
    path = write_notebook(tmp_path / "1.ipynb", [
        (MARKDOWN, "# Task"), (CODE, "stub"), (CODE, GRU),
        (MARKDOWN, "Hints\n<details><summary>Where to look</summary>z</details>\n"
                   "<details>\n<summary><b>Solution</b></summary>\n\nSECRET\n\n</details>\nafter"),
        (MARKDOWN, "<details><summary>Solution of 2</summary>SECRET</details>"),
        (CODE, "display(HTML(f'<details><summary>Solution</summary>{SECRET}</details>'))"),
        (CODE, ""),
    ])  # fmt: skip
    notebook = json.loads(path.read_text())
    notebook["cells"][2]["metadata"]["tags"] = ["solution"]
    notebook["cells"][1]["outputs"] = [{"text": "kept"}]
    path.write_text(json.dumps(notebook))
    blank.main([str(path), "-o", str(tmp_path / "blank")])
    written = json.loads((tmp_path / "blank" / "1.ipynb").read_text())
    assert written["cells"][:2] == notebook["cells"][:2]
    assert ["".join(cell["source"]) for cell in written["cells"][2:]] == [
        "Hints\n<details><summary>Where to look</summary>z</details>\nafter", "",
    ]  # fmt: skip
    assert {**written, "cells": 0} == {**notebook, "cells": 0}
    assert "SECRET" not in json.dumps(written) and json.loads(path.read_text()) == notebook
    with pytest.raises(SystemExit):
        blank.main([str(path), "-o", str(tmp_path)])
