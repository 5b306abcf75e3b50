"""Translators by settings: build one, save it, load it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from a3lib.common import written_by_rename
from a3lib.translation.attention import CausalScaledDotAttention, ScaledDotAttention
from a3lib.translation.attention_rnn import RNNAttentionDecoder
from a3lib.translation.batches import V
from a3lib.translation.gru import GRUEncoder, MyGRUCell, RNNDecoder
from a3lib.translation.modern import ModernDecoder, ModernEncoder, ModernSettings
from a3lib.translation.transformer import (
    PUBLISHED,
    TransformerDecoder,
    TransformerEncoder,
    TransformerSettings,
)
from a3lib.translation.translator import Translator

# what building a model with settings of another type or size raises
WRONG_SETTINGS = (AttributeError, KeyError, RuntimeError, TypeError, ValueError)
KINDS = ("gru", "rnn-attention", "transformer", "modern")


@dataclass(frozen=True)
class ModelSettings:
    """Which translator, and how large. Settings that its kind does not use stay as they are."""

    kind: str = "gru"  # of Part 1; 'rnn-attention': 2.1; 'transformer': 2.2, the block included
    hidden_size: int = 32  # H of every layer; the hand-out's value for Part 1
    attention: str = "additive"  # of an 'rnn-attention': or 'scaled_dot'
    layers: int = 1  # blocks of encoder and decoder each
    transformer: TransformerSettings = PUBLISHED  # switches of a 'transformer'
    modern: ModernSettings = ModernSettings()  # switches of a 'modern'

    def __post_init__(self):
        if self.kind not in KINDS:
            known = ", ".join(map(repr, KINDS))
            raise ValueError(f"there is no model {self.kind!r}: the kind is one of {known}")


def build(settings, seed, cell=MyGRUCell, attention=None, causal_attention=None):
    """A new translator whose first weights depend on the seed alone.

    `cell` is the class of its GRU cells. `attention` and `causal_attention` are classes in place of
    the library's: an RNN asks the former, a transformer both, a modern one none.
    """
    H, layers = settings.hidden_size, settings.layers
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if settings.kind == "gru":
            return Translator(GRUEncoder(V, H, cell), RNNDecoder(V, H, cell))
        if settings.kind == "rnn-attention":
            decoder = RNNAttentionDecoder(V, H, attention or settings.attention, cell)
            return Translator(GRUEncoder(V, H, cell), decoder)
        if settings.kind == "modern":
            size = (V, H, layers, settings.modern)
            return Translator(ModernEncoder(*size), ModernDecoder(*size))
        size = (V, H, layers, settings.transformer, attention or ScaledDotAttention)
        causal = causal_attention or CausalScaledDotAttention
        return Translator(TransformerEncoder(*size), TransformerDecoder(*size, causal))


def settings_from(values):
    """The `ModelSettings` that `asdict` took apart. Raises TypeError for an unknown name."""
    parts = {"transformer": TransformerSettings, "modern": ModernSettings}
    nested = {name: parts[name](**values[name]) for name in parts if name in values}
    return ModelSettings(**{**values, **nested})


def save_model(model, settings, path):
    """Write weights and settings to one safetensors file."""
    tensors = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    with written_by_rename(path) as part:
        save_file(tensors, part, metadata={"settings": json.dumps(asdict(settings))})


def load_model(path):
    """The translator that `save_model` wrote. Raises FileNotFoundError, ValueError for another."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist: train the model, then save_model")
    try:
        with safe_open(path, framework="pt") as file:
            settings = settings_from(json.loads((file.metadata() or {})["settings"]))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
        model = build(settings, seed=0)
        model.load_state_dict(weights)
    except (SafetensorError, ArithmeticError, *WRONG_SETTINGS) as error:
        raise ValueError(
            f"{path} is not a translator of save_model ({error}): train and save it again"
        ) from None
    return model.eval()
