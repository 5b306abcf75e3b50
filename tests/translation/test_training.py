"""Training: equal to a plain loop, the best model kept, interrupts, divergence, user's changes."""

import hashlib
import json
import math
import os
import random
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from handout_classes import HandoutAdditive, HandoutCausal, HandoutCell, HandoutScaledDot
from tiny_translators import (
    MODELS,
    PUBLISHED,
    TINY,
    built,
    difference,
    logits_of,
    padded_batch,
    stepwise,
    tiny_data,
    trained,
    weights_of,
)

from a3lib.common import Diverged, best_device
from a3lib.fast.engine import FastEngine
from a3lib.optimization import History, Updates, rate_share
from a3lib.translation import training
from a3lib.translation.batches import KINDS, Batches, encode_pairs
from a3lib.translation.greedy_decoding import translate_words
from a3lib.translation.losses import Losses, losses, token_loss
from a3lib.translation.metrics import predictions
from a3lib.translation.models import ModelSettings, build
from a3lib.translation.pairs import load_pairs
from a3lib.translation.sentences import translate
from a3lib.translation.splits import split
from a3lib.translation.training import TrainingSettings, fit
from a3lib.translation.transformer import TransformerSettings

MODEL = ModelSettings(hidden_size=8)  # learns a little in a few milliseconds
SCHEDULES = ("decay", "one-cycle", "linear")
ENGINES = pytest.mark.parametrize("engine", [None, FastEngine], ids=["readable", "fast"])
every_model = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(scope="module")
def data():
    return tiny_data()


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def adam_loop(model, train, settings, seed):
    """The recipe as one would write it first -> mean loss per token of every epoch."""
    matrices, vectors = (
        [p for p in model.parameters() if (p.ndim > 1) == wide] for wide in (True, False)
    )
    groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
    batches = Batches(train, settings.batches, settings.batch_size, seed)
    history, per_epoch = [], settings.updates_per_epoch
    for epoch in range(settings.epochs):
        total = tokens = 0
        for update in range(epoch * per_epoch, (epoch + 1) * per_epoch):
            number, place = divmod(update, batches.batches_per_epoch)
            batch = batches.of_epoch(number)[place]
            chances = logits_of(model, batch).log_softmax(2)  # (B, T, V)
            counted = batch.target >= 0  # (B, T)
            picked = chances.gather(2, batch.target.clamp(min=0)[:, :, None])[:, :, 0]
            summed = -picked[counted].sum()
            optimizer.zero_grad()
            (summed / counted.sum()).backward()
            if settings.clip:
                norm = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
                for parameter in model.parameters():
                    parameter.grad *= min(1.0, float(settings.clip / norm))
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * rate_share(settings, update, per_epoch)
            optimizer.step()
            total, tokens = total + summed.item(), tokens + int(counted.sum())
        history.append(total / tokens)
    return history


def planned(monkeypatch, values, bucket_means=None):
    """Let the validation losses be these -> list that collects the weights at each evaluation."""
    seen, rest = [], iter(zip(values, bucket_means or values, strict=True))

    def evaluate(model, encoded, batch_size):
        seen.append(weights_of(model))
        return Losses(*next(rest))

    monkeypatch.setattr(training, "losses", evaluate)
    return seen


# the loop


@pytest.mark.parametrize("kind", KINDS)
@ENGINES
def test_fit_equals_a_plain_loop(data, kind, monkeypatch, engine):
    recipe = replace(TINY, batches=kind, epochs=3, updates_per_epoch=7, decay=0.5)
    expected, model = built("gru", 1), built("gru", 1)
    expected_losses = adam_loop(expected, data[0], recipe, seed=5)
    planned(monkeypatch, [3.0, 2.0, 1.0])  # the last epoch is the best, so its weights are kept
    history = fit(model, *data, recipe, seed=5, engine=engine)
    assert history.train == pytest.approx(expected_losses, abs=1e-8)
    torch.testing.assert_close(weights_of(model), weights_of(expected), rtol=0, atol=1e-7)
    assert (weights_of(model) - weights_of(built("gru", 1))).abs().max() > 0.01


