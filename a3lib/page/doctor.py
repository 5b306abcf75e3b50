"""`python -m a3lib`: what is here, how long the notebooks take, what to do about each problem."""

import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch

from a3lib import environment
from a3lib.common import best_device, one_thread
from a3lib.lab.records import read_records
from a3lib.pretrained import weights

OLDEST = (3, 10)  # Python
FREE = 2.0  # GiB on disk: a wheel is unpacked beside the cache before it is moved there
MEMORY = 4.0  # GiB: the largest notebook takes two, JupyterLab and a browser the rest
SHOWN = ("torch", "transformers", "open_clip_torch", "ipywidgets", "jupyterlab")
WHEELS = ((weights.MINILM, "90 MB"), (weights.EFFICIENTNET, "17 MB"))
UPDATES = 40  # of `speed`
SPEED = 0.12  # seconds that they take on the machine of the committed notebooks
NOTEBOOKS = {  # seconds on that machine
    "1_gru_translation": 90,
    "2_attention": 110,
    "3_transformer": 105,
    "4_bert": 80,
    "5_clip": 125,
}


class Finding(NamedTuple):
    """A line of the report; with a remedy it is a problem."""

    topic: str
    told: str
    remedy: str = ""


def python():
    """The version of Python, and where it runs."""
    told = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    wanted = ".".join(map(str, OLDEST))
    yield Finding("Python", told, f"install Python {wanted} or newer" * (sys.version_info < OLDEST))


def packages():
    """The main packages, and each requirement that is missing or older than what was tested."""
    have = {name: environment.installed_version(name) for name in SHOWN}
    yield Finding("packages", ", ".join(f"{n} {version}" for n, version in have.items() if version))
    for one in environment.requirements():
        if environment.unmet(one):
            version = environment.installed_version(one.name) or "missing"
            yield Finding(one.name, version, f'python -m pip install "{one}"')


def machine():
    """Where training runs, and the memory where the system tells."""
    best = best_device()
    name = torch.cuda.get_device_name(best) if best.type == "cuda" else "no GPU, none is needed"
    yield Finding("device", f"{name}; {os.cpu_count()} cores, of which a training run uses one")
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
        remedy = "close other programs, and run one notebook at a time" * (size < MEMORY)
        yield Finding("memory", f"{size:.1f} GiB", remedy)


def cache():
    """The folder that pretrained weights are kept in."""
    return Path(os.environ.get("A3_CACHE") or "~/.cache/a3lib").expanduser()


def pretrained():
    """Which weights are at hand, and what else would be fetched."""
    try:
        source = weights.chosen_source()
    except ValueError as error:
        yield Finding("A3_WEIGHTS", os.environ["A3_WEIGHTS"], str(error))
        return
    for wheel, size in WHEELS:
        there = all((cache() / wheel.name / file).is_file() for file in wheel.files)
        yield Finding(wheel.name, "at hand" if there else f"fetched when first used, {size}")
    yield Finding(
        "weights from", {"auto": "a hub if it can be reached, else these"}.get(source, source)
    )


def disk():
    """Whether the cache and this folder can be written, and how much room there is."""
    remedies = {"cache": "set A3_CACHE to a folder of yours", "here": "go to a folder of yours"}
    for topic, folder in (("cache", cache()), ("here", Path.cwd())):
        existing = next(one for one in (folder, *folder.parents) if one.exists())
        free = shutil.disk_usage(existing).free / 2**30
        remedy = "free some disk" * (free < FREE)
        try:
            tempfile.TemporaryFile(dir=existing).close()
        except OSError as error:
            remedy = f"it cannot be written ({error.strerror}): {remedies[topic]}"
        yield Finding(topic, f"{shown(folder)}, {free:.1f} GiB free", remedy)


def records():
    """Whether the recorded runs are there and whole."""
    above = (one / "notebooks" / "records" for one in (Path.cwd(), *Path.cwd().parents))
    folder = next((one for one in above if one.is_dir()), None)
    if folder is None:
        yield Finding("records", "none", "run this in the project's folder")
        return
    count = 0
    for path in sorted(folder.glob("*.jsonl")):
        lines = sum(bool(line.strip()) for line in path.read_text(encoding="utf8").splitlines())
        count += (whole := len(read_records(path)))
        if whole < lines:
            told = f"{lines - whole} of {lines} lines are damaged"
            yield Finding(path.name, told, f"git checkout {path.name} brings it back")
    yield Finding("records", f"{count:,} lines")


def notebooks(measured):
    """How long each notebook takes here; measured: the seconds of `speed`."""
    minutes = {name: seconds * measured / SPEED / 60 for name, seconds in NOTEBOOKS.items()}
    told = ", ".join(f"{name} {value:.1f}" for name, value in minutes.items())
    yield Finding("minutes", f"about {told}")


def speed():
    """Seconds of some updates of a small GRU on one core, the fastest of five tries."""
    tries = []
    with one_thread(), torch.random.fork_rng(devices=[]):
        gru, batch = torch.nn.GRU(32, 64, batch_first=True), torch.randn(64, 10, 32)
        for _ in range(5):
            start = time.perf_counter()
            for _ in range(UPDATES):
                gru(batch)[0].square().mean().backward()
            tries.append(time.perf_counter() - start)
    return min(tries)


def shown(path):
    """A path, the home folder as ~."""
    inside = path.is_relative_to(Path.home())
    return f"~/{path.relative_to(Path.home()).as_posix()}" if inside else str(path)


def report(measured=None):
    """All findings, problems last; measured: the seconds of `speed`, None to measure them."""
    parts = python(), packages(), machine(), pretrained(), disk(), records()
    found = [one for part in parts for one in part]
    found += notebooks(speed() if measured is None else measured)
    return sorted(found, key=lambda one: bool(one.remedy))


def main():
    """Print the report; returns 1 if there is a problem, else 0."""
    found = report()
    width = max(len(one.topic) for one in found)
    for one in found:
        sys.stdout.write(f"{one.topic:{width}}  {one.told}\n")
        if one.remedy:
            sys.stdout.write(f"{'':{width}}  -> {one.remedy}\n")
    count = sum(bool(one.remedy) for one in found)
    problems = "1 problem" if count == 1 else f"{count} problems"
    sys.stdout.write(f"{problems}, see the arrows\n" if count else "all is well\n")
    return min(count, 1)
