"""The eight published runs, ours and the textbook's: seconds per update, `python tests/benchmarks/bench_attention.py`.

Both take the same exact-length batches of the run's data and start from the same weights. Updates alternate; each batch
counts with its median of several. Processor time of one thread, so that other work on the machine hardly matters. The
last lines compare attention without a map with PyTorch's fused kernel on the same projections.
"""

import argparse
import math
import statistics
import time

import textbook
import textbook_attention
import torch
from torch.nn import functional as F

from a3lib.attention import ScaledDotAttention
from a3lib.batches import Batches, V, encode_pairs
from a3lib.experiments import run_split
from a3lib.models import build
from a3lib.runs import PUBLISHED_RUNS, RUNS
from a3lib.training import batch_loss, flat_parameters, one_thread


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


def compare(run, batches, repeats):
    """Seconds per update (ours, textbook's) over evenly spaced batches of one run."""
    ours, theirs = build(run.model, seed=0), opponent(run.model)
    theirs.load_state_dict(ours.state_dict())
    weights = flat_parameters(ours)
    optimizer = torch.optim.Adam([weights], lr=run.training.learning_rate, fused=True)
    their_optimizer = torch.optim.Adam(theirs.parameters(), lr=run.training.learning_rate)
    encoded = encode_pairs(run_split(run, seed=0).train)
    every = Batches(encoded, "buckets", run.training.batch_size, seed=0).of_pass(0)
    chosen = [every[i * len(every) // batches] for i in range(batches)]
    their_update = textbook.update if run.model.kind == "gru" else textbook_attention.update

    def update(batch):
        weights.grad.zero_()
        loss = batch_loss(ours, batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    first = [update(chosen[0]), their_update(theirs, their_optimizer, chosen[0].source, chosen[0].target)]
    assert math.isclose(*first, abs_tol=1e-4), f"{run.name}: the two models differ, losses {first}"
    medians = [
        alternate(
            [
                lambda batch=batch: update(batch),
                lambda batch=batch: their_update(theirs, their_optimizer, batch.source, batch.target),
            ],
            repeats,
        )
        for batch in chosen
    ]
    return [statistics.mean(column) for column in zip(*medians, strict=True)]


def fused_ratio(B, length, H, repeats):
    """Time of `ScaledDotAttention.context`, forward and backward, over that of PyTorch's fused function."""
    module = ScaledDotAttention(H)
    x, upstream = torch.randn(B, length, H, requires_grad=True), torch.randn(B, length, H)
    leaves = [x, *module.parameters()]

    def ours():
        torch.autograd.grad(module.context(x, x, x), leaves, upstream)

    def fused():
        q, k, v = (layer(x)[:, None] for layer in (module.Q, module.K, module.V))
        torch.autograd.grad(F.scaled_dot_product_attention(q, k, v)[:, 0], leaves, upstream)

    ours_seconds, fused_seconds = alternate([ours, fused], repeats)
    return ours_seconds / fused_seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", default=PUBLISHED_RUNS, help="names of published runs; none: all eight")
    parser.add_argument("--batches", type=int, default=6, help="batches of each run")
    parser.add_argument("--repeats", type=int, default=9, help="updates on each batch")
    options = parser.parse_args()
    ratios = []
    with one_thread():
        for name in options.runs:
            ours, theirs = compare(RUNS[name], options.batches, options.repeats)
            ratios.append(theirs / ours)
            print(
                f"{name:20} {1e3 * ours:8.2f} ms  textbook {1e3 * theirs:8.2f} ms  ratio {ratios[-1]:.2f}", flush=True
            )
        print(f"geometric mean {statistics.geometric_mean(ratios):.2f}, lowest {min(ratios):.2f}")
        for size in ((64, 10, 32), (512, 10, 64), (8, 256, 64)):
            print(f"fused attention, B, length, H = {size}: {fused_ratio(*size, 31):.2f} times PyTorch's")


if __name__ == "__main__":
    main()