@every_model
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_weight_decay_clipping_and_schedules_are_those_of_a_plain_loop(
    data, monkeypatch, schedule, name
):
    recipe = replace(TINY, schedule=schedule, weight_decay=0.1, clip=0.3)
    expected, model = built(name), built(name)
    planned(monkeypatch, [3.0, 2.0])
    adam_loop(expected, data[0], recipe, seed=0)
    fit(model, *data, recipe, seed=0)
    torch.testing.assert_close(weights_of(model), weights_of(expected), rtol=0, atol=1e-6)


@ENGINES
def test_history_reports_the_losses_of_the_model_at_each_epoch(data, engine):
    reported = []

    def look(history, seen):
        assert seen is model and len(history) == len(reported) + 1
        reported.append(losses(model, data[1], TINY.batch_size))

    model = build(MODEL, 0)
    history = fit(model, *data, replace(TINY, epochs=3), 0, look, engine=engine)
    columns = (history.validation["per_token"], history.validation["bucket_mean"])
    assert list(zip(*columns, strict=True)) == reported
    assert history.seconds == sorted(history.seconds)
    assert history.updates == [4, 8, 12]
    assert (history.epochs, history.interrupted, model.training) == (3, False, False)
    assert history.device == str(next(model.parameters()).device)
    assert history.notes == []


def test_training_twice_goes_on_from_the_kept_weights(data):
    model, copied = build(MODEL, 3), build(MODEL, 9)
    fit(model, *data, TINY, seed=0)
    copied.load_state_dict(model.state_dict())
    fit(model, *data, TINY, seed=1)
    fit(copied, *data, TINY, seed=1)
    assert torch.equal(weights_of(model), weights_of(copied))


@ENGINES
def test_loss_per_token_weighs_every_token_alike(data, engine):
    """Without learning the epoch's training loss is that of the data, no mean over batches."""
    resting = replace(TINY, learning_rate=0.0, epochs=1, updates_per_epoch=None, batches="buckets")
    model = build(MODEL, 2)
    with torch.no_grad():
        model.decoder.out.bias[0] += 6  # some lengths lose more than others
    history = fit(model, data[0], data[0], resting, 0, engine=engine)
    of_batches, tokens = [], []
    with torch.no_grad():
        for batch in Batches(data[0], "buckets", 16, 0).of_epoch(0):
            of_batches.append(float(token_loss(logits_of(model, batch), batch.target)))
            tokens.append(batch.tokens)
    weighted = sum(loss * n for loss, n in zip(of_batches, tokens, strict=True)) / sum(tokens)
    unweighted = sum(of_batches) / len(of_batches)
    assert history.train[0] == pytest.approx(weighted, abs=1e-5)
    assert history.validation["per_token"][0] == pytest.approx(weighted, abs=1e-5)
    assert history.validation["bucket_mean"][0] == pytest.approx(unweighted, abs=1e-5)
    assert abs(weighted - unweighted) > 1e-3


@pytest.mark.parametrize(("monitor", "best"), [("per_token", 1), ("bucket_mean", 3)])
def test_the_best_model_is_kept_by_the_monitored_loss(data, monkeypatch, monitor, best):
    seen = planned(monkeypatch, [5.0, 1.0, 4.0, 3.0, 2.0], [9.0, 8.0, 7.0, 5.0, 6.0])
    model = build(MODEL, 0)
    history = fit(model, *data, replace(TINY, epochs=5, monitor=monitor), seed=0)
    assert history.best == best
    assert torch.equal(weights_of(model), seen[best])
    assert not torch.equal(weights_of(model), seen[-1])


def test_the_kept_model_has_the_reported_loss(data):
    growing = replace(TINY, epochs=4, learning_rate=0.001, decay=10.0)  # too large in the end
    model = build(MODEL, 0)
    history = fit(model, *data, replace(growing, monitor="per_token"), seed=0)
    per_token = history.validation["per_token"]
    assert 0 < history.best < 3
    assert per_token[history.best] == min(per_token)
    assert losses(model, data[1], TINY.batch_size).per_token == per_token[history.best]


@pytest.mark.parametrize(
    ("values", "patience", "length"),
    [
        ([3.0, 2.0, 2.5, 2.4, 2.3, 2.2, 2.1, 1.0], 2, 5),
        ([3.0, 2.0, 2.0, 1.0, 0.5, 0.4, 0.3, 0.2], 0, 3),  # an equal loss is no improvement
        ([3.0, 2.0, 2.5, 2.4, 1.9, 2.2, 2.1, 2.0], 2, 8),  # the count starts again
        ([8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0], 0, 8),
    ],
)
def test_training_stops_after_patience_plus_one_epochs_without_improvement(
    data, monkeypatch, values, patience, length
):
    planned(monkeypatch, values)
    history = fit(build(MODEL, 0), *data, replace(TINY, epochs=8, patience=patience), seed=0)
    assert history.validation["per_token"] == values[:length]
    assert history.interrupted is False


