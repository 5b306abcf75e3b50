"""The conditions of Part 3: their settings and seeds, and the choice of a recipe."""

from dataclasses import dataclass, replace

from a3lib.bert.fine_tuning import FineTuningSettings
from a3lib.lab.keys import run_key
from a3lib.lab.pretraining import CORPORA, corpus
from a3lib.lab.records import of_run
from a3lib.pretrained.weights import MINILM

SEEDS = range(5)
FRESH = range(30, 40)  # the recipe is chosen and tested on splits that decided nothing before
# a headline claim on these was open after five seeds: five more, on both of its sides
TWICE = ("published", "brief", *map("brief-{}".format, ("128", "384", "unseen", *CORPORA)))
MANY = (*range(5), *range(6, 21))  # a head's start decides much; 5 is the notebook's


@dataclass(frozen=True)
class Condition:
    """All but the seed, which decides split, head, order, dropout, random weights and masking."""

    name: str
    encoder: str = "pretrained"  # all-MiniLM-L6-v2; 'random': its network; a corpus; a hub's name
    tuning: FineTuningSettings = FineTuningSettings()
    pooling: str = "pooler"  # as published
    frozen: bool = False
    expressions: int = 512  # to train on
    probes: bool = False  # probes of all layers instead of fine-tuning
    unseen_numbers: bool = False  # test on expressions with number words never trained on

    @property
    def seeds(self):
        """The seeds that are recorded."""
        if self.name in CANDIDATES:
            return FRESH
        if self.name == "probes-pretrained":
            return (*SEEDS, *FRESH[:5])  # what candidates are compared with
        if self.name in TWICE:
            return range(10)
        return MANY if self.frozen else SEEDS

    def key(self, seed):
        """The key of a run; a network from a hub is known by its name alone."""
        text = corpus(self.encoder) if self.encoder in CORPORA else ""
        return run_key(self, seed, MINILM.files["model.safetensors"] + text)


_RATE = FineTuningSettings(learning_rate=4e-4)  # eight times the published rate; else as published


def _conditions():
    yield Condition("published")
    yield Condition("published-frozen", frozen=True)
    yield Condition("published-random", "random")
    for rate in (2e-4, 4e-4):  # the candidates of the recipe, with batches of 16
        for epochs in (10, 20):
            tuning = FineTuningSettings(learning_rate=rate, epochs=epochs, batch_size=16)
            yield Condition(f"select-{rate:g}-{epochs}", tuning=tuning, pooling="mean")
    brief = Condition("brief", tuning=_RATE, pooling="mean")
    yield brief
    for encoder in ("random", *CORPORA):
        yield replace(brief, name=f"brief-{encoder}", encoder=encoder)
    for expressions, epochs in ((128, 12), (256, 6)):  # as many updates
        tuning = replace(_RATE, epochs=epochs)
        yield replace(brief, name=f"brief-{expressions}", tuning=tuning, expressions=expressions)
    for encoder in ("pretrained", "random"):
        yield Condition(f"probes-{encoder}", encoder, probes=True)
    # without four number words 384 expressions are left to train on
    yield replace(brief, name="brief-384", expressions=384)
    yield replace(brief, name="brief-unseen", expressions=384, unseen_numbers=True)
    yield Condition("probes-384", probes=True, expressions=384)
    yield Condition("probes-unseen", probes=True, expressions=384, unseen_numbers=True)


CONDITIONS = {condition.name: condition for condition in _conditions()}
CANDIDATES = tuple(name for name in CONDITIONS if name.startswith("select-"))


def chosen(recorded):
    """For every fresh split the record of the candidate with the best validation side.

    Raises ValueError if a candidate lacks a split, KeyError if it has no record at all.
    """
    tried = {name: {r["seed"]: r for r in of_run(recorded, name)} for name in CANDIDATES}
    missing = [f"{name} seed {seed}" for name in tried for seed in FRESH if seed not in tried[name]]
    if missing:
        raise ValueError(f"run all candidates before one is chosen; missing: {', '.join(missing)}")

    def validated(record):
        loss = record["history"]["validation"]["loss"][-1]
        return record["metrics"]["validation accuracy"], -loss

    return [max((tried[name][seed] for name in tried), key=validated) for seed in FRESH]
