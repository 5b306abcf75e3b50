"""Updates, encoder and decoding beside plain versions, in one process: `python tests/benchmarks/speed.py`.

The eight published runs: the fast twin, the readable classes, and the textbook's version, on the same batches and from
the same weights. Sides take turns, each batch counts with its median of several, in processor time of one thread, so
that other work on the machine hardly matters. Milliseconds differ from machine to machine, ratios much less.
"""

import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import replace

import textbook
import textbook_attention
import torch

from a3lib.common import one_thread
from a3lib.fast.engine import FastEngine
from a3lib.fast.logits import gru_states
from a3lib.lab.runs import PUBLISHED_RUNS, RUNS
from a3lib.optimization import Updates
from a3lib.translation.batches import Batches, V, encode_pairs, indices
from a3lib.translation.greedy_decoding import translate_words
from a3lib.translation.gru import MyGRUCell
from a3lib.translation.losses import token_loss
from a3lib.translation.models import build
from a3lib.translation.pig_latin import longest_translation

RECURRENT = ("gru-small", "gru-large", "additive-small")
SIDES = ("fast", "readable", "textbook")


def opponent(settings):
    """The textbook's model of the same kind and size."""
    if settings.kind == "gru":
        return textbook.Translator(V, settings.hidden_size)
    if settings.kind == "rnn-attention":
        return textbook_attention.rnn_attention(V, settings.hidden_size)
    with_positions = settings.transformer.positions == "sinusoid"
    return textbook_attention.transformer(V, settings.hidden_size, settings.layers, with_positions)


def alternate(functions, repeats):
    """Median processor seconds of each function, called in turn."""
    seconds = [[] for _ in functions]
    for _ in range(repeats):
        for function, taken in zip(functions, seconds, strict=True):
            start = time.process_time()
            function()
            taken.append(time.process_time() - start)
    return [statistics.median(taken) for taken in seconds]


def update_of(run, side):
    """A function that makes one update on a `Batch` and returns its loss."""
    model = build(run.model, seed=0)
    if side == "textbook":
        plain = opponent(run.model)
        plain.load_state_dict(model.state_dict())
        adam = torch.optim.Adam(plain.parameters(), lr=run.training.learning_rate)
        update = (textbook if run.model.kind == "gru" else textbook_attention).update
        return lambda batch: update(plain, adam, batch.source, batch.target)
    notes = []
    forward = FastEngine(model, notes) if side == "fast" else model
    updates = Updates(model.train(), replace(run.training, decay=1.0), per_epoch=1000)

    def ours(batch):
        loss = token_loss(forward(batch.source, batch.prefix, batch.source_mask), batch.target)
        updates.zero_grad()
        loss.backward()
        updates.step(0)
        assert not notes, notes
        return loss.item()

    return ours


def seconds_per_update(name, batches=6, repeats=9):
    """{side: seconds} over evenly spaced batches of a published run."""
    run = RUNS[name]
    encoded = encode_pairs(run.split(seed=0).train)
    every = Batches(encoded, "buckets", run.training.batch_size, seed=0).of_epoch(0)
    chosen = [every[i * len(every) // batches] for i in range(batches)]
    sides = {side: update_of(run, side) for side in SIDES}
    first = {side: update(chosen[0]) for side, update in sides.items()}
    assert max(first.values()) - min(first.values()) < 1e-4, f"{name}: the sides differ, {first}"
    medians = [alternate([lambda u=u, b=b: u(b) for u in sides.values()], repeats) for b in chosen]
    return dict(zip(sides, map(statistics.mean, zip(*medians, strict=True)), strict=True))


def encoder_seconds(repeats=61):
    """Forward and backward of one GRU layer at B = 64, S = 10, H = 32: (the twin's, nn.GRU)."""
    embedding, cell = torch.nn.Embedding(V, 32), MyGRUCell(32, 32)
    layer, symbols = torch.nn.GRU(32, 32, batch_first=True), torch.randint(V, (64, 10))
    initial, upstream = torch.zeros(64, 32), torch.randn(64, 10, 32)

    def ours():
        gru_states(cell, embedding, symbols, initial).transpose(0, 1).backward(upstream)

    def theirs():
        layer(embedding(symbols))[0].backward(upstream)

    return alternate([ours, theirs], repeats)


def decoding_seconds(repeats=3):
    """The 640 validation words of small: (ours in batches, the textbook's one word at a time)."""
    run = RUNS["gru-small"]
    model, plain = build(run.model, 0), opponent(run.model)
    plain.load_state_dict(model.state_dict())
    words = [word for word, _ in run.split(0).validation]

    def one_by_one():
        return [plain.translate(indices(w), longest_translation(w) + 1) for w in words]

    return alternate([lambda: translate_words(model, words), one_by_one], repeats)


def import_seconds(repeats=5):
    """Seconds that importing the library takes beyond torch's import."""
    modules = "a3lib.lab.experiments, a3lib.lab.claims, a3lib.translation.sentences"
    commands = [
        [sys.executable, "-c", f"import {names}"] for names in ("torch", f"torch, {modules}")
    ]
    seconds = [[], []]
    for _ in range(repeats):
        for command, taken in zip(commands, seconds, strict=True):
            start = time.perf_counter()
            subprocess.run(command, check=True)
            taken.append(time.perf_counter() - start)
    return min(seconds[1]) - min(seconds[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", default=PUBLISHED_RUNS, help="none: all eight")
    parser.add_argument("--batches", type=int, default=6, help="batches of each run")
    parser.add_argument("--repeats", type=int, default=9, help="updates on each batch")
    options, ratios = parser.parse_args(), {}
    with one_thread():
        for name in options.runs:
            taken = seconds_per_update(name, options.batches, options.repeats)
            ratios[name] = taken["textbook"] / taken["fast"]
            readable = taken["textbook"] / taken["readable"]
            shown = ", ".join(f"{side} {1e3 * seconds:.2f} ms" for side, seconds in taken.items())
            print(
                f"{name:20} {shown}: {ratios[name]:.2f} times faster; readable {readable:.2f}",
                flush=True,
            )
        recurrent = [ratios[name] for name in RECURRENT if name in ratios] or [0]
        means = f"geometric mean {statistics.geometric_mean(ratios.values()):.2f}, lowest {min(ratios.values()):.2f}"
        print(f"{means}, mean of the recurrent ones {statistics.mean(recurrent):.2f}")
        ours, theirs = encoder_seconds()
        print(
            f"encoder: {1e3 * ours:.2f} ms, nn.GRU {1e3 * theirs:.2f}: {ours / theirs:.2f} of its time"
        )
        ours, theirs = decoding_seconds()
        print(
            f"decoding 640 words: {1e3 * ours:.0f} ms, one at a time {1e3 * theirs:.0f}: {theirs / ours:.0f} times"
        )
    print(f"import: {import_seconds():.2f} s more than torch")


if __name__ == "__main__":
    main()
