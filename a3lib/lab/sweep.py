"""Runs over seeds, recorded as they come: `python -m a3lib.lab.sweep --help`."""

import argparse
import sys
from pathlib import Path

import torch

from a3lib.lab.experiments import record_run
from a3lib.lab.records import append_record, read_records
from a3lib.lab.runs import RUNS


def sweep(runs, seeds, path, jobs=-1, on_record=None, models=None):
    """Train every run with every seed that `path` has no record of -> all records of these.

    Runs go to `jobs` processes (-1: one per core) of one thread each; on a GPU one after the other
    in this process. Records are appended as they come; `on_record(done, total, record)` tells
    progress; with a folder `models` seed 0's weights are kept there. Interrupted at any moment, the
    same call goes on from the records and, within a run, from its checkpoint.
    """
    from joblib import Parallel, delayed

    path = Path(path)
    checkpoints = path.with_suffix(".checkpoints")
    wanted = {run.key(seed): (run, seed) for seed in seeds for run in runs}
    known = {record["key"] for record in read_records(path)}
    todo = [task for key, task in wanted.items() if key not in known]
    jobs = 1 if torch.cuda.is_available() else jobs
    tasks = (delayed(record_run)(run, seed, checkpoints, models) for run, seed in todo)
    parallel = Parallel(n_jobs=jobs, return_as="generator_unordered", pre_dispatch="all")
    for done, record in enumerate(parallel(tasks), start=1):
        if record["history"]["interrupted"]:
            raise KeyboardInterrupt
        append_record(path, record)
        if on_record:
            on_record(done, len(todo), record)
    for key in wanted:  # their runs are recorded
        (checkpoints / f"{key}.pt").unlink(missing_ok=True)
    if checkpoints.exists() and not any(checkpoints.iterdir()):
        checkpoints.rmdir()
    return [record for record in read_records(path) if record["key"] in wanted]


def main(arguments=None):
    """The command line of `sweep`."""
    parser = argparse.ArgumentParser(prog="python -m a3lib.lab.sweep", description="record runs")
    parser.add_argument(
        "runs", nargs="+", choices=sorted(RUNS), metavar="RUN", help=", ".join(RUNS)
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--records", type=Path, required=True, help="file to append to")
    parser.add_argument("--jobs", type=int, default=-1, help="processes; -1: one per core")
    parser.add_argument("--models", type=Path, help="folder in which to keep seed 0's weights")
    options = parser.parse_args(arguments)

    def tell(done, total, record):
        told = ("bucket_mean", "per_token", "validation_accuracy")
        shown = ", ".join(f"{name} {record['metrics'][name]:.4f}" for name in told)
        run = f"{record['run']} seed {record['seed']}"
        print(f"{done}/{total} {run}: {shown}, {record['seconds']:.0f} s", flush=True)

    runs = [RUNS[name] for name in options.runs]
    try:
        sweep(runs, options.seeds, options.records, options.jobs, tell, options.models)
    except KeyboardInterrupt:
        sys.exit("interrupted: the same command goes on from here")


if __name__ == "__main__":
    main()
