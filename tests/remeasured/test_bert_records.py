"""The records of notebook 4: complete, current, and a cheap one measured again."""

from pathlib import Path

import pytest

from a3lib.lab import bert_experiments, records
from a3lib.lab.bert_runs import CONDITIONS
from a3lib.lab.keys import made_with

RECORDED = records.read_records(Path(__file__).parents[2] / "notebooks/records/bert.jsonl")


def test_records_are_complete_and_current():
    """All seeds of every condition, each made with the present settings and results version; none twice."""
    wanted = sorted(
        condition.key(seed) for condition in CONDITIONS.values() for seed in condition.seeds
    )
    assert sorted(record["key"] for record in RECORDED) == wanted


def test_a_recorded_run_is_measured_again():
    """Equal on the kind of machine that made the record; elsewhere close: 48 steps of a head only."""
    old = records.of_run(RECORDED, "published-frozen")[0]
    new = bert_experiments.run("published-frozen", 0).record
    if made_with()["machine"] == old["machine"] and new["versions"] == old["versions"]:
        assert new["metrics"]["predictions"] == old["metrics"]["predictions"]
        assert new["history"]["train"] == old["history"]["train"]
    else:
        assert new["metrics"]["accuracy"] == pytest.approx(old["metrics"]["accuracy"], abs=0.05)
        assert new["history"]["train"] == pytest.approx(old["history"]["train"], abs=0.02)
