"""Settings of runs of a fraction of a second, and what must be equal when one is repeated."""

from a3lib.lab import experiments
from a3lib.translation.models import ModelSettings
from a3lib.translation.training import TrainingSettings

MODEL = ModelSettings(hidden_size=6)
PADDED = TrainingSettings(epochs=2, batch_size=16, updates_per_epoch=5, batches="padded")


def bits(record):
    """All of a record but its seconds, its machine and its versions."""
    history = {key: value for key, value in record["history"].items() if key != "seconds"}
    kept = ("run", "seed", "key", "settings", "parameters", "metrics")
    return {**{key: record[key] for key in kept}, "history": history}


def by_task(records):
    """{(run, seed): its bits}."""
    return {(record["run"], record["seed"]): bits(record) for record in records}


def count_fits(monkeypatch):
    """A list that gets the arguments of every training."""
    fits, fit = [], experiments.fit

    def counted(*arguments):
        fits.append(arguments)
        return fit(*arguments)

    monkeypatch.setattr(experiments, "fit", counted)
    return fits