def test_updates_per_epoch_counts_gradient_steps(data):
    model, calls = build(MODEL, 0), []
    model.register_forward_hook(lambda *_: calls.append(model.training))
    history = fit(model, *data, replace(TINY, updates_per_epoch=10), seed=0)
    assert history.updates == [10, 20]
    assert sum(calls) == 20
    one_pass = fit(build(MODEL, 0), *data, replace(TINY, updates_per_epoch=None), seed=0)
    assert one_pass.updates == [8, 16]  # 128 words in batches of 16


def test_another_seed_gives_another_order_of_batches(data):
    first, second = (fit(build(MODEL, 0), *data, TINY, seed=seed) for seed in (0, 1))
    assert first.train != second.train


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"monitor": "accuracy"}, "per_token, bucket_mean, not 'accuracy'"),
        ({"schedule": "constant"}, "not 'constant'"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainingSettings(**changes)


def test_an_unknown_kind_of_batches_is_refused(data):
    with pytest.raises(ValueError, match="not 'sorted'"):
        fit(build(MODEL, 0), *data, replace(TINY, batches="sorted"), seed=0)


# interrupts and divergence


def test_an_interrupt_returns_what_was_trained_so_far(data, monkeypatch):
    seen = planned(monkeypatch, [3.0, 1.0, 2.0, 4.0, 5.0])

    def stop(history, model):
        if len(history) == 4:
            raise KeyboardInterrupt

    model = build(MODEL, 0)
    history = fit(model, *data, replace(TINY, epochs=5), seed=0, on_epoch=stop)
    assert history.interrupted
    assert history.validation["per_token"] == [3.0, 1.0, 2.0, 4.0]
    assert torch.equal(weights_of(model), seen[1])
    assert not model.training


def corrupt(model, step, action):
    """Let `action(output)` replace the output at a training step, counted from 1."""
    steps = []

    def hook(module, _, output):
        steps.append(module.training)
        return action(output) if module.training and sum(steps) == step else output

    model.register_forward_hook(hook)


def interrupt(_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(("step", "complete"), [(2, 0), (6, 1), (12, 2)])
def test_an_interrupt_within_an_epoch_leaves_only_whole_epochs(data, step, complete):
    model, whole = build(MODEL, 0), build(MODEL, 0)
    expected = fit(whole, *data, replace(TINY, epochs=complete), seed=0)
    corrupt(model, step, interrupt)
    history = fit(model, *data, replace(TINY, epochs=3), seed=0)
    assert history.interrupted
    for name in ("updates", "train", "validation", "best"):
        assert getattr(history, name) == getattr(expected, name)
    assert len(history.seconds) == complete
    if complete:
        assert torch.equal(weights_of(model), weights_of(whole))


def fit_interrupted_at(line, model, data, codes):
    """The history of a `fit` with an interrupt at a line of these; None if it came outside."""
    lines = []

    def trace(frame, event, _):
        if frame.f_code not in codes:
            return None
        lines.append(event == "line")
        if sum(lines) == line and event == "line":
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return fit(model, *data, replace(TINY, updates_per_epoch=1, monitor="per_token"), seed=0)
    except KeyboardInterrupt:
        return None
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("codes", [(fit.__code__,), (History.add.__code__,)], ids=["fit", "add"])
def test_an_interrupt_at_any_line_leaves_the_best_of_the_whole_epochs(data, codes):
    one_update = replace(TINY, updates_per_epoch=1, monitor="per_token")
    after = []  # weights after each number of epochs
    for epochs in range(3):
        model = build(MODEL, 0)
        fit(model, *data, replace(one_update, epochs=epochs), seed=0)
        after.append(weights_of(model))
    for line in range(1, 200):
        model = build(MODEL, 0)
        history = fit_interrupted_at(line, model, data, codes)
        if history is None:
            continue
        if not history.interrupted and len(history) == 2:
            break
        columns = (history.updates, history.train, *history.validation.values())
        assert {len(column) for column in columns} == {len(history)}
        assert history.best == len(history) - 1  # every epoch is better than the one before
        assert len(history) == 0 or torch.equal(weights_of(model), after[len(history)])
        assert history.interrupted
    assert line > 5


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("step", [1, 4, 7])
@ENGINES
def test_a_loss_that_is_not_finite_names_its_step_and_learning_rate(data, schedule, step, engine):
    model, recipe = build(MODEL, 0), replace(TINY, schedule=schedule, epochs=3)
    corrupt(model, step, lambda logits: logits * math.nan)
    rate = 0.005 * rate_share(recipe, step - 1, 4)
    with pytest.raises(Diverged, match=f"nan at step {step} with learning rate {rate:.3g}:"):
        fit(model, *data, recipe, seed=0, engine=engine)


@every_model
@pytest.mark.parametrize("schedule", SCHEDULES)
@ENGINES
def test_a_learning_rate_that_diverges_is_told(data, schedule, name, engine):
    """The first update that moves the weights breaks them; the step after it has no finite loss."""
    recipe = replace(TINY, learning_rate=1e38, schedule=schedule, epochs=5)
    step = 2 + (schedule == "linear")  # whose first rate is zero
    rate = 1e38 * rate_share(recipe, step - 1, 4)
    with pytest.raises(Diverged, match=f"at step {step} with learning rate ") as error:
        fit(build(MODELS[name], 0), *data, recipe, seed=0, engine=engine)
    assert f"{rate:.3g}" in str(error.value)


@ENGINES
def test_weights_broken_by_the_last_step_are_told_too(data, engine):
    """The loss of the only step is finite; what it leaves behind is not."""
    recipe = replace(TINY, learning_rate=1e38, epochs=1, updates_per_epoch=1)
    with pytest.raises(Diverged, match="validation loss became nan at step 1 "):
        fit(build(MODEL, 0), *data, recipe, seed=0, engine=engine)


# what a call leaves behind


@pytest.mark.parametrize("ending", ["normal", "interrupted", "diverged"])
def test_threads_and_random_state_are_left_as_they_were(data, ending):
    model = build(MODEL, 0)
    if ending != "normal":
        corrupt(
            model, 6, interrupt if ending == "interrupted" else lambda logits: logits * math.nan
        )
    torch.set_num_threads(2)
    with torch.random.fork_rng():
        torch.manual_seed(77)
        random.seed(77)
        states = torch.get_rng_state(), random.getstate()
        try:
            fit(model, *data, TINY, seed=0)
        except Diverged:
            assert ending == "diverged"
        assert torch.get_num_threads() == 2
        assert torch.equal(torch.get_rng_state(), states[0])
        assert random.getstate() == states[1]


@ENGINES
def test_results_do_not_depend_on_thread_count_or_global_random_state(data, engine):
    outcomes = []
    for threads, seed in ((1, 0), (2, 12345)):
        torch.set_num_threads(threads)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = build(MODEL, 0)
            history = fit(model, *data, TINY, seed=0, engine=engine)
        outcomes.append((weights_of(model).tolist(), history.train, history.validation))
    assert outcomes[0] == outcomes[1]


def test_one_thread_is_used(data):
    torch.set_num_threads(2)
    model, inside = build(MODEL, 0), set()
    model.register_forward_hook(lambda *_: inside.add(torch.get_num_threads()))
    fit(model, *data, TINY, seed=0)
    assert inside == {1}


def fingerprint(path):
    """Hash of the losses and the weights of a run on a pair file, from reading it on."""
    pairs = split(load_pairs(path), seed=4)
    model = build(MODEL, 4)
    history = fit(model, encode_pairs(pairs.train), encode_pairs(pairs.validation), TINY, seed=4)
    content = json.dumps([history.train, history.validation]).encode()
    return hashlib.sha256(content + weights_of(model).numpy().tobytes()).hexdigest()


def test_results_do_not_depend_on_hash_randomisation(tmp_path):
    path, here = tmp_path / "pairs.txt", Path(__file__).parent
    lines = map(" ".join, load_pairs("small").pairs[:60])
    path.write_text("\n".join(lines) + "\n", encoding="utf8")
    code = f"import test_training as t; print(hash('word'), t.fingerprint({str(path)!r}))"
    other = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    places = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": other, "PYTHONPATH": places},
        capture_output=True,
        text=True,
        check=True,
    )
    hashed, printed = run.stdout.split()
    assert int(hashed) != hash("word")  # words do have another hash there
    assert printed == fingerprint(path)


# what callbacks and users do


@ENGINES
@every_model
def test_stray_gradients_and_modes_of_a_callback_are_harmless(data, name, engine):
    def meddle(history, model):
        model.train()
        batch = data[0].batch(torch.arange(5))
        token_loss(logits_of(model, batch), batch.target).backward()
        if len(history) == 2:
            model.zero_grad()
        model.eval()
        torch.manual_seed(len(history))

    plain, meddled = built(name), built(name)
    expected = trained(plain, engine, epochs=3)
    found = trained(meddled, engine, meddle, epochs=3)
    assert torch.equal(weights_of(meddled), weights_of(plain))
    assert found.train == expected.train


@ENGINES
@every_model
@pytest.mark.parametrize("muon", [None, 0.02])
def test_frozen_parameters_do_not_move(name, muon, engine):
    model = built(name)
    for part in (model.encoder.embedding, model.decoder.out):
        part.requires_grad_(False)
    parts = [part.state_dict() for part in (model.encoder.embedding, model.decoder.out)]
    before = [value.clone() for part in parts for value in part.values()]
    trained(model, engine, weight_decay=0.1, clip=0.1, muon=muon)
    assert all(map(torch.equal, before, [value for part in parts for value in part.values()]))
    assert not torch.equal(weights_of(model), weights_of(built(name)))


@ENGINES
@every_model
def test_what_a_callback_freezes_stays_from_then_on(data, name, engine):
    """And what it thaws moves again, as an optimizer of PyTorch has it."""
    seen = []

    def freeze(history, model):
        seen.append((weights_of(model.encoder), weights_of(model.decoder)))
        model.encoder.requires_grad_(len(history) >= 3)

    model = built(name)
    trained(model, engine, freeze, epochs=4, weight_decay=0.1)
    encoders, decoders = zip(*seen, strict=True)
    assert torch.equal(encoders[0], encoders[1]) and torch.equal(encoders[0], encoders[2])
    assert not torch.equal(encoders[2], encoders[3])
    assert all(not torch.equal(a, b) for a, b in pairwise(decoders))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", PUBLISHED)
@ENGINES
def test_half_precision_trains_readable_or_gives_one_clear_error(data, name, dtype, engine):
    model = build(MODELS[name], 0).to(dtype)
    try:
        history = fit(model, *data, TINY, seed=0, engine=engine)
        assert all(map(math.isfinite, history.train))
        assert len(history.notes) == (engine is not None)
        assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    except Diverged:
        assert dtype == torch.float16  # which has no number as small as Adam's eps


@every_model
@pytest.mark.parametrize("cached", [True, False])
def test_autocast_trains_by_the_readable_path(data, name, cached):
    """PyTorch's cache of half-precision weights lasts as long as the outermost autocast."""
    fits = []
    for engine in (None, FastEngine):
        model = build(MODELS[name], 0)
        with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=cached):
            history = fit(model, *data, TINY, seed=0, engine=engine)
        assert len(history.notes) == (engine is not None)
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        fits.append((weights_of(model).tolist(), history.train))
    assert fits[0] == fits[1]
    exact = fit(build(MODELS[name], 0), *data, TINY, seed=0)
    assert fits[0][1] == pytest.approx(exact.train, abs=0.03)
    assert fits[0][1] != exact.train


