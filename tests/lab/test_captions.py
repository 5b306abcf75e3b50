"""Captions: remarks on typed ones, drawn words, false captions, and words that belong to labels."""

import itertools
import re
from dataclasses import replace

import pytest
from fake_clip import COLOURS, FakeClip, paint
from hypothesis import given
from hypothesis import strategies as st

from a3lib.clip.gallery import Gallery, packaged_photographs
from a3lib.clip.ranking import explain
from a3lib.lab import captions


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    return Gallery(FakeClip(), paint(tmp_path_factory.mktemp("pictures")), cache=None)


@pytest.mark.parametrize("caption", ["", " ", " \t\n　 "])
def test_an_empty_caption_is_told_to_be_empty(caption):
    text, notes = captions.tidy(caption, FakeClip())
    assert text == "" and re.search("empty: describe what the picture shows", notes[0])


def test_a_usual_caption_is_left_alone_but_for_its_spaces():
    assert captions.tidy("  a red\n cat ", FakeClip()) == ("a red cat", [])


def test_a_caption_beyond_the_models_tokens_is_told(gallery):
    text, notes = captions.tidy("red " * 2500, FakeClip())
    told = "reads 77 tokens .CLIP reads 77.* has 2502 .* the rest is not looked at"
    assert len(text) < 10_000 and re.search(told, notes[0])
    assert captions.tidy("x" * 1_000_000, FakeClip())[1]
    assert captions.tidy("red " * 75, FakeClip())[1] == []
    assert len(explain(gallery, text, 0)[1]) == 12


@pytest.mark.parametrize("caption", ["🦋 on a flower", "бабочка", "蝴蝶", "un papillon éclatant"])
def test_other_scripts_and_emoji_get_a_remark_and_a_ranking(gallery, caption):
    text, notes = captions.tidy(caption, gallery.model)
    odd = next(character for character in caption if not character.isascii())
    assert text == caption and odd in notes[0] and len(notes) == 1
    assert 1 <= explain(gallery, text, 0)[0].rank(0) <= len(gallery)


def test_content_words_are_what_names_something():
    caption = "a brown horse in front of snowy mountains"
    assert captions.content_words(caption) == ["brown", "horse", "snowy", "mountains"]
    assert captions.content_words("A cat on the mat") == ["cat", "mat"]


@given(st.integers(1, 6), st.integers(0, 50))
def test_drawn_words_keep_their_order_and_depend_on_the_seed_only(number, seed):
    caption = "a brown horse in front of snowy mountains"
    drawn = captions.some_words(caption, number, seed).split()
    words = captions.content_words(caption)
    assert len(drawn) == min(number, 4) and drawn == [word for word in words if word in drawn]
    assert drawn == captions.some_words(caption, number, seed).split()
    assert len({captions.some_words(caption, 1, seed) for seed in range(40)}) == 4


def test_foils_change_one_thing():
    assert captions.with_word_replaced("two black cats", ("black", "white", "red")) == [
        "two white cats",
        "two red cats",
    ]
    assert captions.with_word_replaced("a black and white cow", ("black", "white")) == [
        "a white and white cow",
        "a black and black cow",
    ]
    assert captions.with_word_replaced("a cat", ("black", "white")) == []


@pytest.mark.parametrize(
    ("caption", "exchanged"),
    [
        ("a butterfly on a purple flower", ["a purple flower on a butterfly"]),
        ("a horse in front of snowy mountains", ["snowy mountains in front of a horse"]),
        ("giraffes next to trees", ["trees next to giraffes"]),
        (
            "a pika on a rock with leaves in its mouth",
            ["a rock with leaves in its mouth on a pika"],
        ),
        ("an ontological inn", []),
    ],
)
def test_a_relation_is_turned_round_by_exchanging_the_sides_of_the_first_relation(
    caption, exchanged
):
    assert captions.with_sides_exchanged(caption) == exchanged


