"""Translating text: what is kept, translated and told. The rule stands in for a model."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from a3lib.translation import greedy_decoding, sentences
from a3lib.translation.batches import SYMBOLS
from a3lib.translation.greedy_decoding import Decoded
from a3lib.translation.models import ModelSettings, build
from a3lib.translation.pig_latin import to_pig_latin

properties = settings(deadline=None, max_examples=100, database=None, derandomize=True)
MODEL = object()  # passed through to the stand-in
SENTENCE = "The air-conditioning is working, isn't it?"


def by_rule(model, words):
    """What `translate_words` would give with a perfect model."""
    assert model is MODEL
    assert words
    assert all(words)
    assert len(set(words)) == len(words)
    return [Decoded(to_pig_latin(word), (1.0,) * (len(word) + 1)) for word in words]


@pytest.fixture(autouse=True, scope="module")
def rule():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentences, "translate_words", by_rule)
        yield


def translate(text):
    return sentences.translate(text, MODEL)


# what is translated


def test_sentence_of_the_assignment():
    result = translate(SENTENCE)
    assert result.text == "Ethay airway-onditioningcay isway orkingway, isntway itway?"
    assert result.untranslated == ("'",)
    (note,) = result.notes
    assert "isn't" in note
    assert "apostrophe" in note
    assert list(result.words) == ["the", "air-conditioning", "is", "working", "isnt", "it"]
    assert result.words["the"].text == "ethay"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the", "ethay"),
        ("The", "Ethay"),
        ("THE", "ETHAY"),
        ("McDonald", "Onaldmcday"),
        ("I am A student", "Iway amway Away udentstay"),
        ("Air-conditioning", "Airway-onditioningcay"),
        ("AIR-CONDITIONING", "AIRWAY-ONDITIONINGCAY"),
        ("  the\tend\n\n", "  ethay\tendway\n\n"),
        ("(the) “end”…", "(ethay) “endway”…"),
        ("re- -try rock--roll -", "eray- -ytray ockray--ollray -"),
        ("'the' dogs'", "'ethay' ogsday'"),
        ("isn’t", "isntway"),
        ("o'clock-ish", "oclockway-ishway"),
        ("3 + x = 5", "3 + xay = 5"),
    ],
)
def test_capitals_spaces_and_punctuation(text, expected):
    assert translate(text).text == expected


def test_word_that_comes_twice_is_decoded_once():
    result = translate("The THE the end")
    assert result.text == "Ethay ETHAY ethay endway"
    assert list(result.words) == ["the", "end"]


@properties
@given(st.text("abcqu ABY-,.?!\n", max_size=40))
def test_translation_of_a_text_in_lower_case_is_the_lower_case_of_the_translation(text):
    assert translate(text.lower()).text == translate(text).text.lower()
    assert translate(text).notes == translate(text).untranslated == ()


@properties
@given(
    st.lists(st.text("abcquyz", min_size=1, max_size=8), max_size=8),
    st.sampled_from([" ", ", ", "\n", " — ", "…"]),
)
def test_words_are_translated_one_by_one(words, gap):
    assert translate(gap.join(words)).text == gap.join(map(to_pig_latin, words))


# what is kept


def without_letters(text):
    return re.sub("[A-Za-z]", "", text)


@properties
@given(
    st.text().map(lambda text: re.sub("['’\u212a]", "", text))
)  # U+212A lower-cases to a plain k
@example("café x2, straße! snake_case\u2028привет 👍🏽 no.\x00")
def test_everything_but_letters_is_kept(text):
    assert without_letters(translate(text).text) == without_letters(text)


@properties
@given(st.text("ab'’-.3é ", max_size=25))
def test_apostrophes_are_dropped_only_inside_translated_words(text):
    result = translate(text)
    word_like = re.findall(r"\w+(?:['’-]\w+)*", text)
    translated = [word for word in word_like if not set(word) & {"3", "é"}]
    expected = re.sub("['’]", "", text)
    assert re.sub("['’A-Za-z]", "", result.text) == re.sub("[A-Za-z]", "", expected)
    dropped = sum(word.count("'") + word.count("’") for word in translated)
    assert len(re.findall("['’]", text)) - len(re.findall("['’]", result.text)) == dropped


@pytest.mark.parametrize(
    "text", ["", " ", " \t\n ", "?!", "...", "-", "12:30", "$ + = % & @ #", "'", "’"]
)
def test_texts_without_words_stay(text):
    result = translate(text)
    assert result.text == text
    assert result.words == {}


def test_gaps_are_kept_whatever_a_model_says(monkeypatch):
    """With an untrained model instead of the rule: any output between the same gaps."""
    monkeypatch.setattr(sentences, "translate_words", greedy_decoding.translate_words)
    result = sentences.translate(SENTENCE + " 👍 12", build(ModelSettings(hidden_size=4), seed=0))
    assert re.fullmatch(
        r"X* X* X* X*, X* X*\? 👍 12".replace("X", f"[A-Z{SYMBOLS[1:]}-]"), result.text
    )
    assert set(result.words) == {"the", "air-conditioning", "is", "working", "isnt", "it"}
    assert result.text.split(" ")[0] == result.words["the"].text.capitalize()


# what is told


@pytest.mark.parametrize(
    ("text", "untranslated", "named"),
    [
        ("the café", ("é",), "café"),
        ("naïve Straße", ("ï", "ß"), "naïve"),
        ("3rd x2", ("3", "2"), "3rd"),
        ("the 42 end", ("4", "2"), "42"),
        ("привет the", ("п", "р", "и", "в", "е", "т"), "привет"),
        ("你好", ("你", "好"), "你好"),
        ("the 👍 end 👍", ("👍",), "👍"),
        ("€5", ("5", "€"), "€"),
        ("snake_case", ("_",), "snake_case"),
        ("İstanbul", ("İ",), "İstanbul"),
    ],
)
def test_what_is_copied_is_named(text, untranslated, named):
    result = translate(text)
    assert sorted(result.untranslated) == sorted(untranslated)
    assert any(named in note for note in result.notes)
    for word in text.split():
        if re.fullmatch("[a-z]+", word):
            assert to_pig_latin(word) in result.text
        else:
            assert word in result.text


@pytest.mark.parametrize("text", ["é ï", "👍 é", "€ 5", "x2 👍 y’all 3"])
def test_characters_without_a_symbol_come_in_order_of_appearance(text):
    untranslated = translate(text).untranslated
    assert list(untranslated) == sorted(untranslated, key=text.index)


def test_an_accent_counts_the_same_however_it_is_typed():
    assert translate("cafe\u0301") == translate("caf\u00e9")


def test_notes_are_not_repeated():
    result = translate("café café isn't isn't 👍👍")
    assert len(result.notes) == len(set(result.notes)) == 3
    assert len(result.untranslated) == 3


def test_plain_text_has_no_notes():
    result = translate(
        "It is a truth, universally acknowledged; “that” - (a) single... man & wife! + = $ %"
    )
    assert (result.untranslated, result.notes) == ((), ())


# length


def test_ten_thousand_characters():
    text = ("the quite young air-conditioning, apple. " * 300)[:10_000]
    result = translate(text)
    assert len(text) == 10_000
    assert result.text == re.sub("[a-z-]+", lambda match: to_pig_latin(match.group()), text)
    assert len(result.words) <= 6
    assert result.notes == ()


def test_a_word_of_ten_thousand_letters_is_copied_and_told_briefly():
    result = translate("the " + "a" * 10_000)
    assert result.text == "ethay " + "a" * 10_000
    assert list(result.words) == ["the"]
    (note,) = result.notes
    assert "more than 64 letters" in note
    assert len(note) < 100


def test_longest_word_that_is_translated():
    assert translate("a" * sentences.LONGEST_WORD).text == "a" * sentences.LONGEST_WORD + "way"
    assert translate("a" * (sentences.LONGEST_WORD + 1)).words == {}


def test_a_long_word_with_an_apostrophe_is_copied_for_its_length():
    """An apostrophe alone would be dropped, so it is not why the word was copied."""
    (note,) = translate("o'" + "b" * 70).notes
    assert "more than 64 letters" in note


def test_a_sign_that_lower_cases_to_a_letter_is_not_told_as_an_apostrophe():
    """U+212A, the kelvin sign, is a `k` in lower case but no letter of the vocabulary."""
    assert not any("apostrophe" in note for note in translate("\u212aelvin").notes)


@pytest.mark.parametrize("text", [None, b"the", 3, ["the"]])
def test_only_text_is_translated(text):
    with pytest.raises(TypeError, match=f"not {type(text).__name__}"):
        translate(text)
