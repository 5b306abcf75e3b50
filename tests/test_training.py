"""Training: equal to a plain loop, the best model kept, interrupts, divergence, and the same bits in every process."""

import hashlib
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from a3lib import training
from a3lib.batches import KINDS, Batches, encode_pairs
from a3lib.metrics import Losses, losses
from a3lib.models import ModelSettings, build
from a3lib.pig_latin import Pairs, load_pairs, split
from a3lib.training import Diverged, TrainingSettings, batch_loss, fit, flat_parameters

MODEL = ModelSettings(hidden_size=8)  # learns a little in a few milliseconds
TINY = TrainingSettings(epochs=3, batch_size=16, updates_per_epoch=4, batches="padded")


@pytest.fixture(scope="module")
def data():
    """240 training and 60 validation words, encoded."""
    pairs = split(Pairs("some", load_pairs("small").pairs[::10][:300]), seed=0)
    return encode_pairs(pairs.train), encode_pairs(pairs.validation)


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def plain_fit(model, train, settings, seed):
    """The recipe as one would write it first -> mean loss per token of every epoch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    batches = Batches(train, settings.batches, settings.batch_size, seed)
    history = []
    for epoch in range(settings.epochs):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * settings.decay ** (epoch + 1)
        total = tokens = 0
        for update in range(epoch * settings.updates_per_epoch, (epoch + 1) * settings.updates_per_epoch):
            batch = batches.of_pass(update // batches.passes)[update % batches.passes]
            chances = model(batch.source, batch.prefix, batch.source_mask).log_softmax(2)  # (B, T, V)
            counted = batch.target >= 0  # (B, T)
            surprise = -chances.gather(2, batch.target.clamp(min=0)[:, :, None])[:, :, 0]  # (B, T)
            summed = surprise[counted].sum()
            optimizer.zero_grad()
            (summed / counted.sum()).backward()
            optimizer.step()
            total, tokens = total + summed.item(), tokens + int(counted.sum())
        history.append(total / tokens)
    return history


def weights_of(model):
    return torch.cat([value.flatten() for value in model.state_dict().values()]).clone()


def planned(monkeypatch, values, bucket_means=None):
    """Let the validation losses be these -> list that collects the weights at each evaluation."""
    seen, rest = [], iter(zip(values, bucket_means or values, strict=True))

    def evaluate(model, encoded, batch_size):
        seen.append(weights_of(model))
        return Losses(*next(rest))

    monkeypatch.setattr(training, "losses", evaluate)
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_fit_equals_a_plain_loop(data, kind, monkeypatch):
    settings = replace(TINY, batches=kind, updates_per_epoch=7, learning_rate=0.01, decay=0.5)
    expected = build(MODEL, 1)
    expected_losses = plain_fit(expected, data[0], settings, seed=5)
    model = build(MODEL, 1)
    planned(monkeypatch, [3.0, 2.0, 1.0])  # the last epoch is the best, so the last weights are kept
    history = fit(model, *data, settings, seed=5)
    torch.testing.assert_close(history.train, expected_losses, rtol=0, atol=1e-6)
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=2e-6)
    assert (weights_of(model) - weights_of(build(MODEL, 1))).abs().max() > 0.01


def test_history_reports_the_losses_of_the_model_at_each_epoch(data):
    reported = []

    def look(history):
        assert len(history) == len(reported) + 1
        reported.append(losses(model, data[1], TINY.batch_size))

    model = build(MODEL, 0)
    history = fit(model, *data, TINY, seed=0, on_epoch=look)
    assert list(zip(history.per_token, history.bucket_mean, strict=True)) == reported
    assert history.seconds == sorted(history.seconds)
    assert (history.epochs, history.interrupted, model.training) == (3, False, False)
    assert history.device == str(next(model.parameters()).device)


def test_flat_parameters_keep_values_and_share_gradients_with_the_model(data):
    model, reference = build(MODEL, 3), build(MODEL, 3)
    batch = Batches(data[0], "buckets", 16, 0).of_pass(0)[0]
    flat = flat_parameters(model)
    assert torch.equal(flat.detach(), weights_of(reference))
    batch_loss(model, batch).backward()
    batch_loss(reference, batch).backward()
    assert torch.equal(flat.grad, torch.cat([parameter.grad.flatten() for parameter in reference.parameters()]))
    with torch.no_grad():
        flat.add_(1.0)
    assert torch.equal(weights_of(model), weights_of(reference) + 1)


def test_one_adam_step_on_the_flat_vector_equals_one_a_parameter(data):
    model, reference = build(MODEL, 3), build(MODEL, 3)
    flat = flat_parameters(model)
    optimizers = torch.optim.Adam([flat], lr=0.01), torch.optim.Adam(reference.parameters(), lr=0.01)
    for batch in Batches(data[0], "padded", 16, 0).of_pass(0)[:5]:
        flat.grad.zero_()
        optimizers[1].zero_grad()
        for side, optimizer in zip((model, reference), optimizers, strict=True):
            batch_loss(side, batch).backward()
            optimizer.step()
    torch.testing.assert_close(weights_of(model), weights_of(reference), rtol=0, atol=1e-6)


def test_parameters_can_be_flattened_twice(data):
    model, reference = build(MODEL, 3), build(MODEL, 3)
    fit(model, *data, replace(TINY, epochs=1), seed=0)
    fit(reference, *data, replace(TINY, epochs=1), seed=0)
    copied = build(MODEL, 9)
    copied.load_state_dict(reference.state_dict())
    fit(model, *data, TINY, seed=1)
    fit(copied, *data, TINY, seed=1)
    assert torch.equal(weights_of(model), weights_of(copied))


def test_loss_per_token_weighs_every_token_alike(data):
    """Without learning, the epoch's training loss is the data's loss per token, not a mean over batches."""
    frozen = replace(TINY, learning_rate=0.0, epochs=1, updates_per_epoch=None, batches="buckets")
    model = build(MODEL, 2)
    with torch.no_grad():
        model.decoder.out.bias[0] += 6  # some lengths lose more than others
    history = fit(model, data[0], data[0], frozen, seed=0)
    of_batches, tokens = [], []
    with torch.no_grad():
        for batch in Batches(data[0], "buckets", 16, 0).of_pass(0):
            logits = model(batch.source, batch.prefix, batch.source_mask)
            of_batches.append(F.cross_entropy(logits.flatten(0, 1), batch.target.flatten(), ignore_index=-100).item())
            tokens.append(batch.tokens)
    weighted = sum(loss * n for loss, n in zip(of_batches, tokens, strict=True)) / sum(tokens)
    unweighted = sum(of_batches) / len(of_batches)
    assert history.train[0] == pytest.approx(weighted, abs=1e-5)
    assert history.per_token[0] == pytest.approx(weighted, abs=1e-5)
    assert history.bucket_mean[0] == pytest.approx(unweighted, abs=1e-5)
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
    model, growing = build(MODEL, 0), replace(TINY, epochs=4, learning_rate=0.001, decay=10.0)  # too large in the end
    history = fit(model, *data, replace(growing, monitor="per_token"), seed=0)
    assert 0 < history.best < 3
    assert history.per_token[history.best] == min(history.per_token)
    assert losses(model, data[1], TINY.batch_size).per_token == history.per_token[history.best]


@pytest.mark.parametrize(
    ("values", "patience", "length"),
    [
        ([3.0, 2.0, 2.5, 2.4, 2.3, 2.2, 2.1, 1.0], 2, 5),
        ([3.0, 2.0, 2.0, 1.0, 0.5, 0.4, 0.3, 0.2], 0, 3),  # an equal loss is no improvement
        ([3.0, 2.0, 2.5, 2.4, 1.9, 2.2, 2.1, 2.0], 2, 8),  # the last allowed epoch improves: the count starts again
        ([8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0], 0, 8),
    ],
)
def test_training_stops_after_patience_plus_one_epochs_without_improvement(data, monkeypatch, values, patience, length):
    planned(monkeypatch, values)
    history = fit(build(MODEL, 0), *data, replace(TINY, epochs=8, patience=patience), seed=0)
    assert history.per_token == values[:length]
    assert history.interrupted is False


def test_updates_per_epoch_counts_gradient_steps(data):
    model = build(MODEL, 0)
    calls = []
    model.register_forward_hook(lambda *_: calls.append(model.training))
    history = fit(model, *data, replace(TINY, updates_per_epoch=20), seed=0)
    assert history.updates == [20, 40, 60]
    assert sum(calls) == 60
    one_pass = fit(build(MODEL, 0), *data, replace(TINY, updates_per_epoch=None), seed=0)
    assert one_pass.updates == [15, 30, 45]  # 240 words in batches of 16


def test_an_interrupt_returns_what_was_trained_so_far(data, monkeypatch):
    seen = planned(monkeypatch, [3.0, 1.0, 2.0, 4.0, 5.0])

    def stop(history):
        if len(history) == 4:
            raise KeyboardInterrupt

    model = build(MODEL, 0)
    history = fit(model, *data, replace(TINY, epochs=5), seed=0, on_epoch=stop)
    assert history.interrupted
    assert history.per_token == [3.0, 1.0, 2.0, 4.0]
    assert torch.equal(weights_of(model), seen[1])
    assert not model.training


def corrupt(model, step, action):
    """Let `action(output)` replace the model's output at its training step `step`, counted from 1."""
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
    history = fit(model, *data, TINY, seed=0)
    assert history.interrupted
    for name in ("updates", "train", "per_token", "bucket_mean"):
        assert getattr(history, name) == getattr(expected, name)
    assert len(history.seconds) == complete
    if complete:
        assert torch.equal(weights_of(model), weights_of(whole))


