"""Rates, updates, histories, and checkpoints from which a killed run goes on to the same bits."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
import torch
from handout_classes import HandoutCell
from hypothesis import given
from hypothesis import strategies as st
from tiny_translators import MODELS, properties, tiny_data, weights_of
from torch.nn import functional as F

from a3lib import common
from a3lib.common import Diverged, written_by_rename
from a3lib.fast.engine import FastEngine
from a3lib.optimization import Checkpoint, History, OptimizerSettings, Updates, rate_share
from a3lib.optimizers import Muon
from a3lib.translation.models import build
from a3lib.translation.training import TrainingSettings, fit

SCHEDULES = ("decay", "one-cycle", "linear")
SECONDS = 30  # after which a child that should have been killed counts as stuck


class Killed(BaseException):
    """Ends a call as a kill would: nothing in the library catches it."""


# settings and rates


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_settings_come_back_from_json(schedule):
    recipe = OptimizerSettings(0.1, schedule, clip=2.0, muon=0.02)
    found = OptimizerSettings(**json.loads(json.dumps(asdict(recipe))))
    assert found == recipe and hash(found) == hash(recipe)


@pytest.mark.parametrize("schedule", ["constant", "", None])
def test_an_unknown_schedule_is_refused(schedule):
    with pytest.raises(ValueError, match="'decay', 'one-cycle' or 'linear'"):
        OptimizerSettings(schedule=schedule)
    with pytest.raises(ValueError, match="'decay', 'one-cycle' or 'linear'"):
        replace(OptimizerSettings(), schedule=schedule)


def shares(per_epoch, **settings):
    recipe = OptimizerSettings(**settings)
    return [rate_share(recipe, update, per_epoch) for update in range(recipe.epochs * per_epoch)]


@pytest.mark.parametrize("per_epoch", [1, 7])
def test_decay_is_pytorchs_exponential_schedule_stepped_before_each_epoch(per_epoch):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, expected = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.7), []
    for _ in range(4):
        optimizer.step()
        scheduler.step()
        expected += scheduler.get_last_lr() * per_epoch
    assert shares(per_epoch, epochs=4, decay=0.7) == pytest.approx(expected)


def test_one_cycle_rises_to_the_given_rate_and_falls_to_zero():
    found = shares(20, schedule="one-cycle", epochs=5)
    top = found.index(max(found))
    assert found[top] == pytest.approx(1) and top == 9  # a tenth of all updates
    assert found[:10] == sorted(found[:10]) and found[9:] == sorted(found[9:], reverse=True)
    assert found[0] == pytest.approx(0.1) and found[-1] == pytest.approx(0, abs=1e-12)
    assert found[54] == pytest.approx(0.5)  # half-way down


@pytest.mark.parametrize("warm_up", [0.0, 0.1, 0.5])
def test_linear_rises_and_falls_along_lines_as_in_bert(warm_up):
    found, rise = shares(20, schedule="linear", epochs=5, warm_up=warm_up), int(100 * warm_up)
    assert found[:rise] == pytest.approx([update / rise for update in range(rise)])
    falling = [(100 - update) / (100 - rise) for update in range(rise, 100)]
    assert found[rise:] == pytest.approx(falling)


@properties
@given(
    st.sampled_from(SCHEDULES),
    st.integers(1, 5),
    st.integers(1, 7),
    st.floats(0, 0.999),
    st.floats(0, 1),
)
def test_shares_never_exceed_one_nor_fall_below_zero(schedule, epochs, per_epoch, warm_up, decay):
    found = shares(per_epoch, schedule=schedule, epochs=epochs, warm_up=warm_up, decay=decay)
    assert len(found) == epochs * per_epoch
    assert all(-1e-12 <= share <= 1 + 1e-12 for share in found)


@pytest.mark.parametrize(
    "schedule",
    ["one-cycle", "linear"],
)
def test_a_rate_may_rise_all_the_time(schedule):
    found = shares(5, schedule=schedule, epochs=2, warm_up=1.0)
    assert found == sorted(found)


# updates


def tiny_model(name="transformer", seed=0):
    return build(MODELS[name], seed).double()


def set_gradients(model, seed):
    """The same random gradient for every parameter that learns."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        grad = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        parameter.grad = grad if parameter.requires_grad else None


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_updates_are_pytorchs_adamw_with_decayed_matrices(schedule, weight_decay, clip):
    recipe = OptimizerSettings(0.01, schedule, 2, weight_decay=weight_decay, clip=clip)
    ours, theirs = tiny_model("modern"), tiny_model("modern")
    updates = Updates(ours, recipe, per_epoch=4)
    matrices, vectors = (
        [p for p in theirs.parameters() if (p.ndim > 1) == wide] for wide in (True, False)
    )
    groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1.0, weight_decay=weight_decay)
    for update in range(8):
        for model in (ours, theirs):
            set_gradients(model, update)
        norm = torch.cat([p.grad.flatten() for p in theirs.parameters()]).norm()
        assert norm > 0.5
        for parameter in theirs.parameters() if clip else []:
            parameter.grad *= clip / norm
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * rate_share(recipe, update, 4)
        optimizer.step()
        updates.step(update)
    torch.testing.assert_close(weights_of(ours), weights_of(theirs), rtol=0, atol=1e-6)
    assert (weights_of(ours) - weights_of(tiny_model("modern"))).abs().max() > 1e-3


