"""Experiments: sweeps that train what is missing and nothing else, and cells that a reader writes."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from torch import nn

from a3lib import experiments
from a3lib.checkpoints import Checkpoint
from a3lib.experiments import main, run_identity, run_split, sweep, train
from a3lib.gru import MyGRUCell
from a3lib.metrics import predictions, word_accuracy
from a3lib.models import ModelSettings, build, load_model
from a3lib.pig_latin import load_pairs
from a3lib.records import read_records
from a3lib.runs import RUNS, Run
from a3lib.training import TrainingSettings

MODEL = ModelSettings(hidden_size=6)
TINY = TrainingSettings(epochs=2, batch_size=16, updates_per_epoch=5, batches="padded")


@pytest.fixture(scope="module")
def pair_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "pairs.txt"
    path.write_text("\n".join(map(" ".join, load_pairs("small").pairs[::20])) + "\n", encoding="utf8")
    return str(path)


@pytest.fixture(scope="module")
def runs(pair_file):
    """Two runs of a fraction of a second."""
    return [
        Run("buckets", MODEL, replace(TINY, batches="buckets"), data=pair_file),
        Run("padded", MODEL, TINY, data=pair_file),
    ]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def bits(record):
    """What must be equal in two records of one run."""
    history = {key: value for key, value in record["history"].items() if key != "seconds"}
    return {**{key: record[key] for key in ("run", "seed", "identity", "settings", "metrics")}, "history": history}


def by_task(records):
    return {(record["run"], record["seed"]): bits(record) for record in records}


def test_a_sweep_trains_every_run_with_every_seed_once_whatever_the_jobs(tmp_path, runs):
    calls = []
    two = sweep(runs, [0, 1], tmp_path / "two.jsonl", jobs=2, on_record=lambda *call: calls.append(call))
    assert by_task(two).keys() == {(run.name, seed) for run in runs for seed in (0, 1)}
    assert [(done, total) for done, total, _ in calls] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [record for *_, record in calls] == two == read_records(tmp_path / "two.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["two.jsonl"]  # no checkpoint is left

    again = sweep(runs, [0, 1], tmp_path / "two.jsonl", jobs=2, on_record=lambda *call: pytest.fail("trained again"))
    assert again == two

    one = sweep(runs, [0, 1], tmp_path / "one.jsonl", jobs=1)
    assert by_task(one) == by_task(two)
    assert len({json.dumps(content["history"]) for content in by_task(one).values()}) == 4


def count_fits(monkeypatch):
    fits, fit = [], experiments.fit

    def counted(*arguments):
        fits.append(arguments)
        return fit(*arguments)

    monkeypatch.setattr(experiments, "fit", counted)
    return fits


def test_an_interrupted_sweep_goes_on_where_it_stopped(tmp_path, runs, monkeypatch):
    path, fits = tmp_path / "runs.jsonl", count_fits(monkeypatch)

    def stop(done, total, record):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(runs[:1], [0, 1, 2], path, jobs=1, on_record=stop)
    assert len(read_records(path)) == len(fits) == 1
    records = sweep(runs[:1], [0, 1, 2], path, jobs=1)
    assert len(records) == len(fits) == 3
    assert [bits(record) for record in records[1:]] == [bits(train(runs[0], seed).record) for seed in (1, 2)]


def test_an_interrupt_while_training_is_not_recorded_and_its_epochs_are_kept(tmp_path, runs, monkeypatch):
    path, fit = tmp_path / "runs.jsonl", experiments.fit

    def stop(history):
        raise KeyboardInterrupt  # after the first epoch

    monkeypatch.setattr(experiments, "fit", lambda *arguments: fit(*arguments[:5], stop, arguments[6]))
    with pytest.raises(KeyboardInterrupt):
        sweep(runs[:1], [0], path, jobs=1)
    assert read_records(path) == []
    (folder,) = path.with_suffix(".checkpoints").iterdir()
    assert len(Checkpoint(folder).load()[1]["updates"]) == 1

    told = []
    monkeypatch.setattr(experiments, "fit", lambda *arguments: fit(*arguments[:5], told.append, arguments[6]))
    (record,) = sweep(runs[:1], [0], path, jobs=1)
    assert len(told) == 1  # only the second epoch was trained
    monkeypatch.undo()
    assert bits(record) == bits(train(runs[0], 0).record)


def test_a_sweep_adds_what_is_new_to_its_file(tmp_path, runs, monkeypatch):
    path, fits = tmp_path / "runs.jsonl", count_fits(monkeypatch)
    sweep(runs[:1], [0], path, jobs=1)
    sweep(runs[:1], [0, 1], path, jobs=1)
    changed = replace(runs[0], training=replace(runs[0].training, learning_rate=0.01))
    records = sweep([changed], [0], path, jobs=1)  # the same name with other settings is another run
    assert [record["settings"] for record in records] == [asdict(changed)]
    assert len(fits) == len(read_records(path)) == 3


def test_a_change_of_code_trains_anew(tmp_path, runs, monkeypatch):
    path, fits = tmp_path / "runs.jsonl", count_fits(monkeypatch)
    sweep(runs[:1], [0], path, jobs=1)
    read = experiments.identity._source
    monkeypatch.setattr(experiments.identity, "_source", lambda name: read(name) + ("\nX = 1" if name == "gru" else ""))
    assert len(sweep(runs[:1], [0], path, jobs=1)) == 1  # the old record is not among the result
    assert len(fits) == len(read_records(path)) == 2


def test_a_kill_between_record_and_clean_up_leaves_nothing_behind(tmp_path, runs, monkeypatch):
    path = tmp_path / "runs.jsonl"

    def stop(checkpoint):
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "delete", stop)
    with pytest.raises(KeyboardInterrupt):
        sweep(runs[:1], [0], path, jobs=1)
    monkeypatch.undo()
    assert len(sweep(runs[:1], [0], path, jobs=1)) == 1
    assert not path.with_suffix(".checkpoints").exists()


def test_models_are_kept_where_asked(tmp_path, runs):
    folder = tmp_path / "models"
    (record,) = sweep(runs[1:], [3], tmp_path / "runs.jsonl", jobs=1, models=folder)
    model = load_model(folder / "padded-3.safetensors")
    assert sum(parameter.numel() for parameter in model.parameters()) == record["parameters"]
    assert (
        word_accuracy(predictions(model, experiments.encode_pairs(run_split(runs[1], 3).validation)))
        == (record["metrics"]["word_accuracy"])
    )


def test_a_record_tells_what_was_run_and_can_be_written(runs):
    model, history, record = train(runs[1], 2)
    assert json.loads(json.dumps(record)) == record
    assert record["settings"] == asdict(runs[1])
    assert record["identity"] == run_identity(runs[1], 2, run_split(runs[1], 2))
    assert record["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    metrics, validation = record["metrics"], run_split(runs[1], 2).validation
    assert metrics["per_token"] == history.per_token[history.best]
    assert metrics["bucket_mean"] == min(history.bucket_mean)
    assert sum(words for *_, words in metrics["groups"]) == len(validation)
    right = sum(right for *_, right, _ in metrics["groups"])
    assert metrics["word_accuracy"] == pytest.approx(right / len(validation))
    for name in ("test", "fresh"):
        found = predictions(model, experiments.encode_pairs(load_pairs(name)))
        assert metrics[f"{name}_accuracy"] == word_accuracy(found), name
    assert history.updates == [5, 10]


def test_training_interrupted_before_the_first_epoch_still_gives_a_result(runs):
    class Interrupted(MyGRUCell):
        def forward(self, x, h_prev):
            raise KeyboardInterrupt

    _, history, record = train(runs[0], 0, cell=Interrupted)
    assert history.interrupted
    assert len(history) == 0
    assert record["metrics"] == {}


def test_an_unknown_run_on_the_command_line_ends_with_a_message(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["gru-medium", "--records", str(tmp_path / "runs.jsonl")])
    assert ended.value.code not in (0, None)
    told = capsys.readouterr().err
    assert "gru-medium" in told
    assert all(name in told for name in RUNS)
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_sweeps_and_tells_progress(tmp_path, runs, monkeypatch, capsys):
    monkeypatch.setitem(RUNS, "gru-small", replace(runs[0], name="gru-small"))
    command = ["gru-small", "--seeds", "4", "5", "--records", str(tmp_path / "runs.jsonl"), "--jobs", "1"]
    main(command)
    told = capsys.readouterr().out.splitlines()
    records = read_records(tmp_path / "runs.jsonl")
    assert [record["seed"] for record in records] == [4, 5]
    for number, (line, record) in enumerate(zip(told, records, strict=True), start=1):
        assert line.startswith(f"{number}/2 gru-small seed {record['seed']}: ")
        assert f"per_token {record['metrics']['per_token']:.4f}" in line
    main(command)
    assert capsys.readouterr().out == ""


def test_an_interrupted_command_says_how_to_go_on(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiments, "sweep", stop)
    with pytest.raises(SystemExit, match="goes on"):
        main(["gru-small", "--records", str(tmp_path / "runs.jsonl")])


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_runs_with_common_validation_share_their_validation_words(seed):
    small, large = (run_split(RUNS[name], seed) for name in ("fair-gru-small", "fair-gru-large"))
    held_out = set(small.validation.words)
    assert sorted(small.validation) == sorted(large.validation)
    assert held_out.isdisjoint(small.train.words)
    assert held_out.isdisjoint(large.train.words)
    assert set(large.train.words) | held_out == set(load_pairs("large").words)
    assert (len(small.train), len(small.validation)) == (2558, 640)
    assert len(large.train) == 22402 - 640


def test_common_validation_words_are_drawn_by_the_seed():
    first, second = (set(run_split(RUNS["fair-gru-small"], seed).validation.words) for seed in (0, 1))
    assert len(first & second) < 0.4 * len(first)  # a fifth on average


def test_runs_with_their_own_validation_split_their_data_four_to_one():
    for name, sizes in (("gru-small", (2558, 640)), ("gru-large", (17921, 4481))):
        data = run_split(RUNS[name], 0)
        assert (len(data.train), len(data.validation)) == sizes
        assert set(data.train.words).isdisjoint(data.validation.words)
    assert run_split(RUNS["gru-small"], 0) != run_split(RUNS["gru-small"], 1)


def test_published_runs_have_the_published_settings_and_size():
    published = {
        "gru-small": ("small", 32, 0.005, 50, 64, 20),
        "gru-large": ("large", 32, 0.005, 50, 512, 10),
    }
    for name, expected in published.items():
        run = RUNS[name]
        recipe = run.training
        assert expected == (
            run.data,
            run.model.hidden_size,
            recipe.learning_rate,
            recipe.epochs,
            recipe.batch_size,
            recipe.patience,
        )
        assert (recipe.decay, recipe.batches, recipe.updates_per_epoch) == (0.99, "buckets", None)
        assert (recipe.monitor, run.validation) == ("bucket_mean", "own")
        assert sum(parameter.numel() for parameter in build(run.model, 0).parameters()) == 15_485


def test_the_like_for_like_runs_differ_in_the_data_alone():
    small, large = RUNS["fair-gru-small"], RUNS["fair-gru-large"]
    assert replace(large, name=small.name, data=small.data) == small
    assert small.training.patience >= small.training.epochs  # equal numbers of updates
    assert all(name == run.name for name, run in RUNS.items())


class OwnCell(nn.Module):
    """A reader's cell: the assignment's layers and equations, put differently."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.Wiz, self.Wir, self.Wih = (nn.Linear(input_size, hidden_size) for _ in range(3))
        self.Whz, self.Whr, self.Whh = (nn.Linear(hidden_size, hidden_size) for _ in range(3))

    def gates(self, x, h):
        return (self.Wiz(x) + self.Whz(h)).sigmoid(), (self.Wir(x) + self.Whr(h)).sigmoid()

    def forward(self, x, h_prev):
        z, r = self.gates(x, h_prev)
        return h_prev + z * (torch.tanh(self.Wih(x) + self.Whh(r * h_prev)) - h_prev)


