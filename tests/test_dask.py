"""A sweep on a cluster: Dask, two worker processes, one of which is killed while it works."""

import os
import signal
from dataclasses import replace

import distributed
import joblib
import pytest

from a3lib.experiments import sweep
from a3lib.models import ModelSettings
from a3lib.pig_latin import load_pairs
from a3lib.records import read_records
from a3lib.runs import Run
from a3lib.training import TrainingSettings


@pytest.fixture
def client(tmp_path):
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=tmp_path / "dask"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_a_sweep_on_a_cluster_is_complete_when_a_worker_is_killed(tmp_path, client):
    words = tmp_path / "pairs.txt"
    words.write_text("\n".join(map(" ".join, load_pairs("small").pairs[::20])) + "\n", encoding="utf8")
    training = TrainingSettings(epochs=15, batch_size=16, updates_per_epoch=5, batches="padded")
    run = Run("tiny", ModelSettings(hidden_size=6), training, data=str(words))
    other = replace(run, name="tiny-shuffled", training=replace(training, batches="shuffled"))
    runs, seeds = [run, other], [0, 1, 2, 3]
    workers = client.run(os.getpid)
    killed = []

    def kill_one(done, total, record):
        if not killed:
            killed.append(next(pid for worker, pid in workers.items() if client.processing()[worker]))
            os.kill(killed[0], signal.SIGKILL)

    path = tmp_path / "records.jsonl"
    with joblib.parallel_config(backend="dask"):
        sweep(runs, seeds, path, on_record=kill_one)
    assert killed and killed[0] not in client.run(os.getpid).values()
    tasks = [(record["run"], record["seed"]) for record in read_records(path)]
    assert sorted(tasks) == sorted((run.name, seed) for run in runs for seed in seeds)
    assert not path.with_suffix(".checkpoints").exists()

    here = sweep(runs, seeds, tmp_path / "here.jsonl", jobs=1)
    metrics = {(record["run"], record["seed"]): record["metrics"] for record in read_records(path)}
    assert metrics == {(record["run"], record["seed"]): record["metrics"] for record in here}
