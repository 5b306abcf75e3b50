"""Records: what is appended comes back, whatever else happens to the file."""

import json
import subprocess
import sys

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.records import (
    append_record,
    groups,
    of_run,
    read_records,
    share_right,
    share_right_at_lengths_of,
    table,
)

VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
RECORDS = st.dictionaries(
    st.text(), st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
)


def record(run="gru", seed=0, **changes):
    """A record as `experiments.train` makes it, with as little in it as `records` needs."""
    return {
        "run": run,
        "seed": seed,
        "metrics": {
            "per_token": 1.5 + seed,
            "word_accuracy": 0.25,
            "groups": [[5, "st", 3, 4], [5, "", 1, 2], [7, "st", seed, 9]],
        },
        "history": {"updates": [10, 20, 30 + seed], "train": [3.0, 2.0, 1.0]},
        "seconds": 4.5,
        **changes,
    }


@settings(deadline=None, max_examples=25)
@given(records=st.lists(RECORDS, max_size=4))
def test_records_come_back_in_order(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("records") / "new" / "folder" / "runs.jsonl"
    for number, content in enumerate(records, start=1):
        append_record(path, content)
        assert len(path.read_bytes().splitlines()) == number  # one line each, whatever is in it
    assert read_records(path) == records


def test_floats_keep_their_bits(tmp_path):
    path = tmp_path / "runs.jsonl"
    values = [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, 2 / 3]
    append_record(path, {"values": values})
    assert [value.hex() for value in read_records(path)[0]["values"]] == [value.hex() for value in values]


def test_a_missing_or_empty_file_has_no_records(tmp_path):
    assert read_records(tmp_path / "absent.jsonl") == []
    assert not (tmp_path / "absent.jsonl").exists()
    (tmp_path / "empty.jsonl").touch()
    assert read_records(str(tmp_path / "empty.jsonl")) == []


def test_a_record_torn_at_any_byte_is_left_out_and_the_next_one_is_whole(tmp_path):
    """A kill while writing leaves the start of a line."""
    path, torn, after = tmp_path / "runs.jsonl", {"run": "torn ü", "values": [1, 2]}, {"run": "after"}
    append_record(path, record())
    before = path.read_bytes()
    append_record(path, torn)
    whole = path.read_bytes()
    for length in range(len(before), len(whole) + 1):
        path.write_bytes(whole[:length])
        kept = [record(), torn] if length >= len(whole) - 1 else [record()]  # only the line's end was missing
        assert read_records(path) == kept
        append_record(path, after)
        assert read_records(path) == [*kept, after]


WRITER = """
import sys
from a3lib.records import append_record
path, name = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
for number in range(60):
    append_record(path, {"writer": name, "number": number, "filling": "x" * 20_000})
"""


def test_two_processes_append_without_losing_a_line(tmp_path):
    path = tmp_path / "runs.jsonl"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in "ab"
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:  # both start at once
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    records = read_records(path)
    # a writer that sees the other's line half written may put an empty line before its own
    assert len([line for line in path.read_bytes().splitlines() if line]) == len(records) == 120
    for name in "ab":
        assert [r["number"] for r in records if r["writer"] == name] == list(range(60))


def test_table_has_a_row_a_record_with_its_metrics():
    rows = table([record("b", 1), record("a", 3), record("a", 2)])
    expected = pandas.DataFrame(
        {
            "run": ["a", "a", "b"],
            "seed": [2, 3, 1],
            "per_token": [3.5, 4.5, 2.5],
            "word_accuracy": [0.25] * 3,
            "updates": [32, 33, 31],
            "epochs": [3] * 3,
            "seconds": [4.5] * 3,
        }
    )
    pandas.testing.assert_frame_equal(rows, expected)


def test_a_table_of_no_records_is_an_empty_table():
    assert len(table([])) == 0


def test_of_run_gives_the_records_by_seed_the_latest_of_each():
    old, new = record(seed=1, identity="old"), record(seed=1, identity="new")
    chosen = of_run([record(seed=2), old, record("other", 0), new], "gru")
    assert [r["seed"] for r in chosen] == [1, 2]
    assert chosen[0] is new


def test_an_unrecorded_run_is_told_with_those_there_are():
    with pytest.raises(KeyError, match=r"no record of 'absent'.*\['a', 'b'\]"):
        of_run([record("b"), record("a"), record("a", 1)], "absent")


def test_groups_are_one_row_a_seed_and_group():
    frame = groups([record(seed=0), record(seed=4)])
    assert list(frame.columns) == ["run", "seed", "letters", "cluster", "right", "words", "onset"]
    assert frame.loc[5].tolist() == ["gru", 4, 7, "st", 4, 9, 2]
    assert frame["onset"].tolist() == [2, 0, 2] * 2
    assert frame.groupby("seed")["words"].sum().tolist() == [15, 15]


GROUPS = [[3, "", 1, 2], [3, "st", 1, 4], [5, "st", 3, 3], [5, "b", 0, 5], [9, "b", 2, 2]]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, 7 / 16),
        ({"letters": [3]}, 2 / 6),
        ({"onset": [2]}, 4 / 7),
        ({"letters": range(4, 7), "onset": [1, 2]}, 3 / 8),
    ],
)
def test_share_of_right_words_of_some_lengths_and_onsets(chosen, expected):
    content = record(metrics={"groups": GROUPS})
    assert share_right(content, **chosen) == pytest.approx(expected)


def test_share_of_right_words_with_the_lengths_of_others():
    """Of the lengths that both have, 5 and 9, the reference has 5 and 2 words, the chosen onset 1/2 and 1 right."""
    content = record(metrics={"groups": [[2, "st", 0, 9], [5, "st", 1, 2], [9, "st", 3, 3], *GROUPS[3:]]})
    assert share_right_at_lengths_of(content, [2], [1]) == pytest.approx((5 * 1 / 2 + 2 * 1) / 7)
    assert share_right_at_lengths_of(content, [1], [1]) == pytest.approx(2 / 7)  # like those themselves


def test_the_lines_are_plain_json(tmp_path):
    path = tmp_path / "runs.jsonl"
    append_record(path, record())
    assert json.loads(path.read_text(encoding="utf8")) == record()
