"""The attention explorer: it tells the weights of the model, follows its controls, and shows typed text as text."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.attention_figures import word_maps
from a3lib.attention_widget import explorer, step_html
from a3lib.models import ModelSettings, build
from a3lib.transformer_blocks import TransformerSettings

MODELS = {
    "additive": build(ModelSettings("rnn-attention", 8), 0),
    "modern": build(ModelSettings("transformer", 8, layers=2, transformer=TransformerSettings(heads=2)), 0),
}
MAPS = word_maps(MODELS["modern"], "dog", "ogday")


class Boxes(HTMLParser):
    """The boxes of a page as (label, per cent below, marked); raises AssertionError for tags that do not close."""

    def __init__(self, page):
        super().__init__()
        self.boxes, self.open, self.text = [], [], ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag == "br":
            return
        self.open.append(tag)
        if tag == "span":
            self.boxes.append(["", "", "3px" in dict(attributes)["style"]])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if "span" in self.open:
            self.boxes[-1]["small" in self.open] += data


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(MAPS), st.integers(1, 6))
def test_a_step_shows_the_weights_of_its_query(one, step):
    step = min(step, len(one.queries))
    page = Boxes(step_html(MAPS, one.kind, one.layer, one.head, step))
    queries, keys = page.boxes[: len(one.queries)], page.boxes[len(one.queries) :]
    assert [label for label, _, _ in queries] == list(one.queries)
    assert [place for place, (_, _, marked) in enumerate(queries, start=1) if marked] == [step]
    weights = one.weights[:, step - 1]
    assert [tuple(box[:2]) for box in keys] == [(k, f"{w:.0%}") for k, w in zip(one.keys, weights, strict=True)]
    assert f"most weight: {one.keys[weights.argmax()]}, {weights.max():.0%}" in page.text
    assert f"layer {one.layer}, head {one.head}; step {step} of" in page.text


def test_beyond_the_last_is_the_last_and_an_unknown_kind_is_refused():
    assert step_html(MAPS, "cross", 9, 9, 99) == step_html(MAPS, "cross", 2, 2, 6)
    with pytest.raises(ValueError, match="no map 'encoder'"):
        step_html(word_maps(MODELS["additive"], "dog", "ogday"), "encoder", 1, 1, 1)


@pytest.fixture
def controls():
    names = ("field", "model", "kind", "layer", "head", "step", "output")
    return dict(zip(names, explorer(MODELS, "cat").children, strict=True))


def shown(controls):
    """What the output should be for the values of the controls."""
    maps = word_maps(MODELS[controls["model"].value], controls["field"].value.strip().lower())
    return step_html(maps, *(controls[name].value for name in ("kind", "layer", "head", "step")))


def test_every_control_changes_what_is_shown(controls):
    assert controls["output"].value == shown(controls)
    values = {"model": "modern", "kind": "decoder", "layer": 2, "head": 2, "step": 3, "field": " Dogs "}
    for name, value in values.items():
        before = controls["output"].value
        controls[name].value = value
        assert controls["output"].value == shown(controls) != before, name


def test_the_controls_offer_what_the_model_has(controls):
    assert [value for _, value in controls["kind"].options] == ["cross"]
    controls["model"].value = "modern"
    assert [value for _, value in controls["kind"].options] == ["encoder", "decoder", "cross"]
    assert (controls["kind"].value, controls["layer"].max, controls["head"].max) == ("cross", 2, 2)
    controls["kind"].value = "encoder"
    assert controls["step"].max == 4  # three letters and EOS
    controls["step"].value = controls["layer"].value = 2
    controls["field"].value = "a"
    controls["model"].value = "additive"
    assert (controls["kind"].value, controls["layer"].value) == ("cross", 1)
    assert controls["output"].value == shown(controls)


@pytest.mark.parametrize("typed", ["", "  ", "two words", "caf\u00e9", "<b>", "x" * 65])
def test_what_is_no_word_is_answered_by_what_to_type(controls, typed):
    controls["field"].value = typed
    assert controls["output"].value.startswith("Type one word of at most 64 letters")
    controls["step"].value = 1  # no map to draw
    controls["field"].value = "dog"
    assert controls["output"].value == shown(controls)


def test_the_ground_of_a_box_darkens_with_its_weight():
    keys = re.findall(
        r"background:rgb\((\d+),(\d+),255\)[^>]*>[^<]*<br><small>(\d+)%", step_html(MAPS, "cross", 1, 1, 1)
    )
    ordered = sorted(keys, key=lambda key: int(key[2]))
    assert [int(red) for red, _, _ in ordered] == sorted((int(red) for red, _, _ in keys), reverse=True)
