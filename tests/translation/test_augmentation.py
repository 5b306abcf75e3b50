"""Made pairs: they follow the rule of the listed pairs, whichever it is, and come as asked."""

import random
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.translation.augmentation import SHORT, Augmentation, augment, turn
from a3lib.translation.pairs import Pairs, load_pairs
from a3lib.translation.pig_latin import first_cluster, to_pig_latin

KINDS = [one.name for one in fields(Augmentation) if one.name != "count"]
NOTHING = Augmentation(count=0, **dict.fromkeys(KINDS, 0.0))
SMALL = load_pairs("small")


def only(kind, count=300, pairs=SMALL, seed=0):
    """Pairs of one kind alone."""
    return augment(pairs, replace(NOTHING, count=count, **{kind: 1.0}), seed).pairs


def moves_as_a_whole(word):
    return first_cluster(word) == word


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_kind_follows_the_rule_that_made_the_list(kind, seed):
    made = only(kind, 1500, seed=seed)
    assert [pair for pair in made if pair[1] != to_pig_latin(pair[0])] == []


def test_the_large_list_makes_pairs_of_the_rule_too():
    made = augment(load_pairs("large"), Augmentation(4000), seed=3)
    assert [pair for pair in made if pair[1] != to_pig_latin(pair[0])] == []


def other_rule(word):
    """Another language: k and s alone move, the ending is `oy`, words that stay get `hey`."""
    moved = len(word) - len(word.lstrip("ks"))
    return word[moved:] + word[:moved] + ("oy" if moved else "hey")


def test_another_rule_is_learned_from_its_pairs_alone():
    words = ["ska", "kat", "ask", "tok", "akk", "ssot", "toak", "k", "sk", "oka", "kato", "atak"]
    pairs = Pairs("other", tuple((word, other_rule(word)) for word in words))
    made = augment(pairs, Augmentation(2000), seed=0)
    assert len(set(made) - set(pairs)) > 200
    for word, translation in made:
        assert translation == "-".join(map(other_rule, word.split("-")))


@pytest.mark.parametrize("count", [0, 1, 57])
def test_as_many_pairs_come_as_asked(count):
    assert len(augment(SMALL, Augmentation(count), seed=0)) == count


def test_the_seed_alone_decides():
    random.seed(0)
    first = augment(SMALL, Augmentation(200), seed=1)
    state = random.getstate()
    again = augment(SMALL, Augmentation(200), seed=1)
    assert random.getstate() == state
    assert first == again
    assert first.pairs != augment(SMALL, Augmentation(200), seed=2).pairs


def test_weights_say_how_often_a_kind_comes():
    mixed = replace(NOTHING, count=4000, listed=1.0, hyphenated=3.0)
    hyphens = sum("-" in word for word, _ in augment(SMALL, mixed, seed=0))
    assert hyphens / 4000 == pytest.approx(0.75, abs=0.05)


def test_listed_pairs_are_listed():
    assert set(only("listed")) <= set(SMALL)


def shape(word):
    """The kind of each letter: what happens to words that begin with it."""
    kinds = {"y": "y", "q": "q"} | dict.fromkeys("aeiou", "vowel")
    return tuple(kinds.get(letter, "consonant") for letter in word)


def test_letters_are_substituted_within_their_groups():
    listed = {word for word, target in SMALL if turn(word, target)}
    made = only("substituted", 2000)
    assert {shape(word) for word, _ in made} <= {shape(word) for word in listed}
    assert sum(word not in listed for word, _ in made) > 500


def test_a_q_neither_comes_nor_goes():
    with_q = {word for word, _ in SMALL if "q" in word}
    for word, _ in only("substituted", 4000):
        assert "q" not in word or word in with_q


def test_run_together_words_are_two_of_the_list_but_for_replaced_letters():
    listed = {word for word, _ in SMALL}
    shapes = {shape(word) for word in listed}
    whole = 0
    for word, _ in only("run_together", 400):
        assert "-" not in word
        cuts = [(word[:i], word[i:]) for i in range(1, len(word))]
        assert any(shape(first) in shapes and shape(second) in shapes for first, second in cuts)
        whole += any(set(cut) <= listed for cut in cuts)
    assert 60 < whole < 340


