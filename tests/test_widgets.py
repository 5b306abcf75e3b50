"""The translator widget: what is typed is translated by the chosen model, and shown as text whatever it holds."""

import re

import IPython.display
import ipywidgets
import pytest
import torch
from html_page import Page
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib import widgets
from a3lib.models import ModelSettings, build
from a3lib.translation import translate
from a3lib.widgets import LONGEST_TEXT, show, translation_html, translator

MODELS = {f"model {seed}": build(ModelSettings(hidden_size=8), seed) for seed in (0, 1)}
MODEL = MODELS["model 0"]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def page(text, model=MODEL):
    return Page(translation_html(text, model))


ALLOWED = {"div", "p", "b", "em", "span", "br", "small", "ul", "li"}


@pytest.mark.parametrize(
    "text", ["<script>alert('x')</script>", "a & b", "&lt;b&gt; is not <b>", '"quoted" </p></div>', "<li>1x<2</li>"]
)
def test_typed_markup_is_shown_as_text(text):
    shown = page(text)
    assert shown.bold == translate(text, MODEL).text
    assert set(shown.tags) <= ALLOWED
    assert "script" not in shown.tags


@settings(deadline=None, max_examples=25)
@given(st.text(max_size=30))
def test_any_text_gives_well_formed_html_with_its_translation(text):
    shown = page(text)
    expected = translate(text, MODEL)
    assert shown.bold.split() == expected.text.split()  # layout apart
    assert [note.split() for note in shown.notes] == [note.split() for note in expected.notes]
    assert set(shown.tags) <= ALLOWED


def test_every_character_of_a_word_is_shown_with_its_probability():
    decoded = translate("cat", MODEL).words["cat"]
    shown = Page(translation_html("cat", MODEL))
    symbols = [*decoded.text] + ["end"] * (len(decoded.probabilities) - len(decoded.text))
    cells = "".join(f"{symbol}{chance:.0%}" for symbol, chance in zip(symbols, decoded.probabilities, strict=True))
    assert shown.text.endswith(f"cat → {cells}")
    assert shown.tags.count("span") == len(decoded.probabilities)


def test_the_ground_goes_from_orange_to_white_with_the_probability():
    grounds = [re.search(r"rgb\((\d+),(\d+),(\d+)\)", widgets._symbol_html("a", chance)) for chance in (0.0, 0.5, 1.0)]
    values = [tuple(map(int, ground.groups())) for ground in grounds]
    assert values[0] == (255, 165, 0)
    assert values[2] == (255, 255, 255)
    assert values[0] < values[1] < values[2]


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_nothing_to_translate_gives_no_words_and_no_notes(text):
    shown = page(text)
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
    assert isinstance(field, ipywidgets.Text)
    assert isinstance(choice, ipywidgets.Dropdown)
    assert isinstance(output, ipywidgets.HTML)
    return field, choice, output


def test_typing_and_choosing_translate_anew():
    field, choice, output = controls(translator(MODELS, "the cat"))
    assert choice.options == tuple(MODELS)
    assert output.value == translation_html("the cat", MODELS["model 0"])
    for text, name in (("a dog", "model 0"), ("a dog", "model 1"), ("", "model 1"), ("the cat", "model 1")):
        field.value, choice.value = text, name
        assert output.value == translation_html(text, MODELS[name])
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


def test_a_widget_is_shown_with_a_sentence_for_where_it_cannot_be_drawn(monkeypatch):
    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda data, raw: shown.append((data, raw)))
    box = translator(MODELS, "cat")
    show(box, "A field and a choice.")
    ((data, raw),) = shown
    assert raw
    assert data["text/plain"] == "A field and a choice."
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == box.model_id
