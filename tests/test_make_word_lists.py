"""The committed word lists: made by the script, of the stated sizes and content, all disjoint.

The words of the final lists decide nothing and are not to be read, so no failing test shows one:
what is asserted are numbers that were counted before.
"""

import os
import random
import re
import subprocess
import sys
from importlib import resources
from itertools import combinations
from pathlib import Path

import make_word_lists as word_lists
import pytest

from a3lib.translation.pairs import PRACTICE, UNUSUAL, WORD_LISTS
from a3lib.translation.pig_latin import first_cluster, to_pig_latin

DATA = Path(str(resources.files("a3lib"))) / "data"
WORDS = DATA / "words"
USED = ("small", "large", "test", "fresh")
FINAL = ("unseen", *UNUSUAL)
KINDS = ("abbreviations", "names", "clusters")


def rows(name):
    header, *lines = (WORDS / "sources" / name).read_text(encoding="utf8").splitlines()
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


def is_word(word):
    return all(part and set(part) <= set("abcdefghijklmnopqrstuvwxyz") for part in word.split("-"))


def letters(word):
    return sum(letter != "-" for letter in word)


def common(first, second):
    """How many words two lists share."""
    return len(set(first) & set(second))


@pytest.fixture(scope="module")
def lists():
    return {
        name: (WORDS / f"{name}.txt").read_text(encoding="utf8").splitlines() for name in WORD_LISTS
    }


@pytest.fixture(scope="module")
def sources():
    """Words by origin: the novel, SCOWL levels 10 and 20, level 35, and all there are."""
    austen = {row["word"]: int(row["count_sense_and_sensibility"]) for row in rows("austen.tsv")}
    scowl = {(row["word"], int(row["level"])) for row in rows("scowl.tsv")}
    every = [*austen, *(word for word, _ in scowl)]
    return {
        "novel": {word for word, times in austen.items() if times and is_word(word)},
        "common": {word for word, level in scowl if level < 35 and is_word(word)},
        "level 35": {word for word, level in scowl if level == 35 and is_word(word)},
        "all": {word for word in every if is_word(word)},
    }


@pytest.fixture(scope="module")
def draws():
    """Everything the script drew, in order: the fourth draw is the one whose mistakes were read."""
    drawn = []

    class Recording(random.Random):
        def sample(self, *given):
            drawn.append(super().sample(*given))
            return drawn[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word_lists.random, "Random", Recording)
        word_lists.word_lists()
    return drawn


# made by the script


def assert_is_committed(folder):
    names = sorted(f"{name}.txt" for name in WORD_LISTS)
    assert sorted(path.name for path in folder.iterdir()) == names
    same = [(folder / name).read_bytes() == (WORDS / name).read_bytes() for name in names]
    assert [name for name, equal in zip(names, same, strict=True) if not equal] == []


def test_write_makes_exactly_the_committed_files(tmp_path):
    word_lists.write(tmp_path)
    assert_is_committed(tmp_path)


def test_script_makes_them_under_another_hash_seed(tmp_path):
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    script = [sys.executable, word_lists.__file__, str(tmp_path)]
    subprocess.run(script, env=environment, check=True)
    assert_is_committed(tmp_path)


def test_another_seed_makes_other_lists(monkeypatch, lists):
    monkeypatch.setattr(word_lists, "SEED", word_lists.SEED + 1)
    other = word_lists.word_lists()
    assert other.keys() == lists.keys()
    for name, words in lists.items():
        sizes, differ = (len(other[name]), len(words)), other[name] != words
        assert name == "test" or sizes[0] == sizes[1]
        assert differ, name


def test_files_are_sorted_unique_lower_case_words(lists):
    for name, words in lists.items():
        in_order, valid = words == sorted(set(words)), all(map(is_word, words))
        assert in_order and valid, name
        content = (WORDS / f"{name}.txt").read_bytes()
        ended, unix = content.endswith(b"\n"), b"\r" not in content
        assert ended and unix, name


def test_sizes(lists):
    expected = {"small": 3198, "large": 22402, "fresh": 2000, "unseen": 2000}
    expected |= dict.fromkeys((*PRACTICE, *UNUSUAL), 500)
    found = {name: len(words) for name, words in lists.items()}
    assert found == {**expected, "test": found["test"]}
    assert found["test"] > 2000


