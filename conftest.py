"""Configuration of all tests: what the notebooks' kernels may use, and the order (fast first, notebooks last)."""

import os
from pathlib import Path

ROOT = Path(__file__).parent
LAST = (
    "tests/remeasured",
    "tests/benchmarks",
    "tests/browser",
    "notebooks",
)  # in this order, after everything else


def pytest_configure(config):
    # kernels inherit these: the verdict must not depend on whether a hub happens to be reachable
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ["A3_WEIGHTS"] = "offline"
    os.environ.pop("PYTHONHASHSEED", None)


def pytest_collection_modifyitems(items):
    def rank(item):
        place = item.path.relative_to(ROOT).as_posix()
        return next(
            (n for n, folder in enumerate(LAST, start=1) if place.startswith(folder + "/")), 0
        )

    items.sort(key=rank)
