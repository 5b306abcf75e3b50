"""Checkpoints: a kill at any moment leaves a complete state, from which a run goes on to the same bits."""

import os
import random
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from a3lib import checkpoints
from a3lib.batches import encode_pairs
from a3lib.checkpoints import Checkpoint, copy_weights, optimizer_tensors, pack, restore_optimizer, unpack
from a3lib.gru import MyGRUCell
from a3lib.models import ModelSettings, build
from a3lib.pig_latin import Pairs, load_pairs, split
from a3lib.training import Diverged, TrainingSettings, fit

SETTINGS = TrainingSettings(epochs=18, batch_size=16, updates_per_epoch=6, batches="padded")
KILLS = 4
BITS = ("updates", "train", "per_token", "bucket_mean", "best")  # all of a history but its seconds


class Killed(BaseException):
    """Ends a call as a kill would: nothing in the library catches it."""


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def state(number):
    generator = torch.Generator().manual_seed(number)
    return {"a": torch.randn(3, 2, generator=generator), "step": torch.tensor(float(number))}, {"number": number}


def holds(checkpoint, number):
    tensors, content = state(number)
    stored = checkpoint.load()
    return stored is not None and stored[1] == content and equal(stored[0], tensors)


def test_save_and_load_round_trip(tmp_path):
    checkpoint = Checkpoint(tmp_path / "new" / "folder")
    assert checkpoint.load() is None
    for number in range(3):
        checkpoint.save(number, *state(number))
        assert holds(checkpoint, number)
        assert holds(Checkpoint(checkpoint.folder), number)
    assert len(list(checkpoint.folder.iterdir())) == 2  # nothing of the earlier states is left


def test_a_saved_state_does_not_follow_later_changes(tmp_path):
    checkpoint = Checkpoint(tmp_path)
    tensors, content = state(0)
    view = torch.zeros(8)[::2]  # not contiguous, as parameters may be
    checkpoint.save(0, {**tensors, "view": view}, content)
    tensors["a"].add_(1)
    view.add_(1)
    stored, _ = checkpoint.load()
    assert torch.equal(stored["a"], state(0)[0]["a"])
    assert torch.equal(stored["view"], torch.zeros(4))


def test_left_over_files_are_ignored_and_cleaned_by_the_next_save(tmp_path):
    checkpoint = Checkpoint(tmp_path)
    (tmp_path / "tensors-000000.safetensors.part").write_bytes(b"half")
    assert checkpoint.load() is None
    checkpoint.save(1, *state(1))
    (tmp_path / "tensors-000002.safetensors").write_bytes(b"orphan")
    (tmp_path / "tensors-000002.safetensors.part").write_bytes(b"half")
    (tmp_path / "state.json.part").write_text('{"tensors": "tens', encoding="utf8")
    assert holds(checkpoint, 1)
    checkpoint.save(2, *state(2))
    assert holds(checkpoint, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.json", "tensors-000002.safetensors"]


def test_delete_removes_everything_and_may_be_repeated(tmp_path):
    checkpoint = Checkpoint(tmp_path / "run")
    checkpoint.save(0, *state(0))
    checkpoint.delete()
    checkpoint.delete()
    assert checkpoint.load() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [1, 2])
def test_a_crash_at_a_rename_leaves_the_previous_state(tmp_path, monkeypatch, number):
    checkpoint = Checkpoint(tmp_path)
    checkpoint.save(0, *state(0))
    rename, calls = os.replace, []

    def crash(source, target):
        calls.append(target)
        if len(calls) == number:
            raise Killed
        rename(source, target)

    monkeypatch.setattr(checkpoints.os, "replace", crash)
    with pytest.raises(Killed):
        checkpoint.save(1, *state(1))
    monkeypatch.undo()
    assert holds(checkpoint, 0)
    checkpoint.save(1, *state(1))
    assert holds(checkpoint, 1)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_crash_at_any_line_of_save_leaves_the_old_or_the_new_state(tmp_path):
    found = []
    for line in range(1, 100):
        checkpoint = Checkpoint(tmp_path / str(line))
        checkpoint.save(0, *state(0))
        if crashed := crash_at_line(line, lambda checkpoint=checkpoint: checkpoint.save(1, *state(1))):
            assert holds(checkpoint, 0) or holds(checkpoint, 1)
            found.append(int(holds(checkpoint, 1)))
        checkpoint.save(1, *state(1))
        assert holds(checkpoint, 1)
        assert len(list(checkpoint.folder.iterdir())) == 2
        if not crashed:
            break
    assert sorted(found) == found  # old up to some line, new from there on
    assert set(found) == {0, 1}


