"""Records: what is appended comes back, whatever else happens to the file."""

import json
import subprocess
import sys
import threading

import pandas
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_records import record

from a3lib.lab.records import (
    append_record,
    by_run,
    of_run,
    read_records,
    right_words,
    share_right,
    share_right_at_lengths_of,
    table,
    word_groups,
)

VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
RECORDS = st.dictionaries(
    st.text(),
    st.recursive(
        VALUES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
    ),
)


@settings(deadline=None, max_examples=25, database=None, derandomize=True)
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
    (found,) = read_records(path)
    assert [value.hex() for value in found["values"]] == [value.hex() for value in values]


def test_the_lines_are_plain_json(tmp_path):
    path = tmp_path / "runs.jsonl"
    append_record(path, record())
    assert json.loads(path.read_text(encoding="utf8")) == record()


def test_a_missing_or_empty_file_has_no_records(tmp_path):
    assert read_records(tmp_path / "absent.jsonl") == []
    assert not (tmp_path / "absent.jsonl").exists()
    (tmp_path / "empty.jsonl").touch()
    assert read_records(str(tmp_path / "empty.jsonl")) == []
    assert read_records() == []


def test_several_files_are_read_one_after_the_other(tmp_path):
    for name in ("b", "a"):
        append_record(tmp_path / name, {"run": name})
    paths = [tmp_path / name for name in ("a", "absent", "b")]
    assert [one["run"] for one in read_records(*paths)] == ["a", "b"]


def test_a_record_torn_at_any_byte_is_left_out_and_the_next_one_is_whole(tmp_path):
    """A kill while writing leaves the start of a line."""
    path = tmp_path / "runs.jsonl"
    torn, after = {"run": "torn ü", "values": [1, 2]}, {"run": "after"}
    append_record(path, record())
    before = path.read_bytes()
    append_record(path, torn)
    whole = path.read_bytes()
    for length in range(len(before), len(whole) + 1):
        path.write_bytes(whole[:length])
        # without its line's end alone a record is whole
        kept = [record(), torn] if length >= len(whole) - 1 else [record()]
        assert read_records(path) == kept
        append_record(path, after)
        assert read_records(path) == [*kept, after]


def test_a_torn_line_in_the_middle_harms_no_other(tmp_path):
    path = tmp_path / "runs.jsonl"
    for name in "abc":
        append_record(path, {"run": name})
    lines = path.read_text(encoding="utf8").splitlines()
    path.write_text("\n".join([lines[0], lines[1][:6], "", lines[2]]), encoding="utf8")
    append_record(path, {"run": "d"})
    assert [one["run"] for one in read_records(path)] == ["a", "c", "d"]


WRITER = """
import sys
from a3lib.lab.records import append_record
path, name = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
for number in range(60):
    append_record(path, {"writer": name, "number": number, "filling": "x" * 20_000})
"""


def test_two_processes_append_without_losing_a_line(tmp_path):
    path = tmp_path / "runs.jsonl"
    path.write_text('{"torn": ', encoding="utf8")  # and a kill had left half a line
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], **pipes) for name in "ab"
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
    assert len(path.read_bytes().splitlines()) == 1 + len(records) == 121
    for name in "ab":
        assert [r["number"] for r in records if r["writer"] == name] == list(range(60))


def test_an_append_waits_for_another_one_that_is_not_done(tmp_path):
    path = tmp_path / "runs.jsonl"
    waiting = threading.Thread(target=append_record, args=(path, {"run": "second"}))
    with FileLock(f"{path}.lock"):
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive() and read_records(path) == []
        path.write_text('{"run": "first"}\n', encoding="utf8")
    waiting.join()
    assert [one["run"] for one in read_records(path)] == ["first", "second"]


def test_runs_come_in_their_order_of_appearance_and_their_records_by_seed():
    recorded = [record("b", 3), record("a", 1), record("b", 0), record("c", 2), record("a", 0)]
    found = by_run(recorded)
    seeds = {run: [one["seed"] for one in some] for run, some in found.items()}
    assert list(found) == ["b", "a", "c"]
    assert seeds == {"b": [0, 3], "a": [0, 1], "c": [2]}
    assert by_run([]) == {}


def test_of_run_gives_the_records_of_one_run_by_seed():
    recorded = [record(seed=2), record("other", 0), record(seed=1)]
    assert of_run(recorded, "gru") == [recorded[2], recorded[0]]


def test_an_unrecorded_run_is_told_with_those_there_are():
    with pytest.raises(KeyError, match=r"no record of 'absent'; recorded are a, b"):
        of_run([record("b"), record("a"), record("a", 1)], "absent")


def test_table_has_a_row_per_record_with_its_metrics():
    rows = table([record("b", 1), record("a", 3), record("a", 2)])
    expected = pandas.DataFrame(
        {
            "run": ["a", "a", "b"],
            "seed": [2, 3, 1],
            "per_token": [3.5, 4.5, 2.5],
            "unseen_accuracy": [0.25] * 3,
            "updates": [32, 33, 31],
            "epochs": [3] * 3,
            "seconds": [4.5] * 3,
        }
    )
    pandas.testing.assert_frame_equal(rows, expected)


def test_a_table_of_no_records_is_an_empty_table():
    assert len(table([])) == 0


def test_word_groups_are_one_row_per_seed_and_group():
    frame = word_groups([record(seed=0), record(seed=4)])
    assert list(frame.columns) == ["run", "seed", "letters", "cluster", "right", "words", "onset"]
    assert frame.loc[5].tolist() == ["gru", 4, 7, "st", 4, 9, 2]
    assert frame["onset"].tolist() == [2, 0, 2] * 2
    assert frame.groupby("seed")["words"].sum().tolist() == [15, 15]
    assert word_groups([record()], "test")["words"].tolist() == [3]


def with_groups(groups):
    return record(metrics={"groups": {"unseen": groups, "test": [[3, "b", 1, 1]]}})


GROUPS = [[3, "", 1, 2], [3, "st", 1, 4], [5, "st", 3, 3], [5, "b", 0, 5], [9, "b", 2, 2]]


@pytest.mark.parametrize(
    ("chosen", "right", "total"),
    [
        ({}, 7, 16),
        ({"letters": [3]}, 2, 6),
        ({"onset": [2]}, 4, 7),
        ({"letters": range(4, 7), "onset": [1, 2]}, 3, 8),
        ({"words": "test"}, 1, 1),
    ],
)
def test_right_words_of_some_lengths_and_onsets(chosen, right, total):
    content = with_groups(GROUPS)
    assert right_words(content, **chosen) == (right, total)
    assert share_right(content, **chosen) == right / total


def test_share_of_right_words_with_the_lengths_of_others():
    """Of the lengths that both have, 5 and 9, the reference has 5 and 2 words."""
    content = with_groups([[2, "st", 0, 9], [5, "st", 1, 2], [9, "st", 3, 3], *GROUPS[3:]])
    assert share_right_at_lengths_of(content, [2], [1]) == pytest.approx((5 * 1 / 2 + 2 * 1) / 7)
    assert share_right_at_lengths_of(content, [1], [1]) == pytest.approx(2 / 7)  # as they are
