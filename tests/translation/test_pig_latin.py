"""The rule against a second implementation, its parts and its bound."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from a3lib.translation.pairs import WORD_LISTS, load_pairs
from a3lib.translation.pig_latin import first_cluster, is_word, longest_translation, to_pig_latin

properties = settings(deadline=None, max_examples=100, database=None, derandomize=True)
parts = st.text("abcdeiouyqztrs", max_size=9)
words = st.text("-aeiouyquqtrsb", max_size=14)


def rule_letter_by_letter(word):
    """The assignment's rule again, as a loop over letters and without regular expressions."""
    translated = []
    for part in word.split("-"):
        rest, moved = list(part), []
        while rest and rest[0] not in "aeiouy":
            moved.append(rest.pop(0))
        if moved and moved[-1] == "q" and rest and rest[0] == "u":
            moved.append(rest.pop(0))
        ending = "" if not part else "way" if part[0] in "aeiou" else "ay"
        translated.append("".join(rest + moved) + ending)
    return "-".join(translated)


@pytest.mark.parametrize(
    ("word", "translation"),
    [
        ("apple", "appleway"),
        ("i", "iway"),
        ("young", "youngay"),
        ("y", "yay"),
        ("yttrium", "yttriumay"),
        ("try", "ytray"),
        ("rhythm", "ythmrhay"),
        ("quite", "itequay"),
        ("squire", "iresquay"),
        ("qu", "quay"),
        ("queue", "euequay"),
        ("qatar", "atarqay"),
        ("equal", "equalway"),
        ("bbc", "bbcay"),
        ("scaled", "aledscay"),
        ("air-conditioning", "airway-onditioningcay"),
        ("by-the-by", "ybay-ethay-ybay"),
        ("-a-", "-away-"),
        ("--", "--"),
        ("", ""),
    ],
)
def test_known_translations(word, translation):
    assert to_pig_latin(word) == translation


@properties
@given(words)
@example("squq-qu-uqu")
def test_rule_equals_a_second_implementation(word):
    assert to_pig_latin(word) == rule_letter_by_letter(word)


@pytest.mark.parametrize("name", WORD_LISTS)
def test_rule_equals_the_second_implementation_on_every_shipped_word(name):
    differ = sum(target != rule_letter_by_letter(word) for word, target in load_pairs(name))
    assert differ == 0


@properties
@given(st.lists(parts, min_size=1, max_size=4))
def test_parts_are_translated_independently(some):
    assert to_pig_latin("-".join(some)) == "-".join(map(to_pig_latin, some))


@properties
@given(parts.filter(bool))
def test_letters_are_kept_and_only_the_ending_is_new(part):
    translation = to_pig_latin(part)
    ending = translation[len(part) :]
    assert ending == ("way" if part[0] in "aeiou" else "ay")
    assert sorted(translation[: len(part)]) == sorted(part)


@properties
@given(parts)
def test_first_cluster_is_what_moves(part):
    cluster = first_cluster(part)
    assert part.startswith(cluster)
    if part and part[0] not in "aeiou":
        assert to_pig_latin(part) == part[len(cluster) :] + cluster + "ay"
    else:
        assert cluster == ""


@properties
@given(words)
def test_longest_translation_is_a_bound(word):
    assert len(to_pig_latin(word)) <= longest_translation(word)


def test_longest_translation_is_reached():
    for word in ("a", "apple", "open-air", "a-a-a-a"):
        assert len(to_pig_latin(word)) == longest_translation(word)


@pytest.mark.parametrize("word", ["Apple", "it's", "two words", "x2", "café", "word\n", "\n", " "])
def test_other_characters_are_refused(word):
    assert not is_word(word)
    with pytest.raises(ValueError, match="characters other than"):
        to_pig_latin(word)