def crash_at_line(number, call):
    """Run `call`, killed at the given line event of `Checkpoint.save` -> whether there was such a line."""
    lines = []

    def trace(frame, event, _):
        if frame.f_code is not Checkpoint.save.__code__:
            return None
        lines.append(event == "line")
        if sum(lines) == number and event == "line":
            raise Killed
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except Killed:
        return True
    finally:
        sys.settrace(before)
    return False


def test_groups_of_tensors_are_packed_as_copies_and_unpacked():
    groups = {"model": {"a.weight": torch.ones(2), "b": torch.zeros(1)}, "best": {"a.weight": torch.full((2,), 3.0)}}
    packed = pack(groups)
    groups["model"]["a.weight"].add_(1)
    assert torch.equal(unpack(packed, "model")["a.weight"], torch.ones(2))
    assert unpack(packed, "model").keys() == {"a.weight", "b"}
    assert torch.equal(unpack(packed, "best")["a.weight"], torch.full((2,), 3.0))
    assert unpack(packed, "absent") == {}


def test_a_restored_optimizer_makes_the_same_steps():
    generator = torch.Generator().manual_seed(0)
    start, gradients = torch.randn(7, generator=generator), torch.randn(6, 7, generator=generator)

    def steps(parameter, optimizer, rows):
        for gradient in rows:
            parameter.grad = gradient.clone()
            optimizer.step()

    one = nn.Parameter(start.clone())
    optimizer = torch.optim.Adam([one], lr=0.1)
    steps(one, optimizer, gradients[:3])
    two = nn.Parameter(one.detach().clone())
    restored = torch.optim.Adam([two], lr=0.1)
    restore_optimizer(restored, {name: value.clone() for name, value in optimizer_tensors(optimizer).items()})
    steps(one, optimizer, gradients[3:])
    steps(two, restored, gradients[3:])
    assert torch.equal(one, two)


