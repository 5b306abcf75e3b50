"""The experiments of Part 3 by name, the seeds each is run with, and the choice among the candidates."""

from dataclasses import dataclass, replace

from a3lib.pretraining import CORPORA
from a3lib.records import of_run
from a3lib.tuning import TuningSettings

SEEDS = range(5)
FRESH = range(30, 35)  # the recipe is chosen and tested on splits that decided nothing before
FROZEN_SEEDS = (
    *range(5),
    *range(6, 21),
)  # the head's start decides, and five show little; 5 is the notebook's own


@dataclass(frozen=True)
class Cell:
    """One experiment but for the seed, which decides split, head, order, dropout, random weights and masking."""

    name: str
    encoder: str = "pretrained"  # all-MiniLM-L6-v2; 'random': its network, fresh; a corpus: continued on it; or a name
    tuning: TuningSettings = TuningSettings()
    pooling: str = "pooler"  # as published
    frozen: bool = False
    expressions: int = 512  # to train on
    validation: str = "split"  # the split's 128
    probes: bool = False  # probes of all layers instead of fine-tuning
    unseen_numbers: bool = False  # test on expressions with number words that were never trained on


_MEAN = TuningSettings(learning_rate=4e-4)  # eight times the published rate; else as published
_GRID = [(rate, epochs) for rate in (2e-4, 4e-4) for epochs in (10, 20)]  # with batches of 16
CELLS = {
    name: replace(cell, name=name)
    for name, cell in {
        "published": Cell(""),
        "published-frozen": Cell("", frozen=True),
        "published-random": Cell("", "random"),
        **{
            f"select-{r:g}-{e}": Cell("", tuning=TuningSettings(r, e, 16), pooling="mean")
            for r, e in _GRID
        },
        "brief": Cell("", tuning=_MEAN, pooling="mean"),
        **{f"brief-{name}": Cell("", name, _MEAN, "mean") for name in ("random", *CORPORA)},
        # a quarter or half of the expressions, as many updates
        "brief-128": Cell("", tuning=replace(_MEAN, epochs=12), pooling="mean", expressions=128),
        "brief-256": Cell("", tuning=replace(_MEAN, epochs=6), pooling="mean", expressions=256),
        **{f"probes-{name}": Cell("", name, probes=True) for name in ("pretrained", "random")},
        # without four number words 384 expressions are left to train on
        "brief-384": Cell("", tuning=_MEAN, pooling="mean", expressions=384),
        "brief-unseen": Cell(
            "", tuning=_MEAN, pooling="mean", expressions=384, unseen_numbers=True
        ),
        "probes-384": Cell("", probes=True, expressions=384),
        "probes-unseen": Cell("", probes=True, expressions=384, unseen_numbers=True),
    }.items()
}
CANDIDATES = tuple(name for name in CELLS if name.startswith("select-"))


def seeds_of(cell):
    """The seeds that are recorded of a cell."""
    if cell.name in CANDIDATES:
        return FRESH
    if cell.name == "probes-pretrained":
        return (*SEEDS, *FRESH)  # what candidates are compared with
    return FROZEN_SEEDS if cell.frozen else SEEDS


def chosen(recorded):
    """For every fresh split the record of the candidate with the best validation accuracy, then loss.

    Raises ValueError if a candidate lacks a split, KeyError if it has no record at all.
    """
    tried = {
        name: {record["seed"]: record for record in of_run(recorded, name)} for name in CANDIDATES
    }
    if missing := [
        f"{name} seed {seed}" for name in tried for seed in FRESH if seed not in tried[name]
    ]:
        raise ValueError(
            f"nothing can be chosen before all candidates were run; missing: {', '.join(missing)}"
        )

    def validated(record):
        return record["metrics"]["validation accuracy"], -record["history"]["loss"][-1]

    return [max((tried[name][seed] for name in tried), key=validated) for seed in FRESH]
