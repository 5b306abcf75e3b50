"""The contract of the committed notebooks: executed as a whole, self-contained, prose agrees with measurements."""

import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from execute_notebooks import CITATION, MARKS, measured_claims, sections

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
PICTURES = {"image/png", "image/jpeg"}
LOCAL = re.compile(r"(?<![\w./:])/(?:home|root|tmp|work|Users|usr|opt)/|site-packages|\.venv")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook):
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_every_code_cell_ran_once_in_order(notebook):
    # a cell without a count would not be compared at all
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


def test_cells_are_short_and_follow_prose(notebook):
    for before, cell in pairwise(notebook.cells):
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 25, cell.source
            assert before.cell_type == "markdown", cell.source


def cited(text):
    """{name: (mark, link, verdict, measured)} of the citations in prose."""
    found = CITATION.findall(text.replace("\n", " "))
    return {name: (mark, link, *told) for mark, link, name, *told in found}


def expected(notebook):
    """What the prose must cite, and how."""
    claims, links = measured_claims(notebook), sections(notebook)
    return {name: (MARKS[claims[name][0]], links[name], *claims[name]) for name in claims}


def test_prose_and_claims_agree(notebook):
    """Each measured claim is cited with its mark, its section, verdict and number; nothing else is."""
    assert cited(prose(notebook)) == expected(notebook)


def test_no_digit_of_a_citation_can_change_unseen(notebook):
    right = expected(notebook)
    for match in CITATION.finditer(prose(notebook)):
        text = match.group()
        for place in re.finditer(r"\d", text):
            digit = str((int(place.group()) + 1) % 10)
            changed = cited(text[: place.start()] + digit + text[place.end() :])
            name = match.group(3)
            assert changed.get(name) != right[name], text
        for mark in set(MARKS.values()) - {match.group(1)}:
            assert (
                cited(text.replace(f"[{match.group(1)}]", f"[{mark}]", 1)).get(name) != right[name]
            )


def test_outputs_hold_no_error_no_warning_no_local_path(notebook):
    for cell in code_cells(notebook):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.get("text")
            text = output.get("text", "") + "".join(
                value
                for kind, value in output.get("data", {}).items()
                if isinstance(value, str) and "image" not in kind
            )
            assert not LOCAL.search(text), text[:300]


def test_every_figure_has_alt_text(notebook):
    for cell in code_cells(notebook):
        for output in cell.outputs:
            for kind in PICTURES & set(output.get("data", {})):
                alt = output.metadata[kind]["alt"]
                assert re.search(r"\d", alt) and "\n" not in alt and len(alt) > 40


def test_no_widget_state(notebook):
    assert "widgets" not in notebook.metadata


def test_a_static_result_stands_before_every_widget(notebook):
    cells = code_cells(notebook)
    for before, cell in pairwise(cells):
        if any(
            "application/vnd.jupyter.widget-view+json" in output.get("data", {})
            for output in cell.outputs
        ):
            assert any(
                ({"text/html"} | PICTURES) & set(output.get("data", {}))
                for output in before.outputs
            )


def test_set_up_cells_are_the_same():
    first = {code_cells(nbformat.read(path, as_version=4))[0].source for path in NOTEBOOKS}
    assert len(first) == 1 and len(first.pop().splitlines()) <= 25


def test_time_and_notation_are_at_the_top(notebook):
    opening = "\n".join(cell.source for cell in notebook.cells[:2])
    assert "**Time:**" in opening and "| B |" in opening


def test_it_closes_with_what_we_measured(notebook):
    assert (
        "What we measured"
        in [cell.source for cell in notebook.cells if cell.cell_type == "markdown"][-1]
    )
