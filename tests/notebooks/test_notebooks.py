"""The contract of the committed notebooks: executed as a whole, self-contained, prose agrees with measurements."""

import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from execute_notebooks import CITATION, measured_claims

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


def test_prose_and_claims_agree(notebook):
    """Each measured claim is cited with its verdict and number, and nothing else is cited."""
    claims, cited = measured_claims(notebook), {}
    for name, verdict, measured in CITATION.findall(prose(notebook).replace("\n", " ")):
        if name != "name":  # the explanation of the form
            cited[name] = (verdict, measured)
    assert cited == claims


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
