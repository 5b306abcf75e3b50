"""Give records of Part 3 the key of today's code: `python tests/bring_records_over.py OLD NEW`.

For runs whose results are meant to be what they were. Of each run one recorded seed is trained again first; only if history
and metrics are equal, bit for bit, all its records go over, and each says so under `brought_over`. Interrupted, the same
command goes on.
"""

import argparse
import datetime
import json
from pathlib import Path

from a3lib.common import one_thread
from a3lib.lab.bert_experiments import run
from a3lib.lab.bert_runs import CONDITIONS
from a3lib.lab.records import append_record, by_run, read_records

CLOCKS = ("seconds", "feature seconds")  # what two equal runs may differ in


def results(record):
    """History and metrics of a record as JSON would keep them, without what a clock measured."""
    kept = {
        part: {k: v for k, v in record[part].items() if k not in CLOCKS}
        for part in ("history", "metrics")
    }
    return json.loads(json.dumps(kept))


def in_todays_form(record):
    """The record with its history in the form that all parts share now; the last model of Part 3 is the one that is kept."""
    old = dict(record["history"])
    validation = {name: old.pop(name) for name in ("loss", "accuracy", "balanced")}
    form = {
        "validation": validation,
        "best": len(old["updates"]) - 1,
        "interrupted": False,
        "notes": [],
    }
    kept = {name: value for name, value in record.items() if name != "identity"}
    return {**kept, "history": {**old, **form}}


def same_settings(old, new):
    """Whether the settings `new` say what `old` said; 'validation' had one value and is gone, new fields have defaults."""
    said = {**old, "tuning": None} | {
        f"tuning.{name}": value for name, value in old["tuning"].items()
    }
    now = {**new, "tuning": None} | {
        f"tuning.{name}": value for name, value in new["tuning"].items()
    }
    return all(now.get(name) == value for name, value in said.items() if name != "validation")


def bring_over(old, again, key):
    """The records `old` of one run in today's form under new keys -> records.

    `again(seed)` trains a seed and returns its record; `key(seed)` is the new key. Raises ValueError if settings or results
    of the seed that was trained again are not those of its record.
    """
    first, run_name = old[0], old[0]["run"]
    trained = json.loads(json.dumps(again(first["seed"])))
    if not all(same_settings(record["settings"], trained["settings"]) for record in old):
        raise ValueError(f"{run_name}: the settings have changed: train this run anew")
    if results(trained) != results(in_todays_form(first)):
        raise ValueError(
            f"{run_name}: seed {first['seed']} gives other results now: train this run anew"
        )
    told = {
        "seed_trained_again": first["seed"],
        "equal": True,
        "date": datetime.date.today().isoformat(),
    }
    new = {"settings": trained["settings"], "brought_over": told}
    return [{**in_todays_form(record), **new, "key": key(record["seed"])} for record in old]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--runs", nargs="+", default=list(CONDITIONS), help="only these")
    options = parser.parse_args()
    known = {record["key"] for record in read_records(options.new)}
    for name, old in by_run(read_records(options.old)).items():
        condition = CONDITIONS[name]
        if name not in options.runs or all(
            condition.key(record["seed"]) in known for record in old
        ):
            continue
        with one_thread():
            moved = bring_over(
                old, lambda seed, condition=condition: run(condition, seed).record, condition.key
            )
        for record in moved:
            if record["key"] not in known:
                append_record(options.new, record)
        print(
            f"{name}: seed {old[0]['seed']} is equal, {len(moved)} records brought over", flush=True
        )


if __name__ == "__main__":
    main()
