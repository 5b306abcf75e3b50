"""The published metric of our runs is not worse than the textbook version's on the same splits."""

from pathlib import Path

import pytest

from a3lib import claims, records

FOLDER = Path(__file__).parent
RECORDS = FOLDER.parents[1] / "notebooks/records/gru.jsonl"


@pytest.mark.parametrize("run", ["gru-small", "gru-large"])
def test_mean_loss_is_not_above_the_textbooks_interval(run):
    plain = [r["bucket_mean"] for r in records.read_records(FOLDER / "textbook_losses.jsonl") if r["run"] == run]
    ours = [r["metrics"]["bucket_mean"] for r in records.of_run(records.read_records(RECORDS), run)]
    _, _, high = claims.interval(plain)
    assert len(ours) == len(plain) == 5
    assert sum(ours) / len(ours) <= high
