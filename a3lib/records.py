"""Records of runs in a plain file, one JSON object a line, and the table read back from it."""

import json
import os
from pathlib import Path


def append_record(path, record):
    """Append one record as a whole line that is on disk when this returns."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    with path.open("ab") as file:
        file.write((b"\n" if torn else b"") + json.dumps(record, sort_keys=True).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_records(path):
    """All complete records of a file (a missing file has none); a line torn by a kill while writing is left out."""
    path = Path(path)
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf8").splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def table(records):
    """A pandas table of records: run, seed, all metrics, seconds, updates, epochs; sorted by run and seed."""
    import pandas

    rows = [
        {
            "run": record["run"],
            "seed": record["seed"],
            **{name: value for name, value in record["metrics"].items() if isinstance(value, float)},
            "updates": record["history"]["updates"][-1],
            "epochs": len(record["history"]["updates"]),
            "seconds": record["seconds"],
        }
        for record in records
    ]
    return pandas.DataFrame(rows).sort_values(["run", "seed"], ignore_index=True) if rows else pandas.DataFrame()


def of_run(records, run):
    """The records of one run, by seed. Raises KeyError naming the runs there are."""
    chosen = {record["seed"]: record for record in records if record["run"] == run}
    if not chosen:
        raise KeyError(f"there is no record of {run!r}; recorded are {sorted({record['run'] for record in records})}")
    return [chosen[seed] for seed in sorted(chosen)]


def groups(records):
    """A pandas table of right and all validation words by run, seed, letters and first cluster."""
    import pandas

    rows = [(r["run"], r["seed"], *group) for r in records for group in r["metrics"]["groups"]]
    frame = pandas.DataFrame(rows, columns=["run", "seed", "letters", "cluster", "right", "words"])
    return frame.assign(onset=frame["cluster"].str.len())


def share_right(record, letters=None, onset=None):
    """Share of exactly right validation words of some lengths and numbers of leading consonants (None: all)."""
    frame = groups([record])
    frame = frame if letters is None else frame[frame["letters"].isin(letters)]
    frame = frame if onset is None else frame[frame["onset"].isin(onset)]
    return frame["right"].sum() / frame["words"].sum()


def share_right_at_lengths_of(record, onset, reference):
    """Share of right words with some onsets, as if their lengths were spread like those of the reference onsets."""
    frame = groups([record])
    chosen, other = (
        frame[frame["onset"].isin(some)].groupby("letters")[["right", "words"]].sum() for some in (onset, reference)
    )
    shared = chosen.index.intersection(other.index)
    weights = other.loc[shared, "words"] / other.loc[shared, "words"].sum()
    return float((chosen.loc[shared, "right"] / chosen.loc[shared, "words"] * weights).sum())
