"""The records of notebooks 1 to 3 measured again: new seeds, and recorded ones."""

from pathlib import Path

import pytest

from a3lib import claims, experiments, identity, metrics, records
from a3lib.batches import encode_pairs
from a3lib.models import load_model
from a3lib.pig_latin import load_pairs
from a3lib.runs import RUNS

FOLDER = Path(__file__).parents[2] / "notebooks/records"
RECORDED = [record for name in ("gru", "attention") for record in records.read_records(FOLDER / f"{name}.jsonl")]
METRICS = ("per_token", "bucket_mean", "word_accuracy")


def test_records_are_complete_and_current():
    """Five seeds of every run, each made by the present settings, data and code, and none twice."""
    wanted = {
        experiments.run_identity(run, seed, experiments.run_split(run, seed)): (run.name, seed)
        for run in RUNS.values()
        for seed in range(5)
    }
    found = [record["identity"] for record in RECORDED]
    assert [task for key, task in wanted.items() if key not in found] == []
    assert sorted(found) == sorted(wanted)


@pytest.mark.parametrize("name", ["gru-small", "fair-gru-large", "fair-block32-sinusoid"])
def test_a_new_seed_lies_in_the_prediction_interval_of_the_records(name):
    new = experiments.train(RUNS[name], seed=5).record["metrics"]
    for metric in METRICS:
        old = [record["metrics"][metric] for record in records.of_run(RECORDED, name)]
        _, low, high = claims.prediction_interval(old)
        assert low <= new[metric] <= high, metric


@pytest.mark.parametrize("name", ["fair-gru-small", "fair-additive32-small", "fair-block32-small"])
def test_a_recorded_seed_is_measured_again(name):
    """Equal to the bit on the kind of machine that made the record, one of its kind elsewhere."""
    old = records.of_run(RECORDED, name)[0]
    new = experiments.train(RUNS[name], seed=0).record
    if new["machine"] == old["machine"]:
        assert new["metrics"] == old["metrics"]
    else:
        values = [record["metrics"]["per_token"] for record in records.of_run(RECORDED, name)]
        _, low, high = claims.prediction_interval(values)
        assert low <= new["metrics"]["per_token"] <= high


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.safetensors")), ids=lambda path: path.stem)
def test_kept_models_are_those_of_the_records(path):
    name, _, seed = path.stem.rpartition("-")
    record = records.of_run(RECORDED, name)[int(seed)]
    validation = encode_pairs(experiments.run_split(RUNS[name], int(seed)).validation)
    accuracy = metrics.word_accuracy(metrics.predictions(load_model(path), validation))
    assert accuracy == pytest.approx(record["metrics"]["word_accuracy"], abs=2 / len(validation))
    fresh = encode_pairs(load_pairs("fresh"))
    accuracy = metrics.word_accuracy(metrics.predictions(load_model(path), fresh))
    assert accuracy == pytest.approx(record["metrics"]["fresh_accuracy"], abs=2 / len(fresh))
    assert identity.machine().keys() == record["machine"].keys()
