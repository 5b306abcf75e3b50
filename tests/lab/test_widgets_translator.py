"""The translator: what is typed is translated by the chosen model, and shown as text."""

import re

import ipywidgets
import pytest
from html_page import Page, read_aloud
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.lab.widgets.translator import LONGEST_TEXT, translation_html, translator
from a3lib.translation.models import ModelSettings, build
from a3lib.translation.sentences import translate

MODELS = {f"model {seed}": build(ModelSettings(hidden_size=8), seed) for seed in (0, 1)}
MODEL = MODELS["model 0"]
ALLOWED = {"div", "p", "b", "em", "span", "br", "small", "ul", "li"}


def page(text, model=MODEL):
    return read_aloud(translation_html(text, model))


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert('x')</script>",
        "a & b",
        "&lt;b&gt; is not <b>",
        '"quoted" </p></div>',
        "<li>1x<2</li>",
        "<img src=x onerror=alert(1)>",
    ],
)
def test_typed_markup_is_shown_as_text(text):
    shown = page(text)
    assert shown.bold == translate(text, MODEL).text
    assert set(shown.tags) <= ALLOWED
    assert not any(name.startswith("on") for name in shown.attributes)


@settings(deadline=None, max_examples=25, database=None, derandomize=True)
@given(st.text(max_size=30))
def test_any_text_gives_well_formed_html_with_its_translation(text):
    shown = Page(translation_html(text, MODEL))
    expected = translate(text, MODEL)
    assert shown.bold.split() == expected.text.split()  # layout apart
    assert [note.split() for note in shown.notes] == [note.split() for note in expected.notes]
    assert set(shown.tags) <= ALLOWED


def test_every_character_of_a_word_is_shown_with_its_probability():
    decoded = translate("cat", MODEL).words["cat"]
    shown = page("cat")
    ended = len(decoded.probabilities) - len(decoded.text)
    symbols = [*decoded.text] + ["end"] * ended
    pairs = zip(symbols, decoded.probabilities, strict=True)
    boxes = "".join(f"{symbol}{chance:.0%}" for symbol, chance in pairs)
    assert shown.text.endswith(f"cat → {boxes}")
    assert shown.tags.count("span") == len(decoded.probabilities)


def test_the_ground_is_whiter_the_surer_the_model_is():
    html = translation_html("cat dog", MODEL)
    boxes = re.findall(r"rgb\((\d+),(\d+),(\d+)\)[^>]*>[^<]*<br><small>(\d+)%", html)
    ordered = sorted((int(share), *map(int, colour)) for *colour, share in boxes)
    assert len(ordered) > 4
    for share, red, green, blue in ordered:
        assert red == 255
        assert green == pytest.approx(165 + 90 * share / 100, abs=1)
        assert blue == pytest.approx(255 * share / 100, abs=2)


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_nothing_to_translate_gives_no_words_and_no_notes(text):
    shown = Page(translation_html(text, MODEL))
    assert shown.notes == []
    assert "span" not in shown.tags


def test_an_empty_text_says_that_there_is_nothing_to_translate():
    assert page("").text == "nothing to translate"


def test_a_long_text_is_cut_and_that_is_told():
    sentence = "the cat sat on the mat. "
    long = sentence * (LONGEST_TEXT // len(sentence) + 1)
    shown = page(long)
    assert len(long) > LONGEST_TEXT
    assert any("10,000 characters" in note for note in shown.notes)
    assert shown.bold == translate(long[:LONGEST_TEXT], MODEL).text
    assert page(long[:LONGEST_TEXT]).notes == []


def test_of_many_words_the_first_twenty_are_spelt_out_and_that_is_told():
    words = [a + b for a in "abcde" for b in "fghij"]
    shown = page(" ".join(words))
    assert shown.text.count(" → ") == 20
    assert any("first 20" in note for note in shown.notes)
    assert len(shown.bold.split(" ")) == 25
    assert page(" ".join(words[:20])).notes == []


def test_what_was_not_translated_is_told():
    shown = page("naïve 42 isn't 😀")
    assert shown.notes == list(translate("naïve 42 isn't 😀", MODEL).notes)
    assert len(shown.notes) == 4
    assert "naïve" in shown.bold


def controls(box):
    field, choice, output = box.children
    assert isinstance(field, ipywidgets.Text) and field.description
    assert isinstance(choice, ipywidgets.Dropdown) and choice.description
    assert isinstance(output, ipywidgets.HTML)
    return field, choice, output


def test_typing_and_choosing_translate_anew():
    field, choice, output = controls(translator(MODELS, "the cat"))
    assert choice.options == tuple(MODELS)
    assert output.value == translation_html("the cat", MODELS["model 0"])
    for text, name in (
        ("a dog", "model 0"),
        ("a dog", "model 1"),
        ("", "model 1"),
        ("the cat", "model 1"),
    ):
        field.value, choice.value = text, name
        assert output.value == translation_html(text, MODELS[name])
        read_aloud(output.value)
    assert translation_html("the cat", MODELS["model 0"]) != output.value


def test_a_message_from_the_browser_has_the_same_effect():
    """The field's new state arrives as the front end sends it."""
    field, _, output = controls(translator(MODELS, "the cat"))
    field.set_state({"value": "<i> dogs"})
    assert output.value == translation_html("<i> dogs", MODEL)
    assert "<i>" not in output.value


def test_two_translators_do_not_share_their_state():
    first, second = (controls(translator(MODELS, "cat")) for _ in range(2))
    first[0].value = "dog"
    assert second[0].value == "cat"
    assert second[2].value == translation_html("cat", MODEL)
