"""Records as runs leave them, with as little in them as records, claims and figures need."""


def record(run="gru", seed=0, **changes):
    """A record of three epochs whose numbers depend on the seed."""
    return {
        "run": run,
        "seed": seed,
        "key": f"{run} {seed}",
        "settings": {"name": run},
        "metrics": {
            "per_token": 1.5 + seed,
            "unseen_accuracy": 0.25,
            "groups": {
                "unseen": [[5, "st", 3, 4], [5, "", 1, 2], [7, "st", seed, 9]],
                "test": [[4, "b", 1, 3]],
            },
        },
        "history": {
            "updates": [10, 20, 30 + seed],
            "train": [3.0, 2.0, 1.0],
            "validation": {"per_token": [3.5, 2.5, 1.5]},
        },
        "seconds": 4.5,
        **changes,
    }


def losses(values, seeds=None, **changes):
    """One record per value of the metric 'loss'; `changes` are of the settings."""
    training = {"learning_rate": 0.005, "batch_size": changes.pop("batch_size", 64)}
    run = {"name": "some", "training": training, "data": "small", "validation": "common", **changes}
    seeds = range(len(values)) if seeds is None else seeds
    return [
        record(seed=seed, settings=run, metrics={"loss": value}, history={"train": [9.0, value]})
        for seed, value in zip(seeds, values, strict=True)
    ]