# classes of the hand-out


def of_the_hand_out(name):
    """A model of classes that a student wrote, none of which takes a mask."""
    attention = HandoutAdditive if name == "additive" else HandoutScaledDot
    classes = {"attention": attention, "causal_attention": HandoutCausal}
    return build(MODELS[name], 0, cell=HandoutCell, **classes)


@pytest.mark.parametrize("name", ["additive", "scaled_dot", "transformer", "block"])
@pytest.mark.parametrize("kind", KINDS)
@ENGINES
def test_classes_of_the_hand_out_train_and_decode(data, name, kind, engine):
    model, library = of_the_hand_out(name), build(MODELS[name], 0)
    assert torch.equal(weights_of(model), weights_of(library))
    recipe = replace(TINY, batches=kind, learning_rate=0.02)
    history = fit(model, *data, recipe, seed=0, engine=engine)
    assert history.train[-1] < history.train[0]
    assert len(history.notes) == (kind == "padded") + (engine is not None)
    replaced = replace(recipe, batches="by-source-length" if kind == "padded" else kind)
    expected = fit(library, *data, replaced, seed=0)
    assert history.train == pytest.approx(expected.train, abs=1e-4)  # its mask is -1e7, not -inf
    words = ["air-conditioning", "quite", "a", "try"]
    decoded = translate_words(model, words)
    assert [one.text for one in decoded] == [one.text for one in translate_words(library, words)]
    assert translate("The try.", model).words.keys() == {"the", "try"}
    table = predictions(model, data[1])
    assert table["word"].tolist() == list(data[1].words)
    batch = data[1].batch(torch.tensor([0]))
    assert model.attention_maps(batch.source, batch.prefix).cross[0].shape[1] == 1


