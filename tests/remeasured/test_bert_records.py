"""The records of notebook 4: complete, current, and a cheap one measured again."""

from pathlib import Path

import pytest

from a3lib import bert_experiments as experiments
from a3lib import records
from a3lib.bert_cells import seeds_of

RECORDED = records.read_records(Path(__file__).parents[2] / "notebooks/records/bert.jsonl")


def test_records_are_current_and_none_twice():
    keys = [(record["run"], record["seed"]) for record in RECORDED]
    assert len(set(keys)) == len(keys)
    for record in RECORDED:
        assert record["identity"] == experiments.cell_identity(experiments.CELLS[record["run"]], record["seed"])


def test_every_cell_has_its_seeds():
    for name, cell in experiments.CELLS.items():
        seeds = [record["seed"] for record in records.of_run(RECORDED, name)]
        assert seeds == list(seeds_of(cell)), name


def test_a_recorded_run_is_measured_again():
    """Equal on the kind of machine that made the record; elsewhere close: 48 steps of a head only."""
    old = records.of_run(RECORDED, "published-frozen")[0]
    new = experiments.run(experiments.CELLS["published-frozen"], 0).record
    if new["machine"] == old["machine"]:
        assert new["metrics"]["predictions"] == old["metrics"]["predictions"]
        assert new["history"]["train"] == old["history"]["train"]
    else:
        assert new["metrics"]["accuracy"] == pytest.approx(old["metrics"]["accuracy"], abs=0.05)
        assert new["history"]["train"] == pytest.approx(old["history"]["train"], abs=0.02)
