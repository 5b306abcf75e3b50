"""Notebooks 1 to 4 with a student's classes in their cells: the whole notebook runs, and trains them."""

import inspect
import re
from pathlib import Path

import handout_classes
import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
# one epoch instead of the published ones: here it counts that the classes fit, not what they learn
SHORTENED = """
from dataclasses import replace
from a3lib.lab import runs
for name, run in runs.RUNS.items():
    runs.RUNS[name] = replace(run, training=replace(run.training, epochs=1))
"""
# (notebook, {what its cell calls the class: the student's}, the models that must hold it)
CASES = [
    ("1_gru_translation", {"MyGRUCell": "HandoutCell"}, "live_small.model, live_large.model"),
    (
        "2_attention",
        {
            "AdditiveAttention": "HandoutAdditive",
            "ScaledDotAttention": "HandoutScaledDot",
            "CausalScaledDotAttention": "HandoutCausal",
        },
        "live_additive.model, live_block.model",
    ),
    (
        "3_transformer",
        {"ScaledDotAttention": "HandoutScaledDot", "CausalScaledDotAttention": "HandoutCausal"},
        "live32.model, live64.model",
    ),
    ("4_bert", {"BertForSentenceClassification": "HandoutClassifier"}, "live.model"),
]


def with_own_classes(path, classes):
    """The notebook with the students' classes where it says `# replace by your class`."""
    notebook = nbformat.read(path, as_version=4)
    source = "import torch\nfrom torch import nn\nfrom transformers import BertModel\n\n"
    source += inspect.getsource(handout_classes).partition("\n\n\n")[2]
    replaced = 0
    for cell in notebook.cells:
        if cell.cell_type == "code" and "# replace by your class" in cell.source:
            for name, own in classes.items():
                line = re.compile(rf"(\W|^)([\w.]+\.{name})(,?  # replace by your class)", re.M)
                cell.source, found = line.subn(rf"\1{own}\3", cell.source)
                replaced += found
            cell.source = source + "\n\n" + cell.source
    assert replaced == len(classes)
    imports = next(n for n, cell in enumerate(notebook.cells) if "from a3lib" in cell.source)
    notebook.cells.insert(imports + 1, nbformat.v4.new_code_cell(SHORTENED))
    return notebook


@pytest.mark.parametrize(("name", "classes", "models"), CASES, ids=[case[0] for case in CASES])
def test_a_notebook_trains_the_students_classes(name, classes, models, monkeypatch):
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("A3_WEIGHTS", "offline")
    notebook = with_own_classes(NOTEBOOKS / f"{name}.ipynb", classes)
    for cell in notebook.cells:  # a second process would train in full length
        cell.source = cell.source.replace("joblib.Parallel(n_jobs=2", "joblib.Parallel(n_jobs=1")
    own = "{base.__name__ for model in (%s,) for part in model.modules() for base in type(part).mro()}"
    last = f"print(*sorted({own % models} & {set(classes.values())}))"
    notebook.cells.append(nbformat.v4.new_code_cell(last))
    resources = {"metadata": {"path": NOTEBOOKS}}
    NotebookClient(notebook, timeout=1000, resources=resources, store_widget_state=False).execute()
    printed = "".join(output.get("text", "") for output in notebook.cells[-1].outputs)
    assert printed.split() == sorted(classes.values())