def test_a_cell_of_the_hand_out_needs_no_other_batches(data):
    model, library = build(MODELS["gru"], 0, cell=HandoutCell), build(MODELS["gru"], 0)
    history = fit(model, *data, TINY, seed=0)
    assert history.notes == []
    assert history.train == fit(library, *data, TINY, seed=0).train


@pytest.mark.parametrize("name", ["additive", "scaled_dot", "transformer", "block"])
def test_a_padded_batch_is_refused_with_a_clear_error(name):
    model, batch = of_the_hand_out(name), padded_batch()
    with pytest.raises(ValueError, match="forward takes no mask"):
        logits_of(model, batch)


def test_without_the_causal_mask_a_class_of_the_hand_out_is_refused_at_once():
    """Padded prefixes would be seen, for the causal mask is what hides them elsewhere."""
    chosen = replace(MODELS["transformer"], transformer=TransformerSettings(causal=False))
    with pytest.raises(ValueError, match=r"HandoutScaledDot.*mask"):
        build(chosen, 0, attention=HandoutScaledDot)


def test_a_hand_out_class_patched_after_building_trains_and_decodes(data, monkeypatch):
    """As a notebook does that runs the cell with the class again."""
    model, forward = of_the_hand_out("additive"), HandoutAdditive.forward
    monkeypatch.setattr(
        HandoutAdditive,
        "forward",
        lambda self, queries, keys, values: forward(self, queries, keys.flip(1), values),
    )
    batch = data[0].batch(torch.tensor([0]))
    found = stepwise(model, batch)
    assert difference([found], [logits_of(model, batch)]) < 1e-6
    assert difference([found], [logits_of(build(MODELS["additive"], 0), batch)]) > 1e-4


