"""Records of runs in a plain file, one JSON object per line, and tables read back from them."""

import contextlib
import json
import os
from pathlib import Path


def append_record(path, record):
    """Append one record as a whole line that is on disk when this returns.

    Processes that append at the same time wait for each other; the half line that a kill left is
    closed first, so that it harms no other.
    """
    from filelock import FileLock

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(record, sort_keys=True).encode() + b"\n"
    with FileLock(f"{path}.lock"), path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def read_records(*paths):
    """All complete records of some files (a missing file has none); torn lines are left out."""
    records = []
    for path in map(Path, paths):
        lines = path.read_text(encoding="utf8").splitlines() if path.exists() else []
        for line in lines:
            with contextlib.suppress(json.JSONDecodeError):
                records.append(json.loads(line))
    return records


def by_run(records):
    """{run: its records by seed}, runs in their order of appearance."""
    runs = {record["run"]: [] for record in records}
    for record in sorted(records, key=lambda record: record["seed"]):
        runs[record["run"]].append(record)
    return runs


def of_run(records, run):
    """The records of one run, by seed. Raises KeyError naming the runs there are."""
    runs = by_run(records)
    if run not in runs:
        raise KeyError(f"there is no record of {run!r}; recorded are {', '.join(sorted(runs))}")
    return runs[run]


def table(records):
    """A pandas table: run, seed, all metrics that are numbers, updates, epochs, seconds."""
    import pandas

    rows = []
    for record in records:
        updates = record["history"]["updates"]
        numbers = {name: v for name, v in record["metrics"].items() if isinstance(v, float)}
        counts = {"updates": updates[-1], "epochs": len(updates), "seconds": record["seconds"]}
        rows.append({"run": record["run"], "seed": record["seed"], **numbers, **counts})
    frame = pandas.DataFrame(rows, columns=list(rows[0]) if rows else ["run", "seed"])
    return frame.sort_values(["run", "seed"], ignore_index=True)


def word_groups(records, words="unseen"):
    """A pandas table of right and all words of a list, by run, seed, letters and first cluster."""
    import pandas

    rows = [
        (record["run"], record["seed"], *group)
        for record in records
        for group in record["metrics"]["groups"][words]
    ]
    frame = pandas.DataFrame(rows, columns=["run", "seed", "letters", "cluster", "right", "words"])
    return frame.assign(onset=frame["cluster"].str.len())


def right_words(record, letters=None, onset=None, words="unseen"):
    """(right, all) words of a list, of some lengths and numbers of leading consonants."""
    frame = word_groups([record], words)
    frame = frame if letters is None else frame[frame["letters"].isin(letters)]
    frame = frame if onset is None else frame[frame["onset"].isin(onset)]
    return int(frame["right"].sum()), int(frame["words"].sum())


def share_right(record, letters=None, onset=None, words="unseen"):
    """Share of right words, see `right_words`."""
    right, total = right_words(record, letters, onset, words)
    return right / total


def share_right_at_lengths_of(record, onset, reference, words="unseen"):
    """Share of right words with some onsets, as if as long as the words of the reference onsets."""
    frame = word_groups([record], words)
    chosen, other = (
        frame[frame["onset"].isin(some)].groupby("letters")[["right", "words"]].sum()
        for some in (onset, reference)
    )
    shared = chosen.index.intersection(other.index)
    weights = other.loc[shared, "words"] / other.loc[shared, "words"].sum()
    return float((chosen.loc[shared, "right"] / chosen.loc[shared, "words"] * weights).sum())
