"""Runs over seeds, recorded as they come: `python -m a3lib.lab.sweep --help`."""

import argparse
import sys
from pathlib import Path

import torch

from a3lib.lab import bert_experiments, clip_experiments, experiments
from a3lib.lab.bert_runs import CONDITIONS, Condition
from a3lib.lab.clip_runs import CLIP_RUNS, ClipRun
from a3lib.lab.records import append_record, read_records
from a3lib.lab.runs import RUNS
from a3lib.optimization import Checkpoint

KNOWN = {**RUNS, **CONDITIONS, **CLIP_RUNS}


def sweep(runs, path, seeds=None, jobs=-1, on_record=None, models=None):
    """Train runs with their own or the given seeds, as far as `path` has no record of them.

    `runs` are `Run`s of Parts 1 and 2, `Condition`s of Part 3, `ClipRun`s. They go to `jobs`
    processes (-1: one per core) of one thread each; on a GPU one after the other in this process.
    Records are appended as they come; `on_record(done, total, record)` tells progress; with a
    folder `models` seed 0's weights are kept there. Interrupted at any moment, the same call goes
    on from the records and, within a run of Parts 1 and 2, from its checkpoint. Returns all records
    of these.
    """
    from joblib import Parallel, delayed

    path = Path(path)
    checkpoints = path.with_suffix(".checkpoints")
    tasks = [(run, seed) for run in runs for seed in (run.seeds if seeds is None else seeds)]
    wanted = {run.key(seed): (run, seed) for run, seed in sorted(tasks, key=lambda task: task[1])}
    known = {record["key"] for record in read_records(path)}
    todo = [task for key, task in wanted.items() if key not in known]
    jobs = 1 if torch.cuda.is_available() else jobs
    calls = (delayed(_record)(run, seed, checkpoints, models) for run, seed in todo)
    parallel = Parallel(n_jobs=jobs, return_as="generator_unordered", pre_dispatch="all")
    for done, record in enumerate(parallel(calls), start=1):
        if record["history"]["interrupted"]:
            raise KeyboardInterrupt
        append_record(path, record)
        if on_record:
            on_record(done, len(todo), record)
    for key in wanted:  # their runs are recorded
        Checkpoint(checkpoints / f"{key}.pt").delete()
    if checkpoints.exists() and not any(checkpoints.iterdir()):
        checkpoints.rmdir()
    return [record for record in read_records(path) if record["key"] in wanted]


def _record(run, seed, checkpoints, models):
    if isinstance(run, Condition):
        return bert_experiments.run(run, seed).record
    if isinstance(run, ClipRun):
        return clip_experiments.run(run, seed, models=models).record
    return experiments.record_run(run, seed, checkpoints, models)


def main(arguments=None):
    """The command line of `sweep`."""
    parser = argparse.ArgumentParser(prog="python -m a3lib.lab.sweep", description="record runs")
    runs = {"nargs": "+", "choices": sorted(KNOWN), "metavar": "RUN", "help": ", ".join(KNOWN)}
    parser.add_argument("runs", **runs)
    parser.add_argument("--seeds", type=int, nargs="+", help="none: those of each run")
    parser.add_argument("--records", type=Path, required=True, help="file to append to")
    parser.add_argument("--jobs", type=int, default=-1, help="processes; -1: one per core")
    parser.add_argument("--models", type=Path, help="folder in which to keep seed 0's weights")
    options = parser.parse_args(arguments)

    def tell(done, total, record):
        shown = [f"{k} {v:.4f}" for k, v in record["metrics"].items() if isinstance(v, float)][:5]
        run = f"{record['run']} seed {record['seed']}"
        print(f"{done}/{total} {run}: {', '.join(shown)}, {record['seconds']:.0f} s", flush=True)

    todo = [KNOWN[name] for name in options.runs], options.records, options.seeds, options.jobs
    try:
        sweep(*todo, tell, options.models)
    except KeyboardInterrupt:
        sys.exit("interrupted: the same command goes on from here")


if __name__ == "__main__":
    main()
