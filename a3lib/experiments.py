"""Named runs, one run, and sweeps of runs over seeds: `python -m a3lib.experiments --help`."""

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from a3lib import identity
from a3lib.batches import encode_pairs
from a3lib.checkpoints import Checkpoint
from a3lib.gru import MyGRUCell
from a3lib.metrics import predictions, word_accuracy
from a3lib.models import build, save_model
from a3lib.pig_latin import Pairs, Split, load_pairs, split, with_joined
from a3lib.records import append_record, read_records
from a3lib.runs import RUNS
from a3lib.training import History, best_device, fit, one_thread
from a3lib.word_lists import LONG

SHARED = ("batches", "decoding", "metrics", "models", "training", "translator")
CODE = {  # kind of model -> the modules whose source decides a run's result
    "gru": (*SHARED, "gru", "recurrence"),
    "rnn-attention": (*SHARED, "attention", "attention_recurrence", "attention_rnn", "gru", "recurrence"),
    "transformer": (*SHARED, "attention", "multihead", "positions", "residual", "transformer", "transformer_blocks"),
}


class Result(NamedTuple):
    """A finished run."""

    model: nn.Module
    history: History
    record: dict


def run_split(run, seed):
    """The `Split` a run trains on with a seed."""
    held_out = None if run.validation == "own" else split(load_pairs("small"), seed).validation.words
    data = split(load_pairs(run.data), seed, held_out)
    if run.longest is not None:
        short = tuple(pair for pair in data.train.pairs if len(pair[0].replace("-", "")) <= run.longest)
        data = Split(Pairs(f"{data.train.name}, up to {run.longest} letters", short), data.validation)
    twos, threes = (run.joined, 0) if isinstance(run.joined, int) else run.joined
    return Split(with_joined(data.train, twos, seed, threes), data.validation) if run.joined else data


def run_identity(run, seed, data):
    """Hash of all that decides a run's result, its `Split` included."""
    data_sha256 = data.train.sha256 + data.validation.sha256
    settings = {key: value for key, value in asdict(run).items() if key != "name"}
    return identity.run_identity(settings, seed, data_sha256, CODE[run.model.kind])


def train(run, seed, cell=MyGRUCell, on_epoch=None, checkpoints=None, attention=None, causal_attention=None):
    """Train one run on the GPU if there is one, else on one CPU core -> `Result`.

    With a folder `checkpoints` a killed call goes on where it was; that needs the library's own classes, since only
    their source is part of the run's identity: another cell or attention (see `build`) always trains anew.
    """
    data, device = run_split(run, seed), best_device()
    own = cell is MyGRUCell and attention is None and causal_attention is None
    key = run_identity(run, seed, data) if own else None
    checkpoint = Checkpoint(Path(checkpoints, key)) if checkpoints and key else None
    start = time.perf_counter()
    with one_thread():
        model = build(run.model, seed, cell, attention, causal_attention).to(device)
        train_side, validation = (encode_pairs(side).to(device) for side in (data.train, data.validation))
        history = fit(model, train_side, validation, run.training, seed, on_epoch, checkpoint)
        metrics = _metrics(model, history, train_side, validation) if history.best >= 0 else {}
    record = {
        "run": run.name,
        "seed": seed,
        "identity": key,
        "settings": asdict(run),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "history": asdict(history),
        "metrics": metrics,
        "seconds": round(time.perf_counter() - start, 2),
        "machine": identity.machine(),
        "versions": identity.versions(),
    }
    return Result(model, history, record)


def _metrics(model, history, train_side, validation):
    """Metrics of the kept model; the lowest bucket mean of any epoch is what the hand-out reports."""
    frame = predictions(model, validation)
    test, fresh = (predictions(model, encode_pairs(load_pairs(name))) for name in ("test", "fresh"))
    metrics = {
        "per_token": history.per_token[history.best],
        "bucket_mean": min(history.bucket_mean),
        "word_accuracy": word_accuracy(frame),
        "train_accuracy": word_accuracy(predictions(model, train_side)),
        "test_accuracy": word_accuracy(test),
        "fresh_accuracy": word_accuracy(fresh),
        "long_accuracy": word_accuracy(test[test["letters"] >= LONG]),
    }
    groups = frame.groupby(["letters", "cluster"])["correct"].agg(["sum", "size"])
    metrics["groups"] = [[*key, int(right), int(size)] for key, right, size in groups.itertuples()]
    return metrics


def _record(run, seed, checkpoints, models):
    result = train(run, seed, checkpoints=checkpoints)
    if models and not result.history.interrupted:
        save_model(result.model, run.model, Path(models, f"{run.name}-{seed}.safetensors"))
    return result.record


def sweep(runs, seeds, path, jobs=-1, on_record=None, models=None):
    """Train every run with every seed that `path` has no record of, and append the records as they come.

    Runs go to `jobs` processes (-1: one a core) of one thread each; on a GPU they go one after another in this process.
    `on_record(done, total, record)` tells progress; with a folder `models` the trained models are kept there.
    Interrupted at any moment, the same call goes on from the records and the checkpoints. Returns all records of these
    runs and seeds.
    """
    from joblib import Parallel, delayed

    path = Path(path)
    checkpoints = path.with_suffix(".checkpoints")
    wanted = {run_identity(run, seed, run_split(run, seed)): (run, seed) for seed in seeds for run in runs}
    known = {record["identity"] for record in read_records(path)}
    for key in known & set(wanted):
        Checkpoint(checkpoints / key).delete()  # left by a kill between record and cleaning up
    todo = [task for key, task in wanted.items() if key not in known]
    jobs = 1 if torch.cuda.is_available() else jobs
    tasks = (delayed(_record)(run, seed, checkpoints, models) for run, seed in todo)
    parallel = Parallel(n_jobs=jobs, return_as="generator_unordered", pre_dispatch="all")
    for done, record in enumerate(parallel(tasks), start=1):
        if record["history"]["interrupted"]:
            raise KeyboardInterrupt
        append_record(path, record)
        Checkpoint(checkpoints / record["identity"]).delete()
        if on_record:
            on_record(done, len(todo), record)
    if checkpoints.exists() and not any(checkpoints.iterdir()):
        checkpoints.rmdir()
    return [record for record in read_records(path) if record["identity"] in wanted]


def main(arguments=None):
    """The command line of `sweep`."""
    parser = argparse.ArgumentParser(prog="python -m a3lib.experiments", description="train named runs over seeds")
    parser.add_argument("runs", nargs="+", choices=sorted(RUNS), metavar="RUN", help=", ".join(sorted(RUNS)))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--records", type=Path, required=True, help="file that records are appended to")
    parser.add_argument("--jobs", type=int, default=-1, help="processes; -1: one a core")
    parser.add_argument("--models", type=Path, help="folder in which to keep the trained models")
    options = parser.parse_args(arguments)

    def tell(done, total, record):
        metrics = ", ".join(
            f"{key} {record['metrics'][key]:.4f}" for key in ("bucket_mean", "per_token", "word_accuracy")
        )
        print(f"{done}/{total} {record['run']} seed {record['seed']}: {metrics}, {record['seconds']:.0f} s", flush=True)

    try:
        runs = [RUNS[name] for name in options.runs]
        sweep(runs, options.seeds, options.records, options.jobs, tell, options.models)
    except KeyboardInterrupt:
        sys.exit("interrupted: the same command goes on from here")


if __name__ == "__main__":
    main()
