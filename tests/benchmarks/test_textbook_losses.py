"""The published metric of our runs is not worse than the textbook version's on the same splits."""

from pathlib import Path

import pytest

from a3lib.lab import records
from a3lib.lab.verdicts import Difference

FOLDER = Path(__file__).parent
NAMES = ("gru", "attention")
RECORDED = records.read_records(
    *(FOLDER.parents[1] / f"notebooks/records/{name}.jsonl" for name in NAMES)
)
MEASURED = records.read_records(FOLDER / "textbook_losses.jsonl")


@pytest.mark.parametrize("run", sorted({record["run"] for record in MEASURED}))
def test_mean_loss_is_not_above_the_textbooks_interval(run):
    plain = [r["bucket_mean"] for r in MEASURED if r["run"] == run]
    ours = [r["metrics"]["bucket_mean"] for r in records.of_run(RECORDED, run)]
    _, high = Difference(plain, [0.0] * len(plain), paired=True).interval()
    assert len(ours) >= len(plain) == 5
    assert sum(ours) / len(ours) <= high