def test_weight_decay_spares_biases_and_norms():
    """Zero gradients leave nothing but the decay."""
    model = tiny_model("modern")
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    updates = Updates(model, OptimizerSettings(0.1, decay=1.0, weight_decay=0.5), per_epoch=1)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    updates.step(0)
    for name, parameter in model.named_parameters():
        factor = 0.95 if parameter.ndim > 1 else 1.0
        torch.testing.assert_close(parameter.detach(), factor * before[name], rtol=0, atol=1e-12)
        assert ("bias" in name or "norm" in name) == (parameter.ndim == 1)


def test_muon_learns_the_matrices_of_the_blocks_and_adamw_the_rest():
    recipe = OptimizerSettings(0.01, decay=1.0, muon=0.05, weight_decay=0.1)
    ours, theirs = tiny_model(), tiny_model()
    updates = Updates(ours, recipe, per_epoch=10)
    named = dict(theirs.named_parameters())
    hidden = [named[name] for name in named if "blocks" in name and "weight" in name]
    rest = [p for name, p in named.items() if not ("blocks" in name and "weight" in name)]
    muon = Muon(hidden, 0.05, 0.1)
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in rest if p.ndim == 1], "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(groups, 0.01)
    for update in range(5):
        for model in (ours, theirs):
            set_gradients(model, update)
        updates.step(update)
        muon.step()
        adam.step()
    torch.testing.assert_close(weights_of(ours), weights_of(theirs), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["gru", "additive"])
def test_a_model_without_blocks_is_learned_by_adamw_alone(name):
    models = [tiny_model(name) for _ in range(2)]
    for model, muon in zip(models, (0.1, None), strict=True):
        updates = Updates(model, OptimizerSettings(muon=muon), per_epoch=1)
        set_gradients(model, 0)
        updates.step(0)
    assert torch.equal(*map(weights_of, models))


EVERYTHING = OptimizerSettings(0.01, clip=0.1, weight_decay=0.5, muon=0.05)


@pytest.mark.parametrize("name", MODELS)
def test_frozen_parameters_do_not_move_nor_count(name):
    """Neither weight decay nor Muon moves them, and the gradient's length is that of the others."""
    model, alone = tiny_model(name), tiny_model(name)
    for one in (model, alone):
        one.encoder.requires_grad_(False)
    frozen = weights_of(model.encoder)
    updates = [Updates(one, EVERYTHING, per_epoch=2) for one in (model, alone)]
    for update in range(3):
        for one, made in zip((model, alone), updates, strict=True):
            set_gradients(one, update)
            if one is model:
                for parameter in model.encoder.parameters():
                    parameter.grad = 1e3 * torch.ones_like(parameter)  # a stray one
            made.step(update)
    assert torch.equal(weights_of(model.encoder), frozen)
    assert torch.equal(weights_of(model.decoder), weights_of(alone.decoder))
    assert not torch.equal(weights_of(model.decoder), weights_of(tiny_model(name).decoder))


