"""Part 1 measured against the textbook version, in one process: `python tests/benchmarks/part1.py`.

Both sides take turns, so that a change of the machine's speed meets both; the ratio of two sides is that of the sums
of each batch's fastest time. Seconds differ from machine to machine, the ratios much less.
"""

import statistics
import subprocess
import sys
import time

import textbook
import textbook_losses
import torch

from a3lib import decoding, experiments, gru
from a3lib.batches import Batches, encode_pairs, indices
from a3lib.models import build
from a3lib.training import TrainingSettings, batch_loss, fit, flat_parameters

ROUNDS = 5


def fastest(functions, rounds):
    """Fastest seconds of each function, called in turn."""
    times = [[] for _ in functions]
    for _ in range(rounds):
        for function, seconds in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            seconds.append(time.perf_counter() - start)
    return [min(seconds) for seconds in times]


def two_sides(name, seed=0):
    """The same run on both sides from the same weights: (model, its batches, textbook model, its batches, split)."""
    run = experiments.RUNS[name]
    data = experiments.run_split(run, seed)
    ours = build(run.model, seed)
    plain = textbook.Translator(29, run.model.hidden_size)
    plain.load_state_dict(ours.state_dict())
    size = run.training.batch_size
    batches = Batches(encode_pairs(data.train), "buckets", size, seed).of_pass(0)
    pairs = [(indices(word), indices(translation)) for word, translation in data.train]
    return ours, batches, plain, textbook.bucket_batches(pairs, size), data


def seconds_per_update(name, rounds=ROUNDS):
    """Mean over the run's batches of the fastest update: (ours, textbook), in seconds."""
    ours, batches, plain, plain_batches, _ = two_sides(name)
    weights = flat_parameters(ours)
    adam = torch.optim.Adam([weights], lr=0.005, fused=True)
    plain_adam = torch.optim.Adam(plain.parameters(), lr=0.005)

    def update(batch):
        weights.grad.zero_()
        loss = batch_loss(ours, batch)
        loss.backward()
        adam.step()

    pairs = [
        (lambda b=batch: update(b), lambda p=pair: textbook.update(plain, plain_adam, *p))
        for batch, pair in zip(batches, plain_batches, strict=True)
    ]
    times = [fastest(pair, rounds) for pair in pairs]
    return tuple(statistics.fmean(side) for side in zip(*times, strict=True))


def time_to_textbook_loss(name="gru-small"):
    """(our seconds to the textbook's final loss per token, its seconds for all its epochs, that loss).

    Ours: the same model and data, batches of mixed lengths; evaluation after every epoch included.
    """
    seconds, per_token, _ = textbook_losses.train(name, seed=0)
    run = experiments.RUNS[name]
    data = experiments.run_split(run, seed=0)
    settings = TrainingSettings(batches="padded", batch_size=64, updates_per_epoch=40, monitor="per_token")
    history = fit(build(run.model, 0), encode_pairs(data.train), encode_pairs(data.validation), settings, seed=0)
    reached = next(n for n, loss in enumerate(history.per_token) if loss <= per_token[-1])
    return history.seconds[reached], seconds, per_token[-1]


def encoder_seconds(rounds=200):
    """Forward and backward of one GRU layer at B=64, T=10, H=32: (ours, torch.nn.GRU)."""
    cell, layer = gru.MyGRUCell(32, 32), torch.nn.GRU(32, 32, batch_first=True)
    inputs = torch.randn(64, 10, 32, requires_grad=True)
    initial, grad = torch.zeros(64, 32), torch.randn(64, 10, 32)
    return fastest(
        [lambda: gru.unroll(cell, inputs, initial).backward(grad), lambda: layer(inputs)[0].backward(grad)], rounds
    )


def decoding_seconds(rounds=3):
    """The 640 validation words of small: (ours in batches, textbook one word at a time)."""
    ours, _, plain, _, data = two_sides("gru-small")
    words = [word for word, _ in data.validation]
    bound = {word: decoding.longest_translation(word) + 1 for word in words}

    def one_by_one():
        return [plain.translate(indices(word), bound[word]) for word in words]

    return fastest([lambda: decoding.translate_words(ours, words), one_by_one], rounds)


def import_seconds(rounds=5):
    """Seconds that importing all light modules of a3lib takes beyond torch's import."""
    modules = "a3lib, a3lib.experiments, a3lib.claims, a3lib.plots, a3lib.widgets, a3lib.translation"
    commands = [[sys.executable, "-c", f"import {names}"] for names in ("torch", f"torch, {modules}")]
    torch_only, with_a3lib = fastest([lambda c=c: subprocess.run(c, check=True) for c in commands], rounds)
    return with_a3lib - torch_only


def main():
    """Print each figure beside its target."""
    torch.set_num_threads(1)
    for name in ("gru-small", "gru-large"):
        ours, plain = seconds_per_update(name)
        print(f"{name}: {ours * 1e3:.2f} ms an update, textbook {plain * 1e3:.2f}: {plain / ours:.2f} times faster (2)")
    ours, layer = encoder_seconds()
    print(f"encoder: {ours * 1e3:.2f} ms, nn.GRU {layer * 1e3:.2f}: {ours / layer:.2f} of its time (at most 1.3)")
    ours, plain = decoding_seconds()
    print(f"decoding 640 words: {ours * 1e3:.0f} ms, one at a time {plain * 1e3:.0f}: {plain / ours:.0f} times (30)")
    print(f"import a3lib: {import_seconds():.2f} s more than torch (2)")
    ours, plain, loss = time_to_textbook_loss()
    print(f"to {loss:.3f} per token: {ours:.1f} s, textbook {plain:.1f} s: {plain / ours:.1f} times faster (3)")


if __name__ == "__main__":
    main()