class Swapped(OwnCell):
    def forward(self, x, h_prev):
        z, r = self.gates(x, h_prev)
        return z * h_prev + (1 - z) * torch.tanh(self.Wih(x) + self.Whh(r * h_prev))


class WithoutReset(OwnCell):
    def forward(self, x, h_prev):
        z, _ = self.gates(x, h_prev)
        return (1 - z) * h_prev + z * torch.tanh(self.Wih(x) + self.Whh(h_prev))


class ResetAfter(OwnCell):
    def forward(self, x, h_prev):
        z, r = self.gates(x, h_prev)
        return (1 - z) * h_prev + z * torch.tanh(self.Wih(x) + r * self.Whh(h_prev))


class WithoutTanh(OwnCell):
    def forward(self, x, h_prev):
        z, r = self.gates(x, h_prev)
        return (1 - z) * h_prev + z * (self.Wih(x) + self.Whh(r * h_prev))


@pytest.fixture(scope="module")
def cell_run(pair_file):
    recipe = replace(TINY, updates_per_epoch=25, learning_rate=0.02)
    return Run("cells", ModelSettings(hidden_size=12), recipe, data=pair_file)


@pytest.fixture(scope="module")
def reference(cell_run):
    return train(cell_run, 0)


def farthest(history, other):
    return max(abs(a - b) for name in ("train", "per_token") for a, b in zip(history[name], other[name], strict=True))