def test_a_parameter_frozen_later_stays_where_it_is():
    model = tiny_model()
    updates = Updates(model, EVERYTHING, per_epoch=2)
    set_gradients(model, 0)
    updates.step(0)
    model.encoder.requires_grad_(False)
    frozen, moving = weights_of(model.encoder), weights_of(model.decoder)
    updates.zero_grad()
    set_gradients(model, 1)
    updates.step(1)
    assert torch.equal(weights_of(model.encoder), frozen)
    assert not torch.equal(weights_of(model.decoder), moving)


def test_zero_grad_forgets_every_gradient():
    model = tiny_model()
    updates = Updates(model, OptimizerSettings(), per_epoch=1)
    set_gradients(model, 0)
    model.encoder.requires_grad_(False)
    updates.zero_grad()
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", ["gru", "transformer"])
def test_updates_go_on_from_a_state_to_the_same_bits(name):
    first, second = tiny_model(name), tiny_model(name, seed=1)
    one, two = (Updates(model, EVERYTHING, per_epoch=2) for model in (first, second))
    for update in range(3):
        set_gradients(first, update)
        one.step(update)
    state = one.state()
    second.load_state_dict(first.state_dict())
    set_gradients(first, 3)
    one.step(3)  # the state is a copy: this does not reach it
    two.load(state)
    set_gradients(second, 3)
    two.step(3)
    for model, updates in ((first, one), (second, two)):
        set_gradients(model, 4)
        updates.step(4)
    assert torch.equal(weights_of(first), weights_of(second))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_named_with_its_step_and_rate(schedule, value):
    recipe = OptimizerSettings(0.02, schedule, epochs=3)
    updates = Updates(tiny_model(), recipe, per_epoch=4)
    updates.check([1.0, 2.0], 0, "training")
    rate = 0.02 * rate_share(recipe, 6, 4)
    with pytest.raises(Diverged, match=f"training loss .* at step 7 with learning rate {rate:.3g}"):
        updates.check([1.0, 2.0, value, math.nan], 4, "training")


# histories

LISTS = ("updates", "seconds", "train")


def test_epochs_are_appended():
    history = History(epochs=2)
    history.add(10, 1.5, 3.0, {"per_token": 2.0, "other": 1.0}, best=0)
    history.add(20, 2.5, 2.0, {"per_token": 1.0, "other": 0.5}, best=1)
    assert (len(history), history.best) == (2, 1)
    assert [getattr(history, name) for name in LISTS] == [[10, 20], [1.5, 2.5], [3.0, 2.0]]
    assert history.validation == {"per_token": [2.0, 1.0], "other": [1.0, 0.5]}
    assert History(**json.loads(json.dumps(asdict(history)))) == history


def test_histories_share_no_list():
    assert all(
        getattr(History(), one.name) is not getattr(History(), one.name)
        for one in fields(History)
        if isinstance(getattr(History(), one.name), list | dict)
    )


def interrupted_at_line(number, code, call, error=KeyboardInterrupt):
    """Run `call`, interrupted at a line of the function with this code -> whether it has one."""
    lines = []

    def trace(frame, event, _):
        if frame.f_code is not code:
            return None
        lines.append(event == "line")
        if sum(lines) == number and event == "line":
            raise error
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except error:
        return True
    finally:
        sys.settrace(before)
    return False


def test_an_interrupt_leaves_a_whole_epoch_or_none():
    for line in range(1, 20):
        history = History()
        history.add(1, 1.0, 1.0, {"a": 1.0, "b": 1.0}, best=0)

        def add(history=history):
            history.add(2, 2.0, 2.0, {"a": 2.0, "b": 2.0}, best=1)

        interrupted = interrupted_at_line(line, History.add.__code__, add)
        count = len(history)
        assert history.updates == history.train == [1, 2][:count]
        assert history.validation == {"a": [1, 2][:count], "b": [1, 2][:count]}
        assert history.best == count - 1
        if not interrupted:
            break
    assert line > 4


# checkpoints


