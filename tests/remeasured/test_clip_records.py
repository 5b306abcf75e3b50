"""The records of notebook 5's small CLIP: current, and the beginning of two runs trained again."""

from pathlib import Path

import pytest

from a3lib.clip.contrastive import train
from a3lib.data.emoji import STYLES
from a3lib.lab import records
from a3lib.lab.clip_experiments import load, measure_emoji
from a3lib.lab.clip_runs import CLIP_RUNS, start
from a3lib.lab.keys import made_with

RECORDED = records.read_records(Path(__file__).parents[2] / "notebooks/records/clip.jsonl")
SHOWN = [f"live-{style}" for style in STYLES]
SHOWN += ["live-fixed", "live-batch-64", "live-batch-16"]
SHOWN += ["short-none", "short-image-locked", "short-text-locked"]
SHOWN += [f"scenes-{layers}-layer{end}" for layers in (1, 2) for end in ("", "-hard")]


def test_records_are_current_and_complete_where_the_notebook_shows_them():
    keys = [record["key"] for record in RECORDED]
    assert len(set(keys)) == len(keys)
    assert all(one["key"] == CLIP_RUNS[one["run"]].key(one["seed"]) for one in RECORDED)
    assert {CLIP_RUNS[name].key(seed) for name in SHOWN for seed in range(5)} <= set(keys)


@pytest.mark.parametrize(("name", "epochs"), [("live-openmoji", 1), ("scenes-2-layer-hard", 2)])
def test_the_beginning_of_a_recorded_run_is_trained_again(name, epochs):
    """Equal bits on the kind of machine that made the record, elsewhere close."""

    def stop(history, model):
        if len(history) == epochs:
            raise KeyboardInterrupt

    run, old = CLIP_RUNS[name], records.of_run(RECORDED, name)[0]
    model, data = start(run, old["seed"])
    new = train(model, data, run.settings, old["seed"], stop).train
    assert len(new) == epochs
    versions = made_with("open_clip")
    same = versions == {name: old[name] for name in versions}
    tolerance = {"rel": 0, "abs": 0} if same else {"rel": 0.05}
    assert new == pytest.approx(old["history"]["train"][:epochs], **tolerance)


def test_the_kept_small_clip_is_that_of_its_record():
    """Half precision moves few of some 1,200 ranks."""
    path = Path(__file__).parents[2] / "notebooks/records/long-noto-0.safetensors"
    assert path.stat().st_size <= 4_000_000
    measured = measure_emoji(load("long-noto", path), "noto")
    (record,) = records.of_run(RECORDED, "long-noto")
    for name in ("recall@1", "recall@5", "name@1", "name@5"):
        assert measured[name] == pytest.approx(record["metrics"][name], abs=0.005)
