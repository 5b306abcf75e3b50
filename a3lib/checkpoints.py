"""Training state on disk: a kill at any moment leaves the last complete state behind."""

import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


class Checkpoint:
    """The state of one run in a folder of its own.

    Tensors go to a new safetensors file first; then `state.json`, which names that file, is replaced in one rename;
    only then is the older tensor file deleted. So the JSON always points to a complete file.
    """

    def __init__(self, folder):
        self.folder = Path(folder)

    def save(self, number, tensors, state):
        """Store {name: tensor} and a JSON-serialisable state under a number that was not used before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"tensors-{number:06d}.safetensors"
        part = self.folder / (name + ".part")
        save_file({key: value.detach().cpu().clone() for key, value in tensors.items()}, part)
        os.replace(part, self.folder / name)
        part = self.folder / "state.json.part"
        part.write_text(json.dumps({"tensors": name, "state": state}), encoding="utf8")
        os.replace(part, self.folder / "state.json")
        for old in self.folder.glob("tensors-*"):
            if old.name != name:
                old.unlink()

    def load(self):
        """(tensors, state) of the last `save`, or None if there was none."""
        path = self.folder / "state.json"
        if not path.exists():
            return None
        content = json.loads(path.read_text(encoding="utf8"))
        return load_file(self.folder / content["tensors"]), content["state"]

    def delete(self):
        """Remove the folder: the run is complete and recorded."""
        shutil.rmtree(self.folder, ignore_errors=True)


def pack(groups):
    """{group: {name: tensor}} -> {'group/name': tensor}, for one file. Copies, since weights go on changing."""
    return {f"{group}/{name}": value.clone() for group, named in groups.items() for name, value in named.items()}


def unpack(tensors, group):
    """The {name: tensor} of one group of `pack`."""
    return {name.partition("/")[2]: value for name, value in tensors.items() if name.startswith(group + "/")}


def optimizer_tensors(optimizer):
    """The optimizer's per-parameter tensors as {'<parameter>.<name>': tensor}."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, named in state.items() for name, value in named.items()}


def restore_optimizer(optimizer, tensors):
    """Put back what `optimizer_tensors` took out."""
    state = {}
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def copy_weights(model):
    """A detached copy of the model's state."""
    return {name: torch.clone(value) for name, value in model.state_dict().items()}
