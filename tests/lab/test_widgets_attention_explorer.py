"""The attention explorer: it tells the model's weights and follows its controls."""

import re

import pytest
from attending import MODELS as ATTENDING
from html_page import Page, read_aloud
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.lab.figures.attention import word_maps
from a3lib.lab.widgets.attention_explorer import attention_explorer, step_html

MODELS = {name: ATTENDING[name] for name in ("additive", "modern", "block")}
MAPS = word_maps(MODELS["modern"], "dog", "ogday")


class Boxes(Page):
    """A page with its boxes as (label, per cent below, marked)."""

    def __init__(self, html):
        self.boxes = []
        super().__init__(html)

    def handle_starttag(self, tag, attributes):
        super().handle_starttag(tag, attributes)
        if tag == "span":
            self.boxes.append(["", "", "3px" in dict(attributes)["style"]])

    def handle_data(self, data):
        super().handle_data(data)
        if "span" in self.open:
            self.boxes[-1]["small" in self.open] += data


@settings(deadline=None, max_examples=20, database=None, derandomize=True)
@given(st.sampled_from(MAPS), st.integers(1, 6))
def test_a_step_shows_the_weights_of_its_query(one, step):
    step = min(step, len(one.queries))
    page = Boxes(step_html(MAPS, one.kind, one.layer, one.head, step))
    queries, keys = page.boxes[: len(one.queries)], page.boxes[len(one.queries) :]
    assert [label for label, _, _ in queries] == list(one.queries)
    assert [place for place, box in enumerate(queries, start=1) if box[2]] == [step]
    weights = one.weights[:, step - 1]
    pairs = zip(one.keys, weights, strict=True)
    assert [tuple(box[:2]) for box in keys] == [(key, f"{weight:.0%}") for key, weight in pairs]
    assert f"most weight: {one.keys[weights.argmax()]}, {weights.max():.0%}" in page.text
    assert f"layer {one.layer}, head {one.head}; step {step} of" in page.text
    assert page.live == page.text


def test_beyond_the_last_is_the_last_and_an_unknown_kind_is_refused():
    assert step_html(MAPS, "cross", 9, 9, 99) == step_html(MAPS, "cross", 2, 2, 6)
    with pytest.raises(ValueError, match="no map 'encoder'"):
        step_html(word_maps(MODELS["additive"], "dog", "ogday"), "encoder", 1, 1, 1)


def test_labels_are_shown_as_text():
    (one,) = word_maps(MODELS["additive"], "at", "at")
    hostile = one._replace(keys=("<b>", "&", "<i>"), queries=("<u>", '"', "EOS"))
    for step in (1, 2, 3):
        page = Page(step_html([hostile], "cross", 1, 1, step))
        assert set(page.tags) <= {"div", "p", "b", "span", "br", "small"}
        assert all(label in page.text for label in (*hostile.keys, *hostile.queries))


@pytest.fixture
def controls():
    names = ("field", "model", "kind", "layer", "head", "step", "output")
    return dict(zip(names, attention_explorer(MODELS, "cat").children, strict=True))


def shown(controls):
    """What the output should be for the values of the controls."""
    maps = word_maps(MODELS[controls["model"].value], controls["field"].value.strip().lower())
    return step_html(maps, *(controls[name].value for name in ("kind", "layer", "head", "step")))


def test_every_control_changes_what_is_shown(controls):
    assert controls["output"].value == shown(controls)
    assert all(control.description for name, control in controls.items() if name != "output")
    values = {"model": "modern", "kind": "decoder", "layer": 2, "head": 2, "step": 2}
    for name, value in {**values, "field": " Dogs "}.items():
        before = controls["output"].value
        controls[name].value = value
        assert controls["output"].value == shown(controls) != before, name
        read_aloud(controls["output"].value)
    for name in ("model", "kind", "layer", "head"):  # another word leaves them as they are
        assert controls[name].value == values[name], name


def test_the_controls_offer_what_the_model_has(controls):
    assert [value for _, value in controls["kind"].options] == ["cross"]
    controls["model"].value = "modern"
    assert [value for _, value in controls["kind"].options] == ["encoder", "decoder", "cross"]
    maxima = (controls["layer"].max, controls["head"].max)
    assert (controls["kind"].value, *maxima) == ("cross", 2, 2)
    controls["kind"].value = "encoder"
    assert controls["step"].max == 4  # three letters and EOS
    controls["step"].value = controls["layer"].value = 2
    controls["field"].value = "a"
    controls["model"].value = "additive"
    assert (controls["kind"].value, controls["layer"].value) == ("cross", 1)
    assert controls["output"].value == shown(controls)
    controls["model"].value = "block"
    assert (controls["layer"].max, controls["head"].max) == (1, 1)
    assert controls["output"].value == shown(controls)


@pytest.mark.parametrize("typed", ["", "  ", "two words", "caf\u00e9", "<b>", "x" * 65])
def test_what_is_no_word_is_answered_by_what_to_type(controls, typed):
    controls["field"].value = typed
    page = read_aloud(controls["output"].value)
    assert page.text.startswith("Type one word of at most 64 letters")
    controls["step"].value = 1  # no map to draw
    controls["field"].value = "dog"
    assert controls["output"].value == shown(controls)


def test_the_ground_of_a_box_darkens_with_its_weight():
    keys = re.findall(
        r"background:rgb\((\d+),(\d+),255\)[^>]*>[^<]*<br><small>(\d+)%",
        step_html(MAPS, "cross", 1, 1, 1),
    )
    ordered = sorted(keys, key=lambda key: int(key[2]))
    assert len(ordered) == 4
    reds = [int(red) for red, _, _ in ordered]
    assert reds == sorted(reds, reverse=True) and min(reds) >= 65  # black letters stay readable


def test_two_explorers_do_not_share_their_state():
    first, second = (attention_explorer(MODELS, "cat").children for _ in range(2))
    before = second[-1].value
    first[0].value = "dog"
    assert second[-1].value == before and second[0].value == "cat"