def test_a_loss_that_is_not_finite_names_its_step_and_learning_rate(data):
    model = build(MODEL, 0)
    corrupt(model, 7, lambda logits: logits * float("nan"))
    with pytest.raises(Diverged, match=r"nan at step 7 with learning rate 0\.0049:"):  # 0.005 x 0.99^2, epoch 2
        fit(model, *data, TINY, seed=0)


def test_a_learning_rate_that_diverges_is_told(data):
    with pytest.raises(Diverged, match=r"at step 2 with learning rate 9\.9e\+37: lower the learning rate"):
        fit(build(MODEL, 0), *data, replace(TINY, learning_rate=1e38), seed=0)


def test_weights_broken_by_the_last_step_are_told_too(data):
    """The loss of the only step is finite; what it leaves behind is not."""
    with pytest.raises(Diverged, match=r"validation loss became nan at step 1 "):
        fit(build(MODEL, 0), *data, replace(TINY, learning_rate=1e38, epochs=1, updates_per_epoch=1), seed=0)


@pytest.mark.parametrize("ending", ["normal", "interrupted", "diverged"])
def test_threads_and_random_state_are_left_as_they_were(data, ending):
    model = build(MODEL, 0)
    if ending != "normal":
        corrupt(model, 6, interrupt if ending == "interrupted" else lambda logits: logits * float("nan"))
    torch.set_num_threads(2)
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


