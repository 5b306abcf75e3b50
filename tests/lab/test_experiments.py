"""One run: what it trains, measures and tells, also with classes that a reader wrote."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from handout_classes import HandoutAdditive, HandoutCausal, HandoutCell, HandoutScaledDot
from tiny_runs import MODEL, PADDED, bits, count_fits
from tiny_translators import difference

from a3lib.lab import experiments
from a3lib.lab.experiments import measure, record_run, train
from a3lib.lab.runs import Run
from a3lib.optimization import Checkpoint, History
from a3lib.translation.attention import (
    AdditiveAttention,
    CausalScaledDotAttention,
    ScaledDotAttention,
)
from a3lib.translation.batches import encode_pairs
from a3lib.translation.gru import MyGRUCell
from a3lib.translation.losses import losses
from a3lib.translation.metrics import predictions, word_accuracy
from a3lib.translation.models import ModelSettings, load_model
from a3lib.translation.pairs import UNUSUAL

ATTENDING = ModelSettings("rnn-attention", hidden_size=6)
DOT = replace(ATTENDING, attention="scaled_dot")
TRANSFORMER = ModelSettings("transformer", hidden_size=6)


def farthest(record, other):
    """Largest difference between the losses of two records."""
    pairs = zip(history_of(record), history_of(other), strict=True)
    return max(abs(a - b) for a, b in pairs)


def history_of(record):
    return [*record["history"]["train"], *record["history"]["validation"]["per_token"]]


def accuracy(model, pairs):
    return word_accuracy(predictions(model, encode_pairs(pairs)))


def test_a_record_tells_what_was_run_and_can_be_written(runs, few_words):
    model, history, record = train(runs[1], 2, score=("test", "practice-names", "unseen"))
    assert json.loads(json.dumps(record)) == record
    assert record["settings"] == asdict(runs[1])
    assert (record["run"], record["seed"], record["key"]) == ("padded", 2, runs[1].key(2))
    assert record["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert record["history"] == asdict(history)
    assert {"machine", "versions", "seconds"} <= record.keys()
    assert history.updates == [5, 10] and not history.interrupted
    sides, metrics = runs[1].split(2), record["metrics"]
    kept = losses(model, encode_pairs(sides.validation), runs[1].training.batch_size)
    assert metrics["per_token"] == history.validation["per_token"][history.best]
    assert metrics["per_token"] == pytest.approx(kept.per_token, abs=1e-5)
    assert metrics["bucket_mean"] == min(history.validation["bucket_mean"])
    assert metrics["final_train"] == history.train[-1]
    assert metrics["validation_accuracy"] == accuracy(model, sides.validation)
    assert metrics["train_accuracy"] == accuracy(model, sides.train)


def test_the_bucket_mean_is_the_lowest_and_the_loss_per_token_that_of_the_kept_model(runs):
    """They may come from different epochs: the hand-out reports the lowest."""
    model, _, _ = train(runs[0], 0)
    words = encode_pairs(runs[0].split(0).validation)
    losses_by_epoch = {"per_token": [3.0, 1.0, 2.0], "bucket_mean": [3.0, 2.0, 1.0]}
    history = History(train=[4.0, 3.0, 2.5], validation=losses_by_epoch, best=1)
    metrics = measure(model, history, words, words)
    found = (metrics["per_token"], metrics["bucket_mean"], metrics["final_train"])
    assert found == (1.0, 1.0, 2.5)


def test_exactly_the_named_lists_are_scored_and_two_of_them_by_group(runs, few_words):
    model, _, record = train(runs[1], 2, score=("test", "practice-names", "unseen"))
    metrics = record["metrics"]
    measured = {name for name in metrics if name.endswith("_accuracy")}
    expected = {"validation", "train", "test", "practice-names", "unseen"}
    assert measured == {f"{name}_accuracy" for name in expected}
    for name in ("test", "practice-names", "unseen"):
        assert metrics[f"{name}_accuracy"] == accuracy(model, few_words(name)), name
    assert metrics["groups"].keys() == {"test", "unseen"}
    for name, groups in metrics["groups"].items():
        words = [word for word, _ in few_words(name)]
        assert sum(total for *_, total in groups) == len(words)
        right = sum(right for *_, right, _ in groups)
        assert right / len(words) == pytest.approx(metrics[f"{name}_accuracy"])
        letters = sum(length * total for length, _, _, total in groups)
        assert letters == sum(len(word.replace("-", "")) for word in words)


def test_without_a_named_list_none_is_scored(runs):
    metrics = train(runs[0], 0).record["metrics"]
    assert {name for name in metrics if name.endswith("accuracy")} == {
        "validation_accuracy",
        "train_accuracy",
    }
    assert metrics["groups"] == {}


def test_of_many_training_words_the_first_are_scored(runs, monkeypatch):
    monkeypatch.setattr(experiments, "TRAIN_WORDS", 20)
    model, _, record = train(runs[0], 0)
    sides = runs[0].split(0)
    assert record["metrics"]["train_accuracy"] == accuracy(model, sides.train.pairs[:20])


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not(runs):
    first, again, other = (train(runs[1], seed).record for seed in (1, 1, 2))
    assert bits(first) == bits(again)
    assert history_of(first) != history_of(other)


def test_a_run_is_found_by_its_name(runs, monkeypatch):
    monkeypatch.setitem(experiments.RUNS, "gru-small", replace(runs[0], name="gru-small"))
    record = train("gru-small", 0).record
    assert record["run"] == "gru-small"
    assert history_of(record) == history_of(train(runs[0], 0).record)
    with pytest.raises(KeyError, match="gru-medium"):
        train("gru-medium", 0)


def test_training_takes_one_thread_and_gives_the_others_back(runs, monkeypatch):
    threads, seen = torch.get_num_threads(), []

    def counted(*arguments):
        seen.append(torch.get_num_threads())
        return predictions(*arguments)

    monkeypatch.setattr(experiments, "predictions", counted)
    torch.set_num_threads(2)
    try:
        train(runs[0], 0, on_epoch=lambda *_: seen.append(torch.get_num_threads()))
        # two epochs, then training and validation words are measured
        assert (seen, torch.get_num_threads()) == ([1, 1, 1, 1], 2)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("model", [MODEL, ATTENDING, TRANSFORMER], ids=lambda one: one.kind)
def test_both_engines_train_the_same_model(pair_file, model):
    run = Run("some", model, PADDED, pair_file)
    records = [train(replace(run, engine=name), 0).record for name in ("fast", "readable")]
    assert farthest(*records) < 1e-4
    assert [record["history"]["notes"] for record in records] == [[], []]
    assert records[0]["key"] != records[1]["key"]


def test_training_interrupted_before_the_first_epoch_still_gives_a_result(runs):
    class Interrupted(MyGRUCell):
        def forward(self, x, h_prev):
            raise KeyboardInterrupt

    _, history, record = train(runs[0], 0, cell=Interrupted)
    assert history.interrupted
    assert len(history) == 0
    assert record["metrics"] == {}


def stop_after_an_epoch(history, model):
    raise KeyboardInterrupt


def test_an_interrupted_run_is_measured_as_far_as_it_came_and_goes_on_to_the_same_bits(
    tmp_path, runs
):
    begun = train(runs[1], 0, on_epoch=stop_after_an_epoch, checkpoints=tmp_path)
    assert begun.history.interrupted and len(begun.history) == 1
    assert begun.record["metrics"]["validation_accuracy"] >= 0
    epochs = []
    whole = train(
        runs[1], 0, on_epoch=lambda h, _: epochs.append(len(h)), checkpoints=tmp_path
    ).record
    assert epochs == [2]  # only the second epoch was trained
    assert bits(whole) == bits(train(runs[1], 0).record)
    (path,) = tmp_path.iterdir()
    assert path.stem == runs[1].key(0)
    assert len(Checkpoint(path).load()["history"]["updates"]) == 2


# what a sweep records and keeps


def test_a_sweep_s_record_has_all_measures(runs, few_words):
    metrics = record_run(runs[0], 1)["metrics"]
    assert {"unseen_accuracy", "test_accuracy"} <= metrics.keys()
    assert metrics["groups"].keys() == {"unseen", "test"}
    assert not {f"{name}_accuracy" for name in UNUSUAL} & metrics.keys()


def test_a_recipe_s_record_has_the_unusual_words_too(runs, few_words):
    metrics = record_run(replace(runs[0], name="recipe-tiny"), 1)["metrics"]
    assert {f"{name}_accuracy" for name in UNUSUAL} <= metrics.keys()
    assert not any(name.startswith("practice") for name in metrics)


def test_models_of_seed_0_are_kept_and_of_some_runs_early_ones(
    tmp_path, runs, few_words, monkeypatch
):
    monkeypatch.setattr(experiments, "KEPT_RUNS", ("padded",))
    records = {run.name: record_run(run, 0, models=tmp_path) for run in runs}
    record_run(runs[0], 1, models=tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"{name}.safetensors" for name in ("buckets-0", "padded-0", "padded-0-1")}
    for run in runs:
        model = load_model(tmp_path / f"{run.name}-0.safetensors")
        expected = records[run.name]["metrics"]["validation_accuracy"]
        assert accuracy(model, run.split(0).validation) == expected
    early = load_model(tmp_path / "padded-0-1.safetensors")
    one_epoch = train(replace(runs[1], training=replace(PADDED, epochs=1)), 0).model
    assert difference(early.parameters(), one_epoch.parameters()) == 0


def test_of_an_interrupted_run_no_model_is_kept_as_if_it_were_whole(
    tmp_path, runs, few_words, monkeypatch
):
    fit = experiments.fit

    def interrupted(model, words, held_out, training, seed, on_epoch, *rest):
        return fit(model, words, held_out, training, seed, stop_after_an_epoch, *rest)

    monkeypatch.setattr(experiments, "fit", interrupted)
    assert record_run(runs[0], 0, models=tmp_path)["history"]["interrupted"]
    assert list(tmp_path.iterdir()) == []


# classes of a reader


class Swapped(HandoutCell):
    def forward(self, x, h_prev):
        z = torch.sigmoid(self.Wiz(x) + self.Whz(h_prev))
        r = torch.sigmoid(self.Wir(x) + self.Whr(h_prev))
        return z * h_prev + (1 - z) * torch.tanh(self.Wih(x) + self.Whh(r * h_prev))


class WithoutReset(HandoutCell):
    def forward(self, x, h_prev):
        z = torch.sigmoid(self.Wiz(x) + self.Whz(h_prev))
        return (1 - z) * h_prev + z * torch.tanh(self.Wih(x) + self.Whh(h_prev))


class ResetAfter(HandoutCell):
    def forward(self, x, h_prev):
        z = torch.sigmoid(self.Wiz(x) + self.Whz(h_prev))
        r = torch.sigmoid(self.Wir(x) + self.Whr(h_prev))
        return (1 - z) * h_prev + z * torch.tanh(self.Wih(x) + r * self.Whh(h_prev))


class WithoutTanh(HandoutCell):
    def forward(self, x, h_prev):
        z = torch.sigmoid(self.Wiz(x) + self.Whz(h_prev))
        r = torch.sigmoid(self.Wir(x) + self.Whr(h_prev))
        return (1 - z) * h_prev + z * (self.Wih(x) + self.Whh(r * h_prev))


@pytest.fixture(scope="module")
def cell_run(pair_file):
    recipe = replace(PADDED, updates_per_epoch=25, learning_rate=0.02)
    return Run("cells", ModelSettings(hidden_size=12), recipe, data=pair_file)


@pytest.fixture(scope="module")
def reference(cell_run):
    return train(cell_run, 0).record


def test_a_correct_rewrite_of_the_cell_gives_the_same_curve(cell_run, reference):
    own = train(cell_run, 0, cell=HandoutCell).record
    assert farthest(own, reference) < 1e-4
    assert own["parameters"] == reference["parameters"]


@pytest.mark.parametrize("cell", [Swapped, WithoutReset, ResetAfter, WithoutTanh])
def test_a_wrong_cell_changes_the_curve(cell_run, reference, cell):
    assert farthest(train(cell_run, 0, cell=cell).record, reference) > 5e-3


def test_a_reader_s_cell_runs_through_its_own_forward_and_always_trains_anew(
    tmp_path, runs, monkeypatch
):
    steps = []

    class Counted(MyGRUCell):
        def forward(self, x, h_prev):
            steps.append(self.training)
            return super().forward(x, h_prev)

    fits = count_fits(monkeypatch)
    first = train(runs[0], 0, cell=Counted, checkpoints=tmp_path)
    assert type(first.model.encoder.gru) is Counted
    assert steps.count(True) > 2 * 5 * 5  # epochs x updates x symbols of encoder and decoder
    assert first.record["key"] is None
    (note,) = first.history.notes
    assert "readable classes train" in note and "Counted" in note
    second = train(runs[0], 0, cell=Counted, checkpoints=tmp_path)
    assert len(fits) == 2
    assert list(tmp_path.iterdir()) == []  # from a checkpoint another class might go on
    assert bits(first.record) == bits(second.record)


@pytest.mark.parametrize(
    ("model", "library", "classes"),
    [
        (ATTENDING, AdditiveAttention, {"attention": HandoutAdditive}),
        (DOT, ScaledDotAttention, {"attention": HandoutScaledDot}),
        (
            TRANSFORMER,
            ScaledDotAttention,
            {"attention": HandoutScaledDot, "causal_attention": HandoutCausal},
        ),
    ],
    ids=["additive", "scaled_dot", "transformer"],
)
def test_attention_of_the_hand_out_s_signature_trains_to_the_same_curve(
    pair_file, model, library, classes
):
    """It takes no mask, so it gets batches that need none, as the library's own get here, too."""
    run = Run("own", model, replace(PADDED, batches="by-source-length"), pair_file)
    own, ours = train(run, 0, **classes), train(run, 0)
    assert farthest(own.record, ours.record) < 1e-4
    assert own.record["key"] is None is not ours.record["key"]
    named = {"attention": library, "causal_attention": CausalScaledDotAttention}
    assert train(run, 0, **named).record["key"] == ours.record["key"]  # nobody's own
    padded = train(replace(run, training=PADDED), 0, **classes)
    assert farthest(padded.record, own.record) == 0
    assert any("takes no mask" in note for note in padded.history.notes)
    assert not any("takes no mask" in note for note in own.history.notes)