def state(number):
    generator = torch.Generator().manual_seed(number)
    tensors = {"a": torch.randn(300, 20, generator=generator), "step": torch.tensor(number)}
    return {"tensors": tensors, "number": number, "list": [1.5, "x", None, {"b": True}]}


def holds(checkpoint, number):
    expected, found = state(number), checkpoint.load()
    tensors, stored = expected.pop("tensors"), found.pop("tensors")
    return found == expected and all(torch.equal(stored[name], tensors[name]) for name in tensors)


def test_save_and_load_round_trip(tmp_path):
    checkpoint = Checkpoint(tmp_path / "new" / "folder" / "run")
    assert checkpoint.load() is None
    for number in range(3):
        checkpoint.save(state(number))
        assert holds(checkpoint, number)
        assert holds(Checkpoint(str(checkpoint.path)), number)
    assert list(checkpoint.path.parent.iterdir()) == [checkpoint.path]


def test_a_saved_state_does_not_follow_later_changes(tmp_path):
    checkpoint, view = Checkpoint(tmp_path / "run"), torch.zeros(8)[::2]
    checkpoint.save({"view": view})
    view.add_(1)
    assert torch.equal(checkpoint.load()["view"], torch.zeros(4))


def test_delete_may_be_repeated(tmp_path):
    checkpoint = Checkpoint(tmp_path / "run")
    checkpoint.save(state(0))
    checkpoint.delete()
    checkpoint.delete()
    assert checkpoint.load() is None
    assert list(tmp_path.iterdir()) == []


def test_a_crash_at_the_rename_leaves_the_previous_state(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path / "run")
    checkpoint.save(state(0))

    def crash(source, target):
        raise Killed

    monkeypatch.setattr(common.os, "replace", crash)
    with pytest.raises(Killed):
        checkpoint.save(state(1))
    monkeypatch.undo()
    assert holds(checkpoint, 0)
    assert list(tmp_path.iterdir()) == [checkpoint.path]


def test_a_crash_at_any_line_leaves_the_old_or_the_new_state(tmp_path):
    found, code = [], written_by_rename.__wrapped__.__code__
    for line in range(1, 100):
        checkpoint = Checkpoint(tmp_path / str(line) / "run")
        checkpoint.save(state(0))
        crashed = interrupted_at_line(
            line, code, lambda checkpoint=checkpoint: checkpoint.save(state(1)), Killed
        )
        if not crashed:
            break
        assert holds(checkpoint, 0) or holds(checkpoint, 1)
        found.append(int(holds(checkpoint, 1)))
        checkpoint.save(state(1))
        assert holds(checkpoint, 1)
    assert sorted(found) == found  # old up to some line, new from there on
    assert set(found) == {0, 1}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"this is no checkpoint\n",
        bytes(500),
        b"PK\x03\x04",
    ],
)
def test_another_file_is_told_to_be_damaged(tmp_path, content):
    (tmp_path / "run").write_bytes(content)
    with pytest.raises(ValueError, match="run is damaged"):
        Checkpoint(tmp_path / "run").load()


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_told_to_be_damaged(tmp_path, share):
    checkpoint = Checkpoint(tmp_path / "run")
    checkpoint.save(state(0))
    content = checkpoint.path.read_bytes()
    checkpoint.path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="run is damaged"):
        checkpoint.load()


def test_a_file_with_other_bytes_is_told_to_be_damaged_or_loads(tmp_path):
    checkpoint, generator = Checkpoint(tmp_path / "run"), random.Random(0)
    checkpoint.save({"a": torch.ones(3), "b": [1, {"c": "d"}]})
    content = checkpoint.path.read_bytes()
    refused = 0
    for _ in range(150):
        changed = bytearray(content)
        for _ in range(generator.choice((1, 3, 20))):
            changed[generator.randrange(len(changed))] = generator.randrange(256)
        checkpoint.path.write_bytes(bytes(changed))
        try:
            checkpoint.load()
        except ValueError as error:
            assert "is damaged" in str(error)
            refused += 1
    assert refused > 10


# kills


def save_on_and_on(path):
    """What a child does until it is killed."""
    number = 0
    while True:
        number += 1
        Checkpoint(path).save(state(number))


