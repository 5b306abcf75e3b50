"""Published losses of the textbook version on our splits, five seeds.

`python tests/benchmarks/textbook_losses.py RUN...` appends to `textbook_losses.jsonl` beside it, which
`test_textbook_losses.py` compares with the records. Batches, start and recipe are those of the published run; model,
loss and updates are the textbook's.
"""

import argparse
import statistics
import time
from pathlib import Path

import speed
import textbook
import torch

from a3lib.lab.records import append_record, read_records
from a3lib.lab.runs import PUBLISHED_RUNS, RUNS
from a3lib.translation.batches import indices
from a3lib.translation.models import build

FILE = Path(__file__).with_suffix(".jsonl")


def train(name, seed):
    """One run -> seconds of its updates (evaluation is left out in its favour), validation losses by epoch.

    The losses are two lists: per token, and the mean over bucket batches.
    """
    run, settings = RUNS[name], RUNS[name].training
    model = speed.opponent(run.model)
    model.load_state_dict(build(run.model, seed).state_dict())
    data = run.split(seed)
    training, validation = (
        textbook.bucket_batches([(indices(w), indices(t)) for w, t in side], settings.batch_size)
        for side in (data.train, data.validation)
    )
    adam = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    seconds, per_token, bucket_mean = 0.0, [], []
    for _ in range(settings.epochs):
        start = time.perf_counter()
        for group in adam.param_groups:
            group["lr"] *= settings.decay
        for batch in training:
            textbook.update(model, adam, *batch)
        seconds += time.perf_counter() - start
        with torch.no_grad():
            losses = [
                (textbook.loss(model, *batch).item(), batch[1].numel()) for batch in validation
            ]
        per_token.append(sum(loss * n for loss, n in losses) / sum(n for _, n in losses))
        bucket_mean.append(statistics.fmean(loss for loss, _ in losses))
        if len(bucket_mean) - 1 - bucket_mean.index(min(bucket_mean)) > settings.patience:
            break
    return seconds, per_token, bucket_mean


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", default=PUBLISHED_RUNS)
    names = parser.parse_args().runs
    torch.set_num_threads(1)
    known = {(record["run"], record["seed"]) for record in read_records(FILE)}
    for seed in range(5):
        for name in names:
            if (name, seed) not in known:
                seconds, _, bucket_mean = train(name, seed)
                record = {
                    "run": name,
                    "seed": seed,
                    "bucket_mean": min(bucket_mean),
                    "seconds": round(seconds, 1),
                }
                append_record(FILE, record)
                print(record, flush=True)