def test_a_correct_rewrite_of_the_cell_gives_the_same_curve(cell_run, reference):
    own = train(cell_run, 0, cell=OwnCell).record
    assert farthest(own["history"], reference.record["history"]) < 1e-4
    assert own["parameters"] == reference.record["parameters"]


@pytest.mark.parametrize("cell", [Swapped, WithoutReset, ResetAfter, WithoutTanh])
def test_a_wrong_cell_changes_the_curve(cell_run, reference, cell):
    wrong = train(cell_run, 0, cell=cell).record
    assert farthest(wrong["history"], reference.record["history"]) > 5e-3


def test_a_reader_s_cell_runs_through_its_own_forward_and_always_trains_anew(tmp_path, runs, monkeypatch):
    steps = []

    class Counted(MyGRUCell):
        def forward(self, x, h_prev):
            steps.append(self.training)
            return super().forward(x, h_prev)

    fits = count_fits(monkeypatch)
    first = train(runs[0], 0, cell=Counted, checkpoints=tmp_path)
    assert type(first.model.encoder.gru) is Counted
    assert steps.count(True) > 2 * 5 * 5  # epochs x updates x symbols of encoder and decoder
    assert first.record["identity"] is None
    second = train(runs[0], 0, cell=Counted, checkpoints=tmp_path)
    assert len(fits) == 2
    assert all(call[-1] is None for call in fits)  # no checkpoint, from which another class might go on
    assert list(tmp_path.iterdir()) == []
    assert bits(first.record) == bits(second.record)


def test_joined_words_are_made_of_training_words_alone():
    run = replace(experiments.RUNS["recipe-small"], joined=50)
    plain, joined = (experiments.run_split(r, seed=0) for r in (replace(run, joined=0), run))
    assert joined.validation == plain.validation and joined.train.pairs[: len(plain.train)] == plain.train.pairs
    known = {part for word in plain.train.words for part in (word, *word.split("-"))}
    extra = joined.train.pairs[len(plain.train) :]
    assert len(extra) == 50
    for word, _ in extra:
        run_together = any({word[:k], word[k:]} <= known for k in range(1, len(word)))
        assert run_together or set(word.split("-")) <= known, word
    threes = experiments.run_split(replace(run, joined=(50, 20)), seed=0)
    assert threes.train.pairs[: len(joined.train)] == joined.train.pairs and len(threes.train) == len(joined.train) + 20
    assert all(set(word.split("-")) <= known for word in threes.train.words[-20:])
