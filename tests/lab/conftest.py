"""What several tests of the lab use: tiny runs, few words, a notebook that records its output."""

from dataclasses import replace

import IPython.display
import pytest
from tiny_runs import MODEL, PADDED

from a3lib.lab import experiments
from a3lib.lab.runs import Run
from a3lib.translation.pairs import Pairs, load_pairs


@pytest.fixture(scope="session")
def pair_file(tmp_path_factory):
    """A file of 160 pairs."""
    path = tmp_path_factory.mktemp("data") / "pairs.txt"
    lines = map(" ".join, load_pairs("small").pairs[::20])
    path.write_text("\n".join(lines) + "\n", encoding="utf8")
    return str(path)


@pytest.fixture(scope="session")
def runs(pair_file):
    """Two runs of a fraction of a second."""
    in_buckets = replace(PADDED, batches="buckets")
    return [
        Run("buckets", MODEL, in_buckets, data=pair_file),
        Run("padded", MODEL, PADDED, pair_file),
    ]


@pytest.fixture
def few_words(monkeypatch):
    """Every list that is scored has 40 words; what is trained on stays as it is."""

    def first(name):
        return Pairs(name, load_pairs(name).pairs[:40])

    monkeypatch.setattr(experiments, "load_pairs", first)
    return first


class Displayed:
    """Stands for the notebook: what is displayed, and what is put in its place later."""

    def __init__(self):
        self.shown, self.updated = [], []

    def display(self, data, metadata=None, raw=False, display_id=None):
        assert raw
        self.shown.append((data, metadata))
        return self if display_id else None

    def update(self, data, metadata=None, raw=False):
        assert raw
        self.updated.append((data, metadata))


@pytest.fixture
def displayed(monkeypatch):
    """The `Displayed` that receives what `IPython.display.display` is given."""
    output = Displayed()
    monkeypatch.setattr(IPython.display, "display", output.display)
    return output
