"""Sweeps: what is missing is trained and nothing else, whatever interrupts them."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest
from tiny_bert import tiny_encoder
from tiny_runs import MODEL, PADDED, bits, by_task, count_fits

from a3lib.bert import fine_tuning
from a3lib.bert.fine_tuning import FineTuningSettings
from a3lib.lab import bert_experiments, experiments, keys
from a3lib.lab import sweep as sweeps
from a3lib.lab.bert_runs import CONDITIONS, Condition
from a3lib.lab.experiments import record_run
from a3lib.lab.records import read_records
from a3lib.lab.runs import RUNS, Run
from a3lib.lab.sweep import main, sweep
from a3lib.optimization import Checkpoint
from a3lib.translation.models import load_model

ENCODER = tiny_encoder()
QUICK = FineTuningSettings(learning_rate=5e-3, epochs=2)
CONDITION = Condition("tiny-condition", tuning=QUICK, pooling="mean", expressions=64)


@pytest.fixture
def tiny_bert(monkeypatch):
    monkeypatch.setattr(bert_experiments, "load_encoder", lambda *names: ENCODER)


def stop(*_):
    raise KeyboardInterrupt


def test_a_sweep_trains_every_run_with_every_seed_once_whatever_the_jobs(tmp_path, runs, few_words):
    calls, path = [], tmp_path / "two" / "records.jsonl"
    two = sweep(runs, path, [0, 1], jobs=2, on_record=lambda *call: calls.append(call))
    assert by_task(two).keys() == {(run.name, seed) for run in runs for seed in (0, 1)}
    assert [(done, total) for done, total, _ in calls] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [record for *_, record in calls] == two == read_records(path)
    assert {one.suffix for one in path.parent.iterdir()} <= {".jsonl", ".lock"}  # no checkpoint

    again = sweep(runs, path, [0, 1], jobs=2, on_record=lambda *call: pytest.fail("trained again"))
    assert again == two

    one = by_task(sweep(runs, tmp_path / "one.jsonl", [0, 1], jobs=1))
    for task, found in by_task(two).items():  # whose processes scored whole lists
        assert found["history"] == one[task]["history"], task
        for name in ("per_token", "bucket_mean", "validation_accuracy", "train_accuracy"):
            assert found["metrics"][name] == one[task]["metrics"][name], (task, name)
    assert len({json.dumps(content["history"]) for content in one.values()}) == 4


def test_the_runs_own_seeds_are_trained_unless_others_are_given(tmp_path, monkeypatch, tiny_bert):
    asked = []

    def record(run, seed, *_):
        asked.append((run.name, seed))
        return {"key": run.key(seed), "history": {"interrupted": False}}

    monkeypatch.setattr(sweeps, "_record", record)
    some = [RUNS["additive-small"], CONDITIONS["select-0.0002-10"], RUNS["gru-small"]]
    sweep(some, tmp_path / "records.jsonl", jobs=1)
    assert {name: [s for n, s in asked if n == name] for name, _ in asked} == {
        "additive-small": list(range(5)),
        "select-0.0002-10": list(range(30, 40)),
        "gru-small": list(range(10)),
    }
    seeds = [seed for _, seed in asked]
    assert seeds == sorted(seeds)  # all runs have a first seed before one has a second


def test_an_interrupted_sweep_goes_on_where_it_stopped(tmp_path, runs, few_words, monkeypatch):
    path, fits = tmp_path / "runs.jsonl", count_fits(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        sweep(runs[:1], path, [0, 1, 2], jobs=1, on_record=stop)
    assert len(read_records(path)) == len(fits) == 1
    records = sweep(runs[:1], path, [0, 1, 2], jobs=1)
    assert len(records) == len(fits) == 3
    assert list(map(bits, records)) == [bits(record_run(runs[0], seed)) for seed in range(3)]


def test_an_interrupt_while_training_is_not_recorded_and_its_epochs_are_kept(
    tmp_path, runs, few_words, monkeypatch
):
    path, fit = tmp_path / "runs.jsonl", experiments.fit

    def calling(on_epoch):
        return lambda *arguments: fit(*arguments[:5], on_epoch, *arguments[6:])

    monkeypatch.setattr(experiments, "fit", calling(stop))  # after the first epoch
    with pytest.raises(KeyboardInterrupt):
        sweep(runs[:1], path, [0], jobs=1)
    assert read_records(path) == []
    (checkpoint,) = path.with_suffix(".checkpoints").iterdir()
    assert checkpoint.stem == runs[0].key(0)
    assert len(Checkpoint(checkpoint).load()["history"]["updates"]) == 1

    told = []
    monkeypatch.setattr(experiments, "fit", calling(lambda *call: told.append(call)))
    (record,) = sweep(runs[:1], path, [0], jobs=1)
    assert len(told) == 1  # only the second epoch was trained
    monkeypatch.setattr(experiments, "fit", fit)
    assert bits(record) == bits(record_run(runs[0], 0))
    assert not path.with_suffix(".checkpoints").exists()


SCRIPT = """
import json, sys
from a3lib.lab.runs import Run
from a3lib.lab.sweep import sweep
from a3lib.translation.models import ModelSettings
from a3lib.translation.training import TrainingSettings
data, path, training = sys.argv[1:]
run = Run("killed", ModelSettings(hidden_size=6), TrainingSettings(**json.loads(training)), data)
sweep([run], path, [0, 1], jobs=1)
"""


def test_a_sweep_that_was_killed_goes_on_to_the_same_bits(
    tmp_path, pair_file, few_words, monkeypatch
):
    """SIGKILL, which no handler sees, at some moment of the second run."""
    training = replace(PADDED, epochs=40, patience=40)
    run = Run("killed", MODEL, training, pair_file)
    path = tmp_path / "runs.jsonl"
    command = [sys.executable, "-c", SCRIPT, pair_file, str(path), json.dumps(asdict(training))]
    process = subprocess.Popen(command)
    checkpoint = path.with_suffix(".checkpoints") / f"{run.key(1)}.pt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    (before,) = read_records(path)
    done = len(Checkpoint(checkpoint).load()["history"]["updates"])
    assert 1 <= done < 40

    fits, epochs = count_fits(monkeypatch), []
    fit = experiments.fit
    monkeypatch.setattr(
        experiments,
        "fit",
        lambda *a: fit(*a[:5], lambda history, _: epochs.append(len(history)), *a[6:]),
    )
    records = sweep([run], path, [0, 1], jobs=1)
    assert len(fits) == 1 and epochs == list(range(done + 1, 41))
    assert records[0] == before
    assert [record["seed"] for record in records] == [0, 1]
    assert bits(records[1]) == bits(record_run(run, 1))
    assert not path.with_suffix(".checkpoints").exists()


def test_a_sweep_adds_what_is_new_to_its_file(tmp_path, runs, few_words, monkeypatch):
    path, fits = tmp_path / "runs.jsonl", count_fits(monkeypatch)
    sweep(runs[:1], path, [0], jobs=1)
    sweep(runs[:1], path, [0, 1], jobs=1)
    changed = replace(runs[0], training=replace(runs[0].training, learning_rate=0.01))
    records = sweep([changed], path, [0], jobs=1)  # the same name, and yet another run
    assert [record["settings"] for record in records] == [asdict(changed)]
    assert len(fits) == len(read_records(path)) == 3


def test_another_version_of_the_results_trains_anew(tmp_path, runs, few_words, monkeypatch):
    path, fits = tmp_path / "runs.jsonl", count_fits(monkeypatch)
    sweep(runs[:1], path, [0], jobs=1)
    monkeypatch.setattr(keys, "RESULTS_VERSION", keys.RESULTS_VERSION + 1)
    assert len(sweep(runs[:1], path, [0], jobs=1)) == 1  # the old record is not in the result
    assert len(fits) == len(read_records(path)) == 2


def test_a_kill_between_record_and_clean_up_leaves_nothing_behind(tmp_path, runs, few_words):
    path = tmp_path / "runs.jsonl"
    with pytest.raises(KeyboardInterrupt):
        sweep(runs[:1], path, [0], jobs=1, on_record=stop)
    assert path.with_suffix(".checkpoints").exists()
    assert len(sweep(runs[:1], path, [0], jobs=1)) == 1
    assert not path.with_suffix(".checkpoints").exists()


def test_the_clean_up_leaves_checkpoints_of_others(tmp_path, runs, few_words):
    path = tmp_path / "runs.jsonl"
    other = path.with_suffix(".checkpoints") / "other.pt"
    other.parent.mkdir()
    other.touch()
    sweep(runs[:1], path, [0], jobs=1)
    assert list(other.parent.iterdir()) == [other]


def test_models_of_seed_0_are_kept_where_asked(tmp_path, runs, few_words):
    folder = tmp_path / "models"
    records = sweep(runs[1:], tmp_path / "runs.jsonl", [0, 1], jobs=1, models=folder)
    assert [path.name for path in folder.iterdir()] == ["padded-0.safetensors"]
    model = load_model(folder / "padded-0.safetensors")
    size = sum(parameter.numel() for parameter in model.parameters())
    assert size == records[0]["parameters"]


def test_without_runs_nothing_is_trained(tmp_path):
    assert sweep([], tmp_path / "runs.jsonl") == []
    assert list(tmp_path.iterdir()) == []


# conditions of Part 3


def test_runs_and_conditions_are_swept_together_once(tmp_path, runs, few_words, tiny_bert):
    path, told = tmp_path / "records.jsonl", []
    some = [runs[0], CONDITION, replace(CONDITION, name="tiny-frozen", frozen=True)]
    records = sweep(some, path, [0, 1], jobs=1, on_record=lambda *call: told.append(call))
    tasks = [(record["run"], record["seed"]) for record in records]
    assert sorted(tasks) == sorted((one.name, seed) for one in some for seed in (0, 1))
    assert len({record["key"] for record in records}) == len(told) == 6
    for record in records:
        history, accuracy = record["history"], "validation_accuracy"
        if record["run"] != "buckets":
            accuracy = "validation accuracy"
            assert set(history["validation"]) == {"loss", "accuracy", "balanced"}
        assert 0 <= record["metrics"][accuracy] <= 1
        assert len(history["updates"]) == 2
    again = sweep(some, path, [0, 1], jobs=1, on_record=lambda *call: pytest.fail("made again"))
    assert again == records
    (swept,) = (record for record in records if record["key"] == CONDITION.key(1))
    alone = bert_experiments.run(CONDITION, 1, ENCODER).record
    assert json.loads(json.dumps(alone["metrics"])) == swept["metrics"]


def test_an_interrupted_sweep_of_conditions_keeps_what_is_whole(tmp_path, monkeypatch, tiny_bert):
    path = tmp_path / "records.jsonl"
    conditions = [CONDITION, replace(CONDITION, name="tiny-random", encoder="random")]
    whole = sweep(conditions, path, [0], jobs=1)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fine_tuning, "evaluate", stop)
        sweep(conditions, path, [0, 1], jobs=1)
    assert read_records(path) == whole
    found = sweep(conditions, path, [0, 1], jobs=1)
    assert [record["seed"] for record in found] == [0, 0, 1, 1]
    assert found[:2] == whole


@pytest.mark.parametrize("number", range(3))
def test_probes_that_were_interrupted_are_not_recorded(tmp_path, monkeypatch, tiny_bert, number):
    """An interrupt while any of the three heads trains."""
    path, evaluate, calls = tmp_path / "records.jsonl", fine_tuning.evaluate, []
    monkeypatch.setitem(
        bert_experiments.HEADS, "head published", (replace(QUICK, epochs=1), "pooler")
    )
    for name in ("head", "head mean"):
        monkeypatch.setitem(bert_experiments.HEADS, name, (replace(QUICK, epochs=1), "mean"))

    def interrupted(*arguments):
        calls.append(arguments)
        return stop() if len(calls) == number + 1 else evaluate(*arguments)

    monkeypatch.setattr(fine_tuning, "evaluate", interrupted)
    probes = Condition("tiny-probes", expressions=64, probes=True)
    with pytest.raises(KeyboardInterrupt):
        sweep([probes], path, [0], jobs=1)
    assert read_records(path) == []


# the command


def test_an_unknown_run_on_the_command_line_ends_with_a_message(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["gru-medium", "--records", str(tmp_path / "runs.jsonl")])
    assert ended.value.code not in (0, None)
    told = capsys.readouterr().err
    assert "gru-medium" in told
    assert all(name in told for name in ("gru-small", "recipe-best", "probes-pretrained"))
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_sweeps_and_tells_progress(
    tmp_path, runs, few_words, tiny_bert, monkeypatch, capsys
):
    monkeypatch.setitem(sweeps.KNOWN, "gru-small", replace(runs[0], name="gru-small"))
    monkeypatch.setitem(sweeps.KNOWN, "brief", replace(CONDITION, name="brief"))
    path = tmp_path / "runs.jsonl"
    command = ["gru-small", "brief", "--seeds", "4", "5", "--records", str(path), "--jobs", "1"]
    main(command)
    told = capsys.readouterr().out.splitlines()
    records = read_records(path)
    tasks = [(record["run"], record["seed"]) for record in records]
    assert tasks == [("gru-small", 4), ("brief", 4), ("gru-small", 5), ("brief", 5)]
    for number, (line, record) in enumerate(zip(told, records, strict=True), start=1):
        assert line.startswith(f"{number}/4 {record['run']} seed {record['seed']}: ")
        measure = "per_token" if record["run"] == "gru-small" else "accuracy"
        assert f"{measure} {record['metrics'][measure]:.4f}" in line
    main(command)
    assert capsys.readouterr().out == ""


def test_an_interrupted_command_says_how_to_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(sweeps, "sweep", stop)
    with pytest.raises(SystemExit, match="goes on"):
        main(["gru-small", "--records", str(tmp_path / "runs.jsonl")])


def test_the_command_s_options_reach_the_sweep(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(sweeps, "sweep", lambda *options: asked.append(options))
    path, models = tmp_path / "runs.jsonl", tmp_path / "models"
    main(["gru-small", "probes-random", "--records", str(path), "--models", str(models)])
    ((chosen, records, seeds, jobs, _, folder),) = asked
    assert chosen == [RUNS["gru-small"], CONDITIONS["probes-random"]]
    assert (records, seeds, jobs, folder) == (path, None, -1, models)


def test_the_module_runs_as_a_command(tmp_path):
    command = [sys.executable, "-m", "a3lib.lab.sweep", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=os.environ)
    assert done.returncode == 0 and "--records" in done.stdout