def run_here(code):
    """Run a line of this module in a process of its own."""
    places = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", f"import test_optimization as t; t.{code}"],
        env={**os.environ, "PYTHONPATH": places},
        stdout=subprocess.PIPE,
        text=True,
    )


def kill_savers(path, kills):
    """Fork a saver, kill it at a random moment, look, and so on; prints what was found last."""
    torch.set_num_threads(1)
    moments, checkpoint, found = random.Random(0), Checkpoint(path), 0
    for _ in range(kills):
        child = os.fork()  # spares the next life the imports
        if child == 0:
            save_on_and_on(path)
        start = time.monotonic()
        while not checkpoint.path.exists() and time.monotonic() < start + SECONDS:
            time.sleep(0.001)
        time.sleep(0.02 * moments.random())
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = checkpoint.load()["number"]
        assert holds(checkpoint, found)
        checkpoint.delete()
    print(found)


def test_savers_that_are_killed_leave_a_complete_state(tmp_path):
    child = run_here(f"kill_savers({str(tmp_path / 'run')!r}, 30)")
    output, _ = child.communicate(timeout=120)
    assert child.returncode == 0 and int(output) >= 1


def test_nothing_of_a_killed_process_is_left_in_the_end(tmp_path):
    (tmp_path / "run.4194305.part").write_bytes(b"half")  # no process can have this number
    checkpoint = Checkpoint(tmp_path / "run")
    checkpoint.save(state(0))
    checkpoint.delete()
    assert list(tmp_path.iterdir()) == []


SETTINGS = TrainingSettings(epochs=24, batch_size=16, updates_per_epoch=4, batches="padded")
SHORT = replace(SETTINGS, epochs=6)
KILLS = 3


class DroppingCell(HandoutCell):
    """A cell whose training draws random numbers."""

    def forward(self, x, h_prev):
        return super().forward(F.dropout(x, 0.3, self.training), h_prev)


def run(path, on_epoch=None, model=None, settings=SETTINGS, engine=None):
    """The run of these tests -> (model, history)."""
    model = model or build(MODELS["gru"], 0)
    history = fit(model, *tiny_data(), settings, 3, on_epoch, Checkpoint(path), engine)
    return model, history


def without_seconds(history):
    return {name: value for name, value in asdict(history).items() if name != "seconds"}


def assert_same_bits(first, second, paths):
    (model, history), (expected, expected_history) = first, second
    assert torch.equal(weights_of(model), weights_of(expected))
    assert without_seconds(history) == without_seconds(expected_history)
    assert len(history) == len(history.seconds) == history.epochs
    assert history.seconds == sorted(history.seconds)
    assert history.interrupted is False
    one, other = (Checkpoint(path).load() for path in paths)
    for part in ("model", "best"):
        assert one[part].keys() == other[part].keys()
        assert all(torch.equal(one[part][name], other[part][name]) for name in one[part])
    for mine, theirs in zip(one["optimizers"], other["optimizers"], strict=True):
        for number, values in mine["state"].items():
            for name, value in values.items():
                assert torch.equal(
                    torch.as_tensor(value), torch.as_tensor(theirs["state"][number][name])
                )