# the GPU

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.gpu
@needs_gpu
@every_model
@ENGINES
def test_training_runs_on_the_gpu_and_says_so(data, name, engine):
    device = best_device()
    model, on_cpu = built(name).to(device), built(name)
    history = fit(model, *(side.to(device) for side in data), TINY, seed=0, engine=engine)
    expected = fit(on_cpu, *data, TINY, seed=0)
    assert history.device.startswith("cuda")
    assert all(parameter.is_cuda for parameter in model.parameters())
    assert history.train == pytest.approx(expected.train, abs=1e-6)
    decoded = [one.text for one in translate_words(model.float(), ["air-conditioning", "a"])]
    assert decoded == [
        one.text for one in translate_words(on_cpu.float(), ["air-conditioning", "a"])
    ]


@pytest.mark.gpu
@needs_gpu
@every_model
@ENGINES
@pytest.mark.parametrize("muon", [None, 0.02])
def test_an_update_never_waits_for_the_gpu(data, name, engine, muon):
    device = torch.device("cuda")
    model, recipe = build(MODELS[name], 0).to(device), replace(TINY, clip=1.0, muon=muon)
    batches = Batches(data[0].to(device), "padded", 16, seed=0)
    updates = Updates(model, recipe, per_epoch=4)
    forward = engine(model, []) if engine else model
    model.train()
    try:
        for update, batch in enumerate(batches.updates(0, 3)):  # the statements of `fit`
            logits = forward(batch.source, batch.prefix, batch.source_mask)
            loss = token_loss(logits, batch.target)
            updates.zero_grad()
            loss.backward()
            updates.step(update)
            if update == 1:  # the twin was compared, and the optimizer has its moments
                torch.cuda.set_sync_debug_mode("error")
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert math.isfinite(float(loss))
