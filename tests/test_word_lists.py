"""The committed word lists: made by the script, of the stated sizes and content, beside their licence and origin."""

import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from a3lib import word_lists

DATA = Path(str(resources.files("a3lib"))) / "data"
NAMES = ("small", "large", "test", "fresh")


def rows(name):
    header, *lines = (DATA / "sources" / name).read_text(encoding="utf8").splitlines()
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


def is_word(word):
    return all(part and set(part) <= set("abcdefghijklmnopqrstuvwxyz") for part in word.split("-"))


@pytest.fixture(scope="module")
def lists():
    return {name: (DATA / f"{name}.txt").read_text(encoding="utf8").splitlines() for name in NAMES}


@pytest.fixture(scope="module")
def sources():
    """Words by origin: the novel, SCOWL levels 10 and 20, level 35, and all there are."""
    austen = {row["word"]: int(row["count_sense_and_sensibility"]) for row in rows("austen.tsv")}
    scowl = {(row["word"], int(row["level"])) for row in rows("scowl.tsv")}
    return {
        "novel": {word for word, times in austen.items() if times and is_word(word)},
        "common": {word for word, level in scowl if level < 35 and is_word(word)},
        "level 35": {word for word, level in scowl if level == 35 and is_word(word)},
        "all": {word for word in [*austen, *(word for word, _ in scowl)] if is_word(word)},
    }


def assert_is_committed(folder):
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.txt" for name in NAMES)
    for name in NAMES:
        assert (folder / f"{name}.txt").read_bytes() == (DATA / f"{name}.txt").read_bytes(), name


def test_write_makes_exactly_the_committed_files(tmp_path):
    word_lists.write(tmp_path)
    assert_is_committed(tmp_path)


def test_script_makes_them_under_another_hash_seed(tmp_path):
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-m", "a3lib.word_lists", str(tmp_path)], env=environment, check=True)
    assert_is_committed(tmp_path)


def test_another_seed_makes_other_lists(monkeypatch, lists):
    monkeypatch.setattr(word_lists, "SEED", word_lists.SEED + 1)
    other = word_lists.word_lists()
    assert all(len(other[name]) == len(lists[name]) and other[name] != lists[name] for name in ("small", "large"))
    assert other["test"] != lists["test"]


def test_files_are_sorted_unique_lower_case_words(lists):
    for name in NAMES:
        assert lists[name] == sorted(set(lists[name]))
        assert all(map(is_word, lists[name]))
        content = (DATA / f"{name}.txt").read_bytes()
        assert content.endswith(b"\n")
        assert b"\r" not in content


def test_sizes(lists):
    assert (len(lists["small"]), len(lists["large"])) == (3198, 22402)


def test_small_is_drawn_from_the_novel_hyphens_included(lists, sources):
    assert set(lists["small"]) < sources["novel"]
    assert any("-" in word for word in lists["small"])


def test_large_holds_the_novel_and_the_common_words_and_is_filled_from_level_35(lists, sources):
    large = set(lists["large"])
    assert set(lists["small"]) < large
    assert sources["novel"] | sources["common"] <= large
    rest = large - sources["novel"] - sources["common"]
    assert rest
    assert rest < sources["level 35"]


def test_test_list_is_disjoint_and_holds_every_unused_long_word_and_2000_others(lists, sources):
    test, large = set(lists["test"]), set(lists["large"])
    assert not test & large
    unused = sources["all"] - large
    assert test <= unused
    long = {word for word in unused if sum(letter != "-" for letter in word) >= 15}
    assert long
    assert {word for word in test if sum(letter != "-" for letter in word) >= 15} == long
    assert len(test - long) == 2000


def test_fresh_list_shares_no_word_with_the_others(lists, sources):
    fresh = set(lists["fresh"])
    assert "half-a-dozen" not in fresh  # it was in the first draw, whose mistakes were read
    assert len(fresh) == 2000 and fresh <= sources["all"]
    for name in NAMES[:-1]:
        assert fresh.isdisjoint(lists[name])


def test_licence_and_origin_stand_beside_the_lists():
    licence = (DATA / "SCOWL-LICENCE.txt").read_text(encoding="utf8")
    assert "Copyright" in licence
    assert "Kevin Atkinson" in licence
    origin = (DATA / "ORIGIN.md").read_text(encoding="utf8")
    for subject in ("Sense and Sensibility", "SCOWL", "SCOWL-LICENCE.txt", "public domain", "a3lib.word_lists"):
        assert subject in origin