# what they hold


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


def test_test_list_holds_every_unused_long_word_and_2000_others(lists, sources):
    test, unused = set(lists["test"]), sources["all"] - set(lists["large"])
    assert test <= unused
    long = {word for word in unused if letters(word) >= 15}
    assert long
    assert {word for word in test if letters(word) >= 15} == long
    assert len(test - long) == 2000


@pytest.mark.parametrize("name", ["fresh", "unseen"])
def test_fresh_and_unseen_words_are_of_the_tables(lists, sources, name):
    foreign = len(set(lists[name]) - sources["all"])
    assert foreign == 0


@pytest.mark.parametrize("prefix", ["practice-", ""])
@pytest.mark.parametrize("kind", ["abbreviation", "name"])
def test_unusual_words_are_of_their_kind_and_of_no_other_table(lists, sources, prefix, kind):
    words = set(lists[f"{prefix}{kind}s"])
    of_kind = {row["word"] for row in rows("unusual.tsv") if row["kind"] == kind}
    foreign, listed = len(words - of_kind), common(words, sources["all"])
    assert foreign == listed == 0


@pytest.mark.parametrize("prefix", ["practice-", ""])
def test_made_clusters_are_two_to_five_consonants_before_the_body_of_an_unused_word(
    lists, sources, draws, prefix
):
    words = lists[f"{prefix}clusters"]
    used = {word for name in USED for word in lists[name]}
    bases = [word for word in sources["all"] - used if re.match("[^aeiouy]", word)]
    bodies = {re.sub("^[^aeiouy]+", "", word) for word in bases}
    unfit = len(words)
    for word in words:
        cuts = (word[:i] for i in range(2, 6))
        unfit -= any(
            set(cluster) <= set(word_lists.CONSONANTS) and word[len(cluster) :] in bodies
            for cluster in cuts
        )
    assert unfit == 0
    lengths = {len(first_cluster(word)) for word in words}
    assert {2, 3, 4, 5} <= lengths


# who shares what


def test_final_lists_share_no_word_with_anything_used_or_looked_at(lists, draws):
    looked_at = draws[3]
    assert "half-a-dozen" in looked_at  # whose mistakes were read
    for name in FINAL:
        shared = {other: common(lists[name], lists[other]) for other in (*USED, *PRACTICE)}
        shared["looked at"] = common(lists[name], looked_at)
        assert set(shared.values()) == {0}, (name, shared)


def test_no_two_lists_share_a_word_but_small_and_large(lists):
    shared = {pair: common(lists[pair[0]], lists[pair[1]]) for pair in combinations(WORD_LISTS, 2)}
    assert shared.pop(("small", "large")) == 3198
    assert {pair: number for pair, number in shared.items() if number} == {}


def test_words_that_the_clusters_were_made_of_are_in_no_list(lists, draws):
    """A base of either half is unused, and no base is in both halves."""
    practice, final = draws[8], draws[11]
    sizes, shared = {len(set(practice)), len(set(final))}, common(practice, final)
    assert (sizes, shared) == ({500}, 0)
    for name in (*USED, "unseen"):
        shared = common(practice + final, lists[name])
        assert shared == 0, name


def test_the_halves_are_told_apart_by_the_word_alone(lists):
    for number, prefix in ((0, "practice-"), (1, "")):
        for kind in KINDS[:2]:
            halves = {word_lists._half(word) for word in lists[prefix + kind]}
            assert halves == {number}


def test_every_word_has_a_translation_within_the_alphabet(lists):
    for name in WORD_LISTS:
        wrong = sum(not is_word(to_pig_latin(word)) for word in lists[name])
        assert wrong == 0, name


def test_licence_and_origin_stand_beside_the_lists():
    licence = (WORDS / "SCOWL-LICENCE.txt").read_text(encoding="utf8")
    assert "Copyright" in licence
    assert "Kevin Atkinson" in licence
    origin = (DATA / "ORIGIN.md").read_text(encoding="utf8")
    for subject in ("Sense and Sensibility", "SCOWL", "SCOWL-LICENCE.txt", "public domain"):
        assert subject in origin
    for name in WORD_LISTS:
        assert name.removeprefix("practice-") in origin
