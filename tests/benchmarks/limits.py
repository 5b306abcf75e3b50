"""What bounds an update: `python tests/benchmarks/limits.py RUN...`.

Counts the operations and the bytes of one update (every operator reads its inputs and writes its outputs once, views
are free), measures the best rates of this machine on one core (large matrix product, copy of a large tensor, an
operator on one number), and sets the sum of the three bounds beside the measured time.
"""

import argparse
import statistics
import time

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from a3lib.common import one_thread
from a3lib.fast.logits import fast_logits
from a3lib.lab.runs import PUBLISHED_RUNS, RUNS
from a3lib.translation.batches import Batches, encode_pairs
from a3lib.translation.losses import token_loss
from a3lib.translation.models import build


class Traffic(TorchDispatchMode):
    """Counts operators, and the bytes of their inputs and outputs; views move nothing."""

    def __init__(self):
        super().__init__()
        self.operators, self.bytes = 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        outputs = [x for x in tree_leaves(result) if isinstance(x, torch.Tensor)]
        inputs = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        shared = {x.untyped_storage().data_ptr() for x in inputs}
        in_place = function._schema.name.endswith("_")
        self.operators += 1
        if in_place or not all(x.untyped_storage().data_ptr() in shared for x in outputs):
            self.bytes += sum(x.numel() * x.element_size() for x in inputs + outputs)
        return result


def fastest(function, repeats=30):
    """Least processor seconds of several calls."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        taken.append(time.process_time() - start)
    return min(taken)


def smallest_operators():
    """1,000 operators on one number: 500 additions and their gradients."""
    x = one = torch.ones(1, requires_grad=True)
    for _ in range(500):
        x = x + one
    x.backward()


def machine_rates():
    """Best operations a second, bytes a second, and seconds of the smallest operator."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    large, copy = torch.randn(2**25), torch.empty(2**25)
    flops = 2 * 1024**3 / fastest(lambda: torch.mm(a, b))
    bandwidth = 2 * large.numel() * 4 / fastest(lambda: copy.copy_(large))
    operator = fastest(smallest_operators) / 1000
    return flops, bandwidth, operator


def limits(name):
    """(seconds, operations, bytes, operators, share of the products in the profile) of an update on a median batch."""
    run = RUNS[name]
    model = build(run.model, seed=0)
    batches = Batches(
        encode_pairs(run.split(0).train), "buckets", run.training.batch_size, 0
    ).of_epoch(0)
    batch = sorted(batches, key=lambda one: one.target.numel())[len(batches) // 2]

    def update():
        model.zero_grad()
        token_loss(fast_logits(model, batch.source, batch.prefix), batch.target).backward()

    seconds = statistics.median(fastest(update, 1) for _ in range(15))
    with FlopCounterMode(display=False) as counter:
        update()
    with Traffic() as traffic:
        update()
    with torch.profiler.profile() as profile:
        update()
    own = {event.key: event.self_cpu_time_total for event in profile.key_averages()}
    products = sum(own.get(f"aten::{name}", 0) for name in ("mm", "addmm", "bmm", "baddbmm")) / sum(
        own.values()
    )
    return seconds, counter.get_total_flops(), traffic.bytes, traffic.operators, products


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", default=PUBLISHED_RUNS)
    with one_thread():
        flops, bandwidth, operator = machine_rates()
        print(
            f"best rates: {flops / 1e9:.0f} Gflop/s, {bandwidth / 1e9:.1f} GB/s, {operator * 1e6:.2f} us an operator"
        )
        for name in parser.parse_args().runs:
            seconds, work, moved, operators, products = limits(name)
            bounds = work / flops, moved / bandwidth, operators * operator
            named = zip(("products", "memory", "calls"), bounds, strict=True)
            parts = ", ".join(f"{part * 1e3:.2f} ms {what}" for what, part in named)
            shown = f"{work / 1e6:.0f} Mflop, {moved / 1e6:.0f} MB, {operators} operators"
            print(
                f"{name:20} {seconds * 1e3:6.2f} ms measured; {shown}: {parts}; sum {sum(bounds) / seconds:.0%}; "
                f"products really take {products:.0%}"
            )
