"""Translators by settings: build one, save it, load it."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from a3lib.batches import V
from a3lib.gru import GRUEncoder, MyGRUCell, RNNDecoder
from a3lib.translator import Translator


@dataclass(frozen=True)
class ModelSettings:
    """Which translator, and how large."""

    kind: str = "gru"  # the translator of Part 1
    hidden_size: int = 32  # H of every layer; the hand-out's value for Part 1


def build(settings, seed, cell=MyGRUCell):
    """A new translator whose initial weights depend on the seed alone. `cell` is the class of its GRU cells.

    Raises ValueError for an unknown kind.
    """
    if settings.kind != "gru":
        raise ValueError(f"there is no model {settings.kind!r}: the kind is 'gru'")
    H = settings.hidden_size
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Translator(GRUEncoder(V, H, cell), RNNDecoder(V, H, cell))


def save_model(model, settings, path):
    """Write weights and settings to one safetensors file, by renaming a finished temporary file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    tensors = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    save_file(tensors, temporary, metadata={"settings": json.dumps(asdict(settings))})
    os.replace(temporary, path)


def load_model(path):
    """The translator in a file written by `save_model`. Raises FileNotFoundError, or ValueError for another file."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist: train the model and save it with save_model first")
    try:
        with safe_open(path, framework="pt") as file:
            settings = ModelSettings(**json.loads((file.metadata() or {})["settings"]))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        model = build(settings, seed=0)
        model.load_state_dict(weights)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is not a translator saved by save_model ({error}): train and save it again") from None
    return model.eval()
