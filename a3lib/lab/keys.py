"""What makes two runs the same, what a run was made with, and its record."""

import hashlib
import importlib
import json
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch

# Raised by hand when results are meant to change. Tests that train recorded seeds again prove that
# they did not change otherwise.
RESULTS_VERSION = 1


def run_key(settings, seed, data_sha256):
    """Hash (hex, 16 digits) of a settings dataclass but for its name, seed, data and version."""
    named = {name: value for name, value in asdict(settings).items() if name != "name"}
    content = json.dumps([named, seed, data_sha256, RESULTS_VERSION], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def run_record(run, seed, key, history, metrics, begun, packages=(), **more):
    """The record of a run that began when `time.perf_counter()` gave `begun`.

    `packages`: whose versions it tells besides the usual ones; `more`: further entries.
    """
    return {
        "run": run.name,
        "seed": seed,
        "key": key,
        "settings": asdict(run),
        "history": asdict(history),
        "metrics": metrics,
        "seconds": round(time.perf_counter() - begun, 2),
        **more,
        **made_with(*packages),
    }


def made_with(*packages):
    """The kind of machine (equal kinds give equal bits for equal seeds), and the versions."""
    named = {name: importlib.import_module(name).__version__ for name in ("numpy", *packages)}
    return {
        "machine": {
            "processor": _processor(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "os": sys.platform,
            **named,
        },
    }


def _processor():
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        first = cpuinfo.read_text(encoding="utf8").split("\n\n")[0].splitlines()
        fields = dict(map(str.strip, line.split(":", 1)) for line in first if ":" in line)
        known = [fields[key] for key in ("model name", "cpu family", "model") if key in fields]
        if known:
            return " / ".join(known)
    return platform.processor() or platform.machine()
