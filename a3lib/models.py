"""Translators by settings: build one, save it, load it."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from a3lib.attention import CausalScaledDotAttention, ScaledDotAttention
from a3lib.attention_rnn import RNNAttentionDecoder
from a3lib.batches import V
from a3lib.gru import GRUEncoder, MyGRUCell, RNNDecoder
from a3lib.transformer import TransformerDecoder, TransformerEncoder
from a3lib.transformer_blocks import PUBLISHED, TransformerSettings
from a3lib.translator import Translator


@dataclass(frozen=True)
class ModelSettings:
    """Which translator, and how large. Settings that its kind does not use stay at their defaults."""

    kind: str = "gru"  # of Part 1; 'rnn-attention' of Part 2.1; 'transformer' of Part 2.2, the single block included
    hidden_size: int = 32  # H of every layer; the hand-out's value for Part 1
    attention: str = "additive"  # of an 'rnn-attention': or 'scaled_dot'
    layers: int = 1  # blocks of a 'transformer', in the encoder and again in the decoder
    transformer: TransformerSettings = PUBLISHED  # switches of a 'transformer'


def build(settings, seed, cell=MyGRUCell, attention=None, causal_attention=None):
    """A new translator whose initial weights depend on the seed alone.

    `cell` is the class of its GRU cells. `attention` and `causal_attention` are classes that replace the library's: an
    RNN asks the former, a transformer without `heads` both. Raises ValueError for an unknown kind.
    """
    if settings.kind not in BUILDERS:
        raise ValueError(f"there is no model {settings.kind!r}: the kind is one of {', '.join(map(repr, BUILDERS))}")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Translator(*BUILDERS[settings.kind](settings, cell, attention, causal_attention))


def _gru(settings, cell, attention, causal_attention):
    return GRUEncoder(V, settings.hidden_size, cell), RNNDecoder(V, settings.hidden_size, cell)


def _rnn_attention(settings, cell, attention, causal_attention):
    H = settings.hidden_size
    return GRUEncoder(V, H, cell), RNNAttentionDecoder(V, H, attention or settings.attention, cell)


def _transformer(settings, cell, attention, causal_attention):
    size = (V, settings.hidden_size, settings.layers, settings.transformer)
    attention, causal_attention = attention or ScaledDotAttention, causal_attention or CausalScaledDotAttention
    return TransformerEncoder(*size, attention), TransformerDecoder(*size, attention, causal_attention)


BUILDERS = {"gru": _gru, "rnn-attention": _rnn_attention, "transformer": _transformer}


def settings_from(values):
    """The `ModelSettings` that `dataclasses.asdict` took apart. Raises TypeError for an unknown name."""
    if "transformer" in values:
        values = {**values, "transformer": TransformerSettings(**values["transformer"])}
    return ModelSettings(**values)


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
            settings = settings_from(json.loads((file.metadata() or {})["settings"]))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        model = build(settings, seed=0)
        model.load_state_dict(weights)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is not a translator saved by save_model ({error}): train and save it again") from None
    return model.eval()
