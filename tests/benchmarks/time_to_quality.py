"""Seconds until 90, 95 and 99 % of words are right: `python tests/benchmarks/time_to_quality.py [RUN...]`.

Processor seconds of one thread, losses of validation words included, decoding left out. Words: the first 640 validation
words, decoded after every epoch. Appends to notebooks/records/time_to_quality.jsonl what is missing there.
"""

import argparse
import time
from pathlib import Path

import torch

from a3lib.common import one_thread
from a3lib.fast.engine import FastEngine
from a3lib.lab.keys import made_with
from a3lib.lab.records import append_record, read_records
from a3lib.lab.runs import PUBLISHED_RUNS, RUNS
from a3lib.translation.batches import encode_pairs
from a3lib.translation.metrics import predictions, word_accuracy
from a3lib.translation.models import build
from a3lib.translation.training import fit

FILE = Path(__file__).parents[2] / "notebooks/records/time_to_quality.jsonl"
GOALS, WORDS, SEEDS = (0.9, 0.95, 0.99), 640, range(5)


def seconds_to_goals(run, seed):
    """{goal: processor seconds of training until it is reached, or None}."""
    sides, model = run.split(seed), build(run.model, seed)
    train, validation = encode_pairs(sides.train), encode_pairs(sides.validation)
    words, reached = validation.first(WORDS), dict.fromkeys(GOALS)
    start, spent = time.process_time(), 0.0

    def look(history, model):
        nonlocal spent
        begun = time.process_time()
        accuracy = word_accuracy(predictions(model, words))
        for goal in GOALS:
            if reached[goal] is None and accuracy >= goal:
                reached[goal] = round(begun - start - spent, 2)
        spent += time.process_time() - begun
        model.train()

    engine = FastEngine if run.engine == "fast" else None
    fit(model, train, validation, run.training, seed, look, engine=engine)
    return reached


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "runs", nargs="*", default=[*PUBLISHED_RUNS, "recipe-quick", "recipe-best-small"]
    )
    names = parser.parse_args().runs
    known = {(record["run"], record["seed"]) for record in read_records(FILE)}
    torch.set_num_threads(1)
    for seed in SEEDS:
        for name in names:
            if (name, seed) not in known:
                with one_thread():
                    found = {
                        str(goal): seconds
                        for goal, seconds in seconds_to_goals(RUNS[name], seed).items()
                    }
                append_record(FILE, {"run": name, "seed": seed, "seconds": found, **made_with()})
                print(name, seed, found, flush=True)


if __name__ == "__main__":
    main()
