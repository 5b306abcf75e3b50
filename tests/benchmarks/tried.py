"""What was tried to make training faster and did not help: `python tests/benchmarks/tried.py FILE`.

The update of the quick recipe (32 words of up to 12 symbols) as it is, in bfloat16, compiled, and for five seeds
at once by `vmap`; and the recurrence of the GRU for five seeds at once by batched products. Processor milliseconds
of one thread, per update and seed; medians, the sides in turn.
"""

import argparse
import statistics
import time

import torch
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional as F

from a3lib.common import one_thread
from a3lib.fast.logits import gru_states
from a3lib.lab.keys import made_with
from a3lib.lab.records import append_record
from a3lib.lab.runs import RUNS
from a3lib.translation.batches import Batches, V, encode_pairs
from a3lib.translation.gru import MyGRUCell
from a3lib.translation.losses import token_loss
from a3lib.translation.models import build

SEEDS = 5  # models trained at once
ROUNDS = 15


def one_batch():
    """A batch of median size of the quick recipe, cut to one shape so that nothing compiles twice."""
    run = RUNS["recipe-quick"]
    words = encode_pairs(run.split(0).train)
    batches = Batches(words, run.training.batches, run.training.batch_size, 0).of_epoch(0)
    return sorted(batches, key=lambda batch: batch.target.numel())[len(batches) // 2]


def gradients(model, batch, forward=None, precision=None):
    """A function that computes one update's loss and gradients."""

    def update():
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision is not None):
            logits = (model if forward is None else forward)(
                batch.source, batch.prefix, batch.source_mask
            )
        token_loss(logits.float(), batch.target).backward()

    return update


def by_vmap(settings, batch):
    """The same for `SEEDS` models of different weights, in one call."""
    models = [build(settings, seed) for seed in range(SEEDS)]
    weights, buffers = stack_module_state(models)
    given = batch.source, batch.prefix, batch.source_mask

    def loss(weights, buffers):
        return token_loss(functional_call(models[0], (weights, buffers), given), batch.target)

    together = vmap(grad(loss))
    return lambda: together(weights, buffers)


def recurrences(batch, size=32):
    """Forward and backward of a GRU over a batch: the fast twin's, and `SEEDS` of them stacked."""
    cell, embedding = MyGRUCell(size, size), torch.nn.Embedding(V, size)
    start = torch.zeros(len(batch.source), size)
    names = ("Wiz", "Wir", "Wih", "Whz", "Whr", "Whh")

    def alone():
        gru_states(cell, embedding, batch.source, start).sum().backward()

    stacked = {name: torch.stack([getattr(cell, name).weight.t()] * SEEDS) for name in names}
    stacked = {name: weight.detach().requires_grad_() for name, weight in stacked.items()}
    x = F.embedding(batch.source.t(), embedding.weight.detach())  # (S, B, D)

    def together():
        h = start.expand(SEEDS, *start.shape)
        total = 0.0
        for step in x.expand(SEEDS, *x.shape).unbind(1):  # (seeds, B, D)
            z, r, g = (torch.bmm(step, stacked[name]) for name in names[:3])
            z = torch.sigmoid(torch.baddbmm(z, h, stacked["Whz"]))
            r = torch.sigmoid(torch.baddbmm(r, h, stacked["Whr"]))
            g = torch.tanh(torch.baddbmm(g, r * h, stacked["Whh"]))
            h = torch.lerp(h, g, z)
            total = total + h.sum()
        total.backward()

    return alone, together


def milliseconds(functions, rounds=ROUNDS):
    """Median processor milliseconds of each function, called in turn; the first call is not counted."""
    taken = {name: [] for name in functions}
    for turn in range(rounds + 1):
        for name, function in functions.items():
            start = time.process_time()
            function()
            if turn:
                taken[name].append(1e3 * (time.process_time() - start))
    return {name: statistics.median(values) for name, values in taken.items()}


def measure():
    """One record: milliseconds per update and seed of every way, and the seconds that compiling takes."""
    settings, batch = RUNS["recipe-quick"].model, one_batch()
    model = build(settings, 0).train()
    compiled = torch.compile(model)
    first = gradients(model, batch, compiled)
    start = time.process_time()
    first()
    compiling = time.process_time() - start
    alone, together = recurrences(batch)
    found = milliseconds(
        {
            "as it is": gradients(model, batch),
            "bfloat16": gradients(model, batch, precision=torch.bfloat16),
            "compiled": first,
            "vmap": by_vmap(settings, batch),
            "GRU, fast twin": alone,
            "GRU, stacked": together,
        }
    )
    for name in ("vmap", "GRU, stacked"):
        found[name] /= SEEDS
    return {"run": "tried", "seed": 0, "milliseconds": found, "compiling": compiling, **made_with()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="file that the record is appended to")
    path = parser.parse_args().file
    with one_thread():
        record = measure()
    append_record(path, record)
    print(record["milliseconds"], f"compiling {record['compiling']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
