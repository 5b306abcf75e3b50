"""Notebook 4 on networks of a hub by their names: from the hub's cache, with nothing replaced in the library."""

import json
from pathlib import Path

import nbformat
import torch
from nbclient import NotebookClient
from tiny_bert import tiny_encoder

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
REVISION = "a" * 40


def cached(hub, name, file):
    """A tiny BERT in the layout of the hub's cache, its tensors in a file of this name."""
    repository = hub / f"models--{name.replace('/', '--')}"
    folder = repository / "snapshots" / REVISION
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(REVISION, encoding="utf8")
    encoder = tiny_encoder(seed=3)
    encoder.tokenizer.save_pretrained(folder)
    encoder.model.save_pretrained(folder)
    if file.endswith(".bin"):  # as MathBERT's: pickled tensors of a network for pretraining
        tensors = {f"bert.{n}": value for n, value in encoder.model.state_dict().items()}
        torch.save(tensors, folder / file)
        (folder / "model.safetensors").unlink()
    config = json.loads((folder / "config.json").read_text(encoding="utf8"))
    config["architectures"] = ["BertForPreTraining" if file.endswith(".bin") else "BertModel"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf8")


def test_one_variable_puts_the_whole_notebook_on_another_network(tmp_path, monkeypatch):
    cached(tmp_path / "hub", "tbs17/MathBERT", "pytorch_model.bin")
    cached(tmp_path / "hub", "bert-base-uncased", "model.safetensors")
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("A3_WEIGHTS", "auto")
    notebook = nbformat.read(NOTEBOOKS / "4_bert.ipynb", as_version=4)
    changes = {
        'MODEL = "all-MiniLM-L6-v2"': 'MODEL = "tbs17/MathBERT"',
        "COLUMNS = []": 'COLUMNS = ["bert-base-uncased", "vinai/bertweet-base"]',
    }
    for cell in notebook.cells:
        for old, new in changes.items():
            if cell.cell_type == "code" and old in cell.source:
                cell.source, changes[old] = cell.source.replace(old, new), None
    assert set(changes.values()) == {None}
    told = (
        "print(encoder.origin, live.encoder.origin, type(live.model).__mro__[1].__name__, networks)"
    )
    notebook.cells.append(nbformat.v4.new_code_cell(told))
    resources = {"metadata": {"path": NOTEBOOKS}}
    NotebookClient(notebook, timeout=1000, resources=resources, store_widget_state=False).execute()
    printed = "".join(output.get("text", "") for output in notebook.cells[-1].outputs)
    assert printed.count("tbs17/MathBERT: a BertModel") == 2 and printed.count("from the hub") == 2
    assert "'bert-base-uncased': {'fine-tuned, chosen recipe': '0." in printed
    assert "vinai/bertweet-base is not there" in printed  # told, and the notebook went on
