"""The published metric of our runs is not worse than the textbook version's on the same splits."""

from pathlib import Path

import pytest

from a3lib import claims, records

FOLDER = Path(__file__).parent
RECORDED = [
    record
    for name in ("gru", "attention")
    for record in records.read_records(FOLDER.parents[1] / f"notebooks/records/{name}.jsonl")
]


MEASURED = records.read_records(FOLDER / "textbook_losses.jsonl")


@pytest.mark.parametrize("run", sorted({record["run"] for record in MEASURED}))
def test_mean_loss_is_not_above_the_textbooks_interval(run):
    plain = [r["bucket_mean"] for r in MEASURED if r["run"] == run]
    ours = [r["metrics"]["bucket_mean"] for r in records.of_run(RECORDED, run)]
    _, _, high = claims.interval(plain)
    assert len(ours) == len(plain) == 5
    assert sum(ours) / len(ours) <= high
