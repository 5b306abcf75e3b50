"""The records of Parts 1 and 2 measured again: new seeds, recorded ones, and the models that were kept.

The unseen words and the unusual ones were measured once, for the records; here only validation words are scored.
"""

from pathlib import Path

import pytest

from a3lib.lab import experiments, records
from a3lib.lab.keys import made_with
from a3lib.lab.runs import RUNS
from a3lib.lab.verdicts import prediction_interval
from a3lib.translation.batches import encode_pairs
from a3lib.translation.metrics import predictions, word_accuracy
from a3lib.translation.models import load_model

FOLDER = Path(__file__).parents[2] / "notebooks/records"
RECORDED = records.read_records(
    *(FOLDER / f"{name}.jsonl" for name in ("gru", "attention", "recipes"))
)
MEASURES = ("per_token", "bucket_mean", "validation_accuracy")
NEW_SEEDS = ("gru-small", "fair-gru-large", "fair-block32-sinusoid", "recipe-quick")
# a chance of one per cent that any of the comparisons fails without a reason
CONFIDENCE = 1 - 0.01 / (len(NEW_SEEDS) * len(MEASURES))


def test_records_are_complete_and_current():
    """All seeds of every run, each made with the present settings, data and results version; none twice."""
    wanted = sorted(run.key(seed) for run in RUNS.values() for seed in run.seeds)
    assert sorted(record["key"] for record in RECORDED) == wanted


def test_nothing_but_the_published_classes_was_trained():
    """Where the fast twin could not prove itself (a ReLU at its kink, rounded otherwise), the classes it stands for trained."""
    notes = [note for record in RECORDED for note in record["history"]["notes"]]
    assert all(note.startswith("the readable classes train: ") for note in notes)
    assert sum(bool(record["history"]["notes"]) for record in RECORDED) < 0.2 * len(RECORDED)
    assert not any(record["history"]["interrupted"] for record in RECORDED)


@pytest.mark.parametrize("name", NEW_SEEDS)
def test_a_new_seed_lies_in_the_prediction_interval_of_the_records(name):
    new = experiments.train(name, seed=20).record["metrics"]
    for measure in MEASURES:
        low, high = prediction_interval(
            [record["metrics"][measure] for record in records.of_run(RECORDED, name)], CONFIDENCE
        )
        assert low <= new[measure] <= high, measure


@pytest.mark.parametrize(
    "name", ["fair-gru-small", "fair-additive32-small", "fair-block32-small", "recipe-quick"]
)
def test_a_recorded_seed_is_measured_again(name):
    """Equal to the bit on the kind of machine that made the record, one of its kind elsewhere."""
    old = records.of_run(RECORDED, name)[0]
    new = experiments.train(name, seed=0).record
    assert new["key"] == old["key"]
    if (
        made_with()["machine"] == old["machine"]
        and new["versions"]["torch"] == old["versions"]["torch"]
    ):
        assert new["history"]["train"] == old["history"]["train"]
        assert new["history"]["validation"] == old["history"]["validation"]
        assert {name: new["metrics"][name] for name in MEASURES} == {
            name: old["metrics"][name] for name in MEASURES
        }
    else:
        values = [record["metrics"]["per_token"] for record in records.of_run(RECORDED, name)]
        low, high = prediction_interval(values)
        assert low <= new["metrics"]["per_token"] <= high


KEPT = [path for path in sorted(FOLDER.glob("*-0.safetensors")) if path.stem != "long-noto-0"]


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_kept_models_are_those_of_the_records(path):
    name, _, seed = path.stem.rpartition("-")
    record = records.of_run(RECORDED, name)[int(seed)]
    validation = encode_pairs(RUNS[name].split(int(seed)).validation)
    accuracy = word_accuracy(predictions(load_model(path), validation))
    assert accuracy == pytest.approx(
        record["metrics"]["validation_accuracy"], abs=2 / len(validation)
    )
