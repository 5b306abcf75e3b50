"""How the time of an epoch grows with the data, the hidden size and the batch: `python -m a3lib.costs FILE`."""

import argparse
import math
import statistics
import time

import torch

from a3lib import identity
from a3lib.batches import Batches, encode_pairs
from a3lib.models import ModelSettings, build
from a3lib.pig_latin import Pairs, load_pairs
from a3lib.records import append_record
from a3lib.training import batch_loss, flat_parameters, one_thread

MODELS = {"GRU": ModelSettings(), "transformer": ModelSettings("transformer", layers=3)}
BASE = {"words": 8000, "H": 32, "B": 64}  # what stays while one of the three changes
VALUES = {
    "words": (1000, 2000, 4000, 8000, 16000),
    "H": (16, 32, 64, 128),
    "B": (16, 64, 256, 1024),
}
UPDATES = 12  # timed, of the passes of an epoch: their mean is good to a few per cent
REPEATS = 5


def epoch_seconds(settings, words, batch_size, seed):
    """Processor seconds that one epoch over the first `words` pairs takes, from the mean of some of its updates."""
    some = Pairs("some", load_pairs("large").pairs[:: len(load_pairs("large")) // words][:words])
    batches = Batches(encode_pairs(some), "padded", batch_size, seed)
    every = batches.of_pass(0)
    chosen = [
        every[i * len(every) // min(UPDATES, len(every))] for i in range(min(UPDATES, len(every)))
    ]
    model = build(settings, seed)
    weights = flat_parameters(model)
    optimizer = torch.optim.Adam([weights], fused=True)
    seconds = []
    for batch in [
        chosen[0],
        *chosen,
    ]:  # the first one, twice: allocations of a first update are not counted
        start = time.process_time()
        weights.grad.zero_()
        batch_loss(model, batch).backward()
        optimizer.step()
        seconds.append(time.process_time() - start)
    return statistics.mean(seconds[1:]) * batches.passes


def exponent(values, seconds):
    """Slope of log seconds over log values by least squares: the k of seconds ~ values^k."""
    x, y = ([math.log(number) for number in numbers] for numbers in (values, seconds))
    return statistics.linear_regression(x, y).slope


def measure(seed):
    """One record: {model: {factor: seconds per epoch, in the order of VALUES}}, and {model: {factor: exponent}}."""
    seconds = {name: {factor: [] for factor in VALUES} for name in MODELS}
    with one_thread():
        for factor, values in VALUES.items():
            for value in values:
                at = {**BASE, factor: value}
                for name, settings in MODELS.items():
                    sized = ModelSettings(settings.kind, at["H"], layers=settings.layers)
                    seconds[name][factor].append(epoch_seconds(sized, at["words"], at["B"], seed))
    exponents = {
        name: {f: exponent(VALUES[f], took) for f, took in of.items()}
        for name, of in seconds.items()
    }
    return {
        "run": "costs",
        "seed": seed,
        "seconds": seconds,
        "exponents": exponents,
        "machine": identity.machine(),
    }


def main(arguments=None):
    """The command line of `measure`."""
    parser = argparse.ArgumentParser(
        prog="python -m a3lib.costs", description="time epochs of several sizes"
    )
    parser.add_argument("file", help="file that the records are appended to")
    path = parser.parse_args(arguments).file
    for seed in range(REPEATS):
        append_record(path, measure(seed))
        print(f"{seed + 1}/{REPEATS}", flush=True)


if __name__ == "__main__":
    main()