VARIANTS = {
    "dropout": (MODELS["gru"], {"cell": DroppingCell}, {}, None),
    "twin": (MODELS["gru"], {}, {}, FastEngine),
    "attention": (MODELS["additive"], {}, {"batches": "by-source-length"}, FastEngine),
    "muon": (
        MODELS["transformer"],
        {},
        {"muon": 0.02, "weight_decay": 0.1, "clip": 1.0, "schedule": "one-cycle"},
        FastEngine,
    ),
    "modern": (MODELS["modern"], {}, {"schedule": "linear", "batches": "shuffled"}, None),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_resumed_run_restores_random_numbers_order_and_moments(tmp_path, variant):
    chosen, classes, changes, engine = VARIANTS[variant]
    recipe, ended, lives = replace(SHORT, **changes), None, 0

    def kill(history, model):
        if len(history) % 2 == 0:
            raise Killed

    whole = run(tmp_path / "whole", None, build(chosen, 0, **classes), recipe, engine)
    with torch.random.fork_rng():
        while ended is None:
            try:
                # only the first life's first weights matter
                model = build(chosen, lives, **classes)
                ended = run(tmp_path / "killed", kill, model, recipe, engine)
            except Killed:
                lives += 1
                torch.manual_seed(lives)
    assert lives == 3
    assert_same_bits(ended, whole, [tmp_path / "killed", tmp_path / "whole"])


def test_a_note_is_taken_once_however_often_a_run_is_resumed(tmp_path):
    def stop(history, model):
        if len(history) == 1:
            raise KeyboardInterrupt

    for on_epoch in (stop, None):
        model = build(MODELS["gru"], 0, cell=DroppingCell)
        _, history = run(tmp_path / "run", on_epoch, model, replace(SHORT, epochs=2), FastEngine)
    assert len(history.notes) == 1


def test_an_interrupted_run_goes_on_from_its_checkpoint(tmp_path):
    whole = run(tmp_path / "whole", settings=SHORT)

    def stop(history, model):
        if len(history) == 4:
            raise KeyboardInterrupt

    assert run(tmp_path / "stopped", stop, settings=SHORT)[1].interrupted
    new = []
    ended = run(tmp_path / "stopped", lambda history, _: new.append(len(history)), settings=SHORT)
    assert new == [5, 6]  # the first four are not trained again
    assert_same_bits(ended, whole, [tmp_path / "stopped", tmp_path / "whole"])


def test_the_best_model_of_before_the_kill_is_kept(tmp_path):
    growing = replace(SHORT, epochs=5, learning_rate=0.001, decay=10.0)  # too large in the end

    def kill(history, model):
        if len(history) == 4:
            raise Killed

    model, history = run(tmp_path / "whole", settings=growing)
    assert history.best < 3
    with pytest.raises(Killed):
        run(tmp_path / "killed", kill, settings=growing)
    resumed, continued = run(tmp_path / "killed", settings=growing)
    assert continued.best == history.best
    assert torch.equal(weights_of(resumed), weights_of(model))


def test_a_diverging_run_keeps_its_last_complete_epoch(tmp_path):
    model, steps = build(MODELS["gru"], 0), []

    def hook(module, _, logits):
        steps.append(module.training)
        return logits * math.nan if module.training and sum(steps) > 8 else logits

    model.register_forward_hook(hook)
    with pytest.raises(Diverged, match="step 9 "):
        run(tmp_path / "run", model=model)
    stored = Checkpoint(tmp_path / "run").load()
    assert stored["history"]["updates"] == [4, 8]
    assert all(bool(value.isfinite().all()) for value in stored["model"].values())


def lives_that_are_killed(path):
    """Run again and again in forks and kill each with SIGKILL; prints how each ended."""
    torch.set_num_threads(1)
    tiny_data()
    moments = random.Random(0)

    def kill_soon(history, model):
        if not timers:
            epoch = history.seconds[-1] - (history.seconds[-2] if len(history) > 1 else 0.0)
            kill = (os.kill, (os.getpid(), signal.SIGKILL))
            timers.append(threading.Timer(moment * 2 * epoch, *kill))
            timers[0].start()

    for _ in range(KILLS):
        moment, timers = moments.random(), []
        child = os.fork()  # spares the next life the imports
        if child == 0:
            run(path, kill_soon)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def test_a_run_killed_again_and_again_ends_with_the_same_bits(tmp_path):
    whole, killed = run(tmp_path / "whole"), tmp_path / "killed"
    child = run_here(f"lives_that_are_killed({str(killed)!r})")
    output, _ = child.communicate(timeout=120)
    assert output.split() == [str(-signal.SIGKILL)] * KILLS
    done = len(Checkpoint(killed).load()["history"]["updates"])
    assert KILLS <= done < SETTINGS.epochs  # every life completed an epoch, none the run
    new = []
    ended = run(killed, lambda history, model: new.append(len(history)))
    assert new == list(range(done + 1, SETTINGS.epochs + 1))
    assert_same_bits(ended, whole, [killed, tmp_path / "whole"])