def captioned(gallery, texts):
    copy = Gallery.__new__(Gallery)
    copy.__dict__ = dict(gallery.__dict__)
    copy.photographs = [
        replace(p, caption=c) for p, c in zip(gallery.photographs, texts, strict=True)
    ]
    return copy


def test_a_model_that_sees_colours_prefers_true_ones_and_one_that_is_blind_gets_one_half(gallery):
    true, everyone = captioned(gallery, [f"a {colour} thing" for colour in COLOURS]), range(5)
    foils = lambda caption: captions.with_word_replaced(caption, tuple(COLOURS))  # noqa: E731
    assert captions.preference(true, foils, everyone).tolist() == [1.0] * len(COLOURS)
    lies = captioned(
        gallery, ["a green thing", "a red thing", "no colour", "a blue thing", "a red thing"]
    )
    wrong = captions.preference(lies, foils, everyone)
    assert len(wrong) == 4 and wrong.max() < 1  # the picture without foils is left out
    assert captions.preference(lies, foils, [3, 2]).tolist() == [wrong[2]]
    blind = captioned(true, [f"a {colour} thing" for colour in COLOURS])
    blind.features = true.features[:1].expand(len(COLOURS), -1)
    assert captions.preference(blind, foils, everyone).tolist() == [0.5] * len(COLOURS)


@pytest.mark.parametrize(
    ("label", "class_name", "expected"),
    [
        ("bat", "wombat", False),
        ("cow", "cowboy hat", False),
        ("cat", "catamaran", False),
        ("horse", "horse-drawn vehicle", False),
        ("dog", "dogs", False),
        ("bat", "baseball bat", True),
        ("bee", "bee", True),
        ("polar bear", "polar bear", True),
        ("bear", "polar bear", True),
        ("Polar Bear", "polar bear", True),
        ("owl", "great grey owl", True),
        ("scissors", "scissors", True),
        ("scissor", "scissors", False),
        ("c++", "c++ book", True),
    ],
)
def test_a_label_is_part_of_a_class_name_by_whole_words(label, class_name, expected):
    assert captions.is_in_class_name(label, class_name) is expected


def test_a_name_without_a_hyphen_is_matched_where_its_words_stand_in_a_row():
    for label, name in itertools.product(
        ["bat", "red fox", "fox"], ["a bat", "red fox", "fox red"]
    ):
        words, wanted = name.split(), label.split()
        spans = [words[i : i + len(wanted)] for i in range(len(words))]
        assert captions.is_in_class_name(label, name) == (wanted in spans)


@pytest.mark.parametrize(
    ("word", "label", "expected"),
    [
        ("bee", "bee", True),
        ("Bee,", "bee", True),
        ("bees", "bee", True),
        ("(daisies)", "daisy", True),
        ("daisy", "daisies", True),
        ("brushes", "paint brush", True),
        ("panels", "solar panel", True),
        ("solar", "solar panel", True),
        ("foxes", "fox", True),
        ("monkeys", "monkey", True),
        ("Statue", "Statue of Liberty", True),
        ("scissors", "pair of scissors", True),
        ("scissor", "scissors", True),
        ("of", "pair of scissors", False),
        ("the", "the Taj Mahal", False),
        ("gras", "grass", False),
        ("glas", "glass", False),
        ("cow", "cowboy", False),
        ("bat", "wombat", False),
        ("us", "bus", False),
        ("grasss", "grass", False),
        ("", "bee", False),
        ("...", "bee", False),
    ],
)
def test_a_captions_word_belongs_to_a_label_in_singular_or_plural(word, label, expected):
    assert captions.is_label_word(word, label) is expected


def test_every_label_of_the_gallery_is_met_by_its_own_words_but_not_by_small_ones():
    for photograph in packaged_photographs():
        for word in photograph.label.split():
            small = word in captions.SMALL_WORDS
            assert captions.is_label_word(word, photograph.label) is not small
        assert not captions.is_label_word("of", photograph.label)