def test_hyphenated_words_are_two_or_three_short_ones_of_the_list_but_for_replaced_letters():
    listed = {word for word, _ in SMALL}
    shapes = {shape(word) for word in listed}
    parts = [word.split("-") for word, _ in only("hyphenated", 400)]
    assert {len(some) for some in parts} == {2, 3}
    assert all(shape(part) in shapes for some in parts for part in some)
    assert 60 < sum(set(some) <= listed for some in parts) < 340
    assert all(len(part) <= SHORT for some in parts if len(some) == 3 for part in some)


def test_moving_words_move_as_a_whole():
    made = only("moving")
    assert all(moves_as_a_whole(word) and target == word + "ay" for word, target in made)
    assert len({len(word) for word, _ in made}) > 3


def test_led_words_have_such_a_word_in_front():
    clusters = {first_cluster(word) for word, _ in SMALL}
    assert sum(first_cluster(word) not in clusters for word, _ in only("led")) > 200


@pytest.mark.parametrize(
    ("word", "translation", "found"),
    [
        ("cat", "atcay", (1, "ay")),
        ("apple", "appleway", (0, "way")),
        ("mrs", "mrsay", (0, "ay")),
        ("quite", "itequay", (2, "ay")),
        ("cat", "xyz", None),
        ("by-the-by", "ybay-ethay-ybay", None),
        ("cat", "atc", (1, "")),
    ],
)
def test_turn_reads_off_what_moved_and_the_ending(word, translation, found):
    assert turn(word, translation) == found


words = st.text("abcdeioumnrsty", min_size=1, max_size=6)
whole = st.text("bcdmnrst", min_size=1, max_size=3)


@settings(deadline=None, max_examples=60, database=None, derandomize=True)
@given(
    st.lists(words.filter(lambda word: not moves_as_a_whole(word)), max_size=30),
    st.lists(whole, min_size=1, max_size=4),
    st.integers(0, 99),
)
def test_any_list_makes_pairs_of_its_rule(some, moving, seed):
    """Each letter's words tell by their majority what happens to it, as in every real list."""
    telling = [
        letter + end for letter in "abcdeioumnrsty" for end in ("ab", "ot", "ie", "abe", "u")
    ]
    listed = sorted({*some, *moving, *telling})
    pairs = Pairs("some", tuple((word, to_pig_latin(word)) for word in listed))
    for word, translation in augment(pairs, Augmentation(100), seed):
        assert translation == to_pig_latin(word)


@pytest.mark.parametrize(
    "some", [("cat", "dog"), ("sh", "mrs"), ("shopping", "mrs"), ("by-and-by", "cat-dog")]
)
def test_a_list_that_lacks_words_to_make_others_of_is_refused(some):
    pairs = Pairs("mine", tuple((word, to_pig_latin(word)) for word in some))
    with pytest.raises(ValueError, match=r"mine lacks words .* train without augmentation"):
        augment(pairs, Augmentation(1), seed=0)


def test_pairs_that_obey_no_rule_are_left_alone():
    pairs = Pairs("mine", (*SMALL, ("zzyzx", "nothing"), ("cat-x", "odd")))
    made = augment(pairs, replace(Augmentation(1000), listed=0.0), seed=0)
    assert all(translation == to_pig_latin(word) for word, translation in made)


def test_a_word_of_one_letter_that_begins_no_other_word_does_no_harm():
    pairs = Pairs("mine", (*(pair for pair in SMALL if pair[0][0] != "x"), ("x", "xay")))
    for word, translation in augment(pairs, Augmentation(500), seed=0):
        assert translation == to_pig_latin(word)


def test_a_word_that_moves_as_a_whole_and_ends_in_q_is_not_set_before_a_u():
    """A `q` may take a following u along, and no listed word tells."""
    pairs = Pairs("mine", (*SMALL, ("q", "qay"), ("cq", "cqay")))
    made = only("led", 3000, pairs)
    assert [pair for pair in made if pair[1] != to_pig_latin(pair[0])] == []
