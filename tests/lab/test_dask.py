"""A sweep on a cluster: Dask, two worker processes, one of which is killed while it works."""

import os
import signal
from dataclasses import replace

import distributed
import joblib
import pytest
from tiny_runs import MODEL, PADDED

from a3lib.lab.records import read_records
from a3lib.lab.runs import Run
from a3lib.lab.sweep import sweep

MEASURES = ("per_token", "bucket_mean", "final_train", "validation_accuracy")


@pytest.fixture
def client(tmp_path):
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(**options, local_directory=tmp_path / "dask") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_a_sweep_on_a_cluster_is_complete_when_a_worker_is_killed(
    tmp_path, pair_file, client, few_words
):
    training = replace(PADDED, epochs=6)
    run = Run("tiny", MODEL, training, data=pair_file)
    in_buckets = replace(training, batches="shuffled")
    runs, seeds = [run, replace(run, name="tiny-shuffled", training=in_buckets)], [0, 1, 2]
    workers, killed = client.run(os.getpid), []

    def shorten():  # the lists that are scored, in the workers' own processes
        from a3lib.lab import experiments
        from a3lib.translation.pairs import Pairs, load_pairs

        experiments.load_pairs = lambda name: Pairs(name, load_pairs(name).pairs[:40])

    client.run(shorten)

    def kill_one(done, total, record):
        if not killed:
            busy = (pid for worker, pid in workers.items() if client.processing()[worker])
            killed.append(next(busy))
            os.kill(killed[0], signal.SIGKILL)

    path = tmp_path / "records.jsonl"
    with joblib.parallel_config(backend="dask"):
        sweep(runs, path, seeds, on_record=kill_one)
    assert killed and killed[0] not in client.run(os.getpid).values()
    tasks = [(record["run"], record["seed"]) for record in read_records(path)]
    assert sorted(tasks) == sorted((run.name, seed) for run in runs for seed in seeds)
    assert not path.with_suffix(".checkpoints").exists()

    def measured(records):
        return {
            (record["run"], record["seed"]): [record["metrics"][name] for name in MEASURES]
            for record in records
        }

    here = sweep(runs, tmp_path / "here.jsonl", seeds, jobs=1)
    assert measured(read_records(path)) == measured(here)