def test_results_do_not_depend_on_thread_count_or_global_random_state(data):
    outcomes = []
    for threads, seed in ((1, 0), (2, 12345)):
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        model, inside = build(MODEL, 0), set()
        model.register_forward_hook(lambda *_, inside=inside: inside.add(torch.get_num_threads()))
        history = fit(model, *data, TINY, seed=0)
        assert inside == {1}
        outcomes.append((weights_of(model).numpy().tobytes(), history.train, history.per_token, history.bucket_mean))
    assert outcomes[0] == outcomes[1]


def test_another_seed_gives_another_order_of_batches(data):
    first, second = (fit(build(MODEL, 0), *data, TINY, seed=seed) for seed in (0, 1))
    assert first.train != second.train


def fingerprint(path):
    """Hash of the losses and the weights of a run on a pair file, from reading it on."""
    pairs = split(load_pairs(path), seed=4)
    model = build(MODEL, 4)
    history = fit(model, encode_pairs(pairs.train), encode_pairs(pairs.validation), TINY, seed=4)
    content = repr([history.train, history.per_token, history.bucket_mean]).encode()
    return hashlib.sha256(content + weights_of(model).numpy().tobytes()).hexdigest()


def test_results_do_not_depend_on_hash_randomisation(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("\n".join(map(" ".join, load_pairs("small").pairs[:60])) + "\n", encoding="utf8")
    code = f"import test_training; print(hash('word'), test_training.fingerprint({str(path)!r}))"
    environment = {**os.environ, "PYTHONHASHSEED": "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"}
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    hashed, printed = run.stdout.split()
    assert int(hashed) != hash("word")  # words do have another hash there
    assert printed == fingerprint(path)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_training_runs_on_the_gpu_and_says_so(data):
    device = training.best_device()
    model = build(MODEL, 0).to(device)
    history = fit(model, *(side.to(device) for side in data), TINY, seed=0)
    assert history.device.startswith("cuda")
    assert all(parameter.is_cuda for parameter in model.parameters())
    assert history.train[-1] < history.train[0]


def test_one_cycle_rises_to_the_given_rate_and_falls_to_zero():
    settings = replace(TINY, schedule="one-cycle", learning_rate=0.01, epochs=5)
    rates = [training.learning_rate(settings, update, per_epoch=20) for update in range(100)]
    top = rates.index(max(rates))
    assert rates[top] == pytest.approx(0.01) and top == 9  # a tenth of all updates
    assert rates[:10] == sorted(rates[:10]) and rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[0] == pytest.approx(0.001) and rates[-1] == pytest.approx(0, abs=1e-12)
    assert rates[54] == pytest.approx(0.005)  # half-way down


def test_an_unknown_schedule_is_refused(data):
    with pytest.raises(ValueError, match="'one-cycle', not 'constant'"):
        fit(build(MODEL, 0), *data, replace(TINY, schedule="constant"), 0)


def test_weight_decay_and_clipping_are_those_of_a_plain_loop(data):
    """AdamW, the norm over all parameters, and a learning rate of its own for every update."""
    settings = replace(TINY, schedule="one-cycle", weight_decay=0.1, clip=0.05)
    ours, plain = build(MODEL, 0).double(), build(MODEL, 0).double()
    history = fit(ours, *data, settings, seed=0)
    optimizer = torch.optim.AdamW(plain.parameters(), weight_decay=0.1)
    batches, values = Batches(data[0], settings.batches, settings.batch_size, seed=0), []
    for update, batch in enumerate(batches.updates(0, 12)):
        optimizer.param_groups[0]["lr"] = training.learning_rate(settings, update, 4)
        optimizer.zero_grad()
        loss = batch_loss(plain, batch)
        loss.backward()
        norm = torch.cat([parameter.grad.flatten() for parameter in plain.parameters()]).norm()
        assert norm > settings.clip
        for parameter in plain.parameters():
            parameter.grad = parameter.grad * settings.clip / norm
        optimizer.step()
        values.append((loss.item() * batch.tokens, batch.tokens))
    for epoch in range(3):
        sums, tokens = zip(*values[4 * epoch : 4 * epoch + 4], strict=True)
        assert history.train[epoch] == pytest.approx(sum(sums) / sum(tokens), abs=1e-9)
