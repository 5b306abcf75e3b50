"""Notebooks 4 and 5 on networks of a hub by their names: from its cache, nothing replaced in the library."""

import json
from pathlib import Path

import nbformat
import open_clip
import pytest
import torch
from nbclient import NotebookClient
from safetensors.torch import save_file
from tiny_bert import tiny_bertweet, tiny_encoder

from a3lib.pretrained.weights import REVISIONS

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Folder of an empty hub cache, which is all that may be asked."""
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("A3_WEIGHTS", "auto")
    return tmp_path / "hub"


def snapshot(hub, name):
    """The folder of a repository's pinned revision in the hub's cache, made."""
    folder = hub / f"models--{name.replace('/', '--')}" / "snapshots" / REVISIONS[name]
    folder.mkdir(parents=True)
    return folder


def executed(notebook, changes, *cells):
    """A notebook run with lines replaced and cells added -> the text of the last cell."""
    notebook = nbformat.read(NOTEBOOKS / notebook, as_version=4)
    for cell in notebook.cells:
        for old, new in list(changes.items()):
            if cell.cell_type == "code" and old in cell.source:
                cell.source = cell.source.replace(old, new)
                del changes[old]
    assert not changes
    notebook.cells += map(nbformat.v4.new_code_cell, cells)
    resources = {"metadata": {"path": NOTEBOOKS}}
    NotebookClient(notebook, timeout=1000, resources=resources, store_widget_state=False).execute()
    return "".join(output.get("text", "") for output in notebook.cells[-1].outputs)


def cached(hub, name, file):
    """A tiny BERT in the layout of the hub's cache, its tensors in a file of this name."""
    folder = snapshot(hub, name)
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


def test_one_variable_puts_the_whole_notebook_on_another_network(hub):
    cached(hub, "tbs17/MathBERT", "pytorch_model.bin")
    cached(hub, "bert-base-uncased", "model.safetensors")
    tiny_bertweet(snapshot(hub, "vinai/bertweet-base"))
    columns = '["bert-base-uncased", "vinai/bertweet-base", "no/such-network"]'
    changes = {
        'MODEL = "all-MiniLM-L6-v2"': 'MODEL = "tbs17/MathBERT"',
        "COLUMNS = []": f"COLUMNS = {columns}",
    }
    told = (
        "print(encoder.origin, live.encoder.origin, type(live.model).__mro__[1].__name__, networks)"
    )
    printed = executed("4_bert.ipynb", changes, told)
    assert (
        printed.count("tbs17/MathBERT: a BertModel") == 2
        and printed.count("from the hub, revision e26235c") == 2
    )
    for name in ("bert-base-uncased", "vinai/bertweet-base"):
        assert f"'{name}': {{'fine-tuned, chosen recipe': '0." in printed
    assert "no/such-network is not there" in printed  # told, and it went on


def test_notebook_5_runs_on_clip_with_few_texts(hub):
    folder = snapshot(hub, "timm/vit_base_patch32_clip_224.openai")
    torch.manual_seed(0)
    config = open_clip.get_model_config("ViT-B-32-quickgelu")
    tensors = open_clip.CLIP(**config).half().state_dict()
    save_file(tensors, folder / "open_clip_model.safetensors")
    mean, deviation = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    known = {"model_cfg": config, "preprocess_cfg": {"mean": mean, "std": deviation}}
    (folder / "open_clip_config.json").write_text(json.dumps(known), encoding="utf8")
    changes = {'CLIP = "standin"': 'CLIP = "auto"'}
    count = "print(len(model.texts), model.label, SLOW, model.model.token_embedding.weight.shape)"
    texts, label = executed("5_clip.ipynb", changes, count).split(" ", 1)
    shape = "True torch.Size([49408, 512])"
    if torch.cuda.is_available():
        assert label.startswith("CLIP: timm/vit_base_patch32_clip_224.openai. False")
    else:
        assert label.split() == ["CLIP:", "timm/vit_base_patch32_clip_224.openai.", *shape.split()]
        assert 200 < int(texts) <= 400