def test_copied_weights_do_not_follow_the_model():
    model = build(ModelSettings(hidden_size=2), 0)
    copied = copy_weights(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert equal(copied, before)


class DroppingCell(MyGRUCell):
    """A cell whose training draws random numbers."""

    def forward(self, x, h_prev):
        return super().forward(F.dropout(x, 0.3, self.training), h_prev)


def small_data():
    pairs = split(Pairs("some", load_pairs("small").pairs[:300]), seed=0)
    return encode_pairs(pairs.train), encode_pairs(pairs.validation)


def run(folder, on_epoch=None, model=None, settings=SETTINGS):
    """The run of these tests -> (model, history)."""
    model = model or build(ModelSettings(hidden_size=8), 0)
    history = fit(model, *small_data(), settings, seed=3, on_epoch=on_epoch, checkpoint=Checkpoint(folder))
    return model, history


def assert_same_bits(first, second, folders):
    (model, history), (expected, expected_history) = first, second
    assert equal(model.state_dict(), expected.state_dict())
    for name in BITS:
        assert getattr(history, name) == getattr(expected_history, name)
    assert len(history) == len(history.seconds) == history.epochs
    assert history.seconds == sorted(history.seconds)
    assert history.interrupted is False
    stored = [Checkpoint(folder).load()[0] for folder in folders]
    assert equal(*stored)  # last weights, best weights and Adam's moments
    assert any(name.startswith("optimizer/") for name in stored[0])


def test_a_resumed_run_restores_random_numbers_order_and_moments(tmp_path):
    def dropping(seed):
        return build(ModelSettings(hidden_size=8), seed, DroppingCell)

    def kill(history):
        if len(history) % 4 == 0:
            raise Killed

    short, ended, lives = replace(SETTINGS, epochs=9), None, 0
    whole = run(tmp_path / "whole", model=dropping(0), settings=short)
    while ended is None:
        try:
            # only the first life's initial weights matter
            ended = run(tmp_path / "killed", kill, dropping(lives), short)
        except Killed:
            lives += 1
            torch.manual_seed(lives)
    assert lives == 2
    assert_same_bits(ended, whole, [tmp_path / "killed", tmp_path / "whole"])


def test_an_interrupted_run_goes_on_from_its_checkpoint(tmp_path):
    whole = run(tmp_path / "whole")

    def stop(history):
        if len(history) == 10:
            raise KeyboardInterrupt

    assert run(tmp_path / "stopped", stop)[1].interrupted
    new = []
    ended = run(tmp_path / "stopped", lambda history: new.append(len(history)))
    assert new == list(range(11, 19))  # the first ten are not trained again
    assert_same_bits(ended, whole, [tmp_path / "stopped", tmp_path / "whole"])


def test_the_best_model_of_before_the_kill_is_kept(tmp_path):
    growing = replace(SETTINGS, epochs=5, learning_rate=0.001, decay=10.0)  # too large in the end

    def kill(history):
        if len(history) == 4:
            raise Killed

    model, history = run(tmp_path / "whole", settings=growing)
    assert history.best < 3
    with pytest.raises(Killed):
        run(tmp_path / "killed", kill, settings=growing)
    resumed, continued = run(tmp_path / "killed", settings=growing)
    assert continued.best == history.best
    assert equal(resumed.state_dict(), model.state_dict())


def test_a_diverging_run_keeps_its_last_complete_epoch(tmp_path):
    model = build(ModelSettings(hidden_size=8), 0)
    steps = []

    def hook(module, _, logits):
        steps.append(module.training)
        return logits * float("nan") if module.training and sum(steps) > 12 else logits

    model.register_forward_hook(hook)
    with pytest.raises(Diverged, match="step 13 "):
        run(tmp_path, model=model)
    tensors, content = Checkpoint(tmp_path).load()
    assert len(content["updates"]) == 2  # of 6 steps each
    assert all(bool(value.isfinite().all()) for value in tensors.values())


def lives_that_are_killed(folder):
    """Start the run again and again in processes of their own and kill each with SIGKILL; prints how each ended."""
    torch.set_num_threads(1)
    torch.optim.Adam([nn.Parameter(torch.zeros(1))]).step()  # its slow imports come once, not in every life
    moments = random.Random(0)

    def kill_soon(history):
        if not timers:
            epoch = history.seconds[-1] - (history.seconds[-2] if len(history) > 1 else 0.0)
            timers.append(threading.Timer(moment * 2 * epoch, os.kill, (os.getpid(), signal.SIGKILL)))
            timers[0].start()

    for _ in range(KILLS):
        moment, timers = moments.random(), []
        child = os.fork()  # spares the next life the imports
        if child == 0:
            run(folder, kill_soon)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def test_a_run_killed_again_and_again_ends_with_the_same_bits(tmp_path):
    whole = run(tmp_path / "whole")
    killed = tmp_path / "killed"
    lives = subprocess.run(
        [sys.executable, "-c", f"import test_checkpoints; test_checkpoints.lives_that_are_killed({str(killed)!r})"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert lives.stdout.split() == [str(-signal.SIGKILL)] * KILLS
    done = len(Checkpoint(killed).load()[1]["updates"])
    assert KILLS <= done < SETTINGS.epochs  # every life completed an epoch, none the run
    new = []
    ended = run(killed, lambda history: new.append(len(history)))
    assert new == list(range(done + 1, SETTINGS.epochs + 1))
    assert_same_bits(ended, whole, [killed, tmp_path / "whole"])
