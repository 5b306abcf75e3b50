"""How the time of an epoch grows with the data, the hidden size and the batch: `python tests/benchmarks/costs.py FILE`."""

import argparse
import math
import statistics
import time

from a3lib.common import one_thread
from a3lib.lab.keys import made_with
from a3lib.lab.records import append_record
from a3lib.optimization import OptimizerSettings, Updates
from a3lib.translation.batches import Batches, encode_pairs
from a3lib.translation.losses import token_loss
from a3lib.translation.models import ModelSettings, build
from a3lib.translation.pairs import load_pairs

MODELS = {"GRU": ModelSettings(), "transformer": ModelSettings("transformer", layers=3)}
BASE = {"words": 8000, "H": 32, "B": 64}  # what stays while one of the three changes
VALUES = {
    "words": (1000, 2000, 4000, 8000, 16000),
    "H": (16, 32, 64, 128),
    "B": (16, 64, 256, 1024),
}
UPDATES = 12  # timed, of those of an epoch: their mean is good to a few per cent
REPEATS = 5


def epoch_seconds(settings, words, batch_size, seed):
    """Processor seconds that one epoch over some `words` pairs takes, from the mean of some of its updates."""
    pairs = load_pairs("large").pairs
    every = Batches(
        encode_pairs(pairs[:: len(pairs) // words][:words]), "padded", batch_size, seed
    ).of_epoch(0)
    chosen = [
        every[i * len(every) // min(UPDATES, len(every))] for i in range(min(UPDATES, len(every)))
    ]
    model = build(settings, seed)
    updates, seconds = Updates(model, OptimizerSettings(), len(every)), []
    for batch in [
        chosen[0],
        *chosen,
    ]:  # the first one, twice: allocations of a first update are not counted
        start = time.process_time()
        loss = token_loss(model(batch.source, batch.prefix, batch.source_mask), batch.target)
        updates.zero_grad()
        loss.backward()
        updates.step(0)
        seconds.append(time.process_time() - start)
    return statistics.mean(seconds[1:]) * len(every)


def exponent(values, seconds):
    """Slope of log seconds over log values by least squares: the k of seconds ~ values^k."""
    x, y = ([math.log(number) for number in numbers] for numbers in (values, seconds))
    return statistics.linear_regression(x, y).slope


def measure(seed):
    """One record: seconds per epoch and exponents, by model and factor, beside the values."""
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
    values = dict.fromkeys(MODELS, VALUES)
    return {
        "run": "costs",
        "seed": seed,
        "values": values,
        "seconds": seconds,
        "exponents": exponents,
        **made_with(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="file that the records are appended to")
    path = parser.parse_args().file
    for seed in range(REPEATS):
        append_record(path, measure(seed))
        print(f"{seed + 1}/{REPEATS}", flush=True)


if __name__ == "__main__":
    main()
