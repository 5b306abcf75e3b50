"""Figures of fine-tuning: every run is a dot that can be seen, every stage a box in its order."""

import numpy as np
import pytest
from drawings import alt_of, ticks
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.lab.figures.fine_tuning import dots, pathway

STAGES = [("text", "seven\nminus nine", "3 words"), ("loss", "1.10", "nats"), ("end", "x", "y")]
SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def test_a_pathway_has_its_stages_from_left_to_right():
    picture = pathway("The way", STAGES)
    places = {text.get_text(): text.get_position() for text in picture.figure.axes[0].texts}
    assert places["text"][0] < places["loss"][0] < places["end"][0]
    for name, text, below in STAGES:
        assert places[name][1] > places[text][1] > places[below][1]
    assert len(picture.figure.axes[0].patches) == 5  # three boxes, two arrows
    told = "text: seven minus nine (3 words), then loss: 1.10 (nats), then end: x (y)"
    assert picture.summary == told
    alt_of(picture)


def test_a_pathway_needs_a_stage():
    with pytest.raises(ValueError, match="no stage"):
        pathway("The way", [])


def test_dots_count_the_runs_above_the_first_reference():
    groups = {"tuned": [0.738, 0.738, 0.919], "frozen": [0.5]}
    picture = dots("t", groups, "accuracy", [("always positive", 0.738), ("chance", 1 / 3)])
    axes = picture.figure.axes[0]
    told = "tuned: median 0.738, 0.738 to 0.919, 1 of 3 above always positive; "
    assert (
        picture.summary
        == f"{told}frozen: median 0.500, 0.500 to 0.500, 0 of 1 above always positive"
    )
    assert ticks(axes.yaxis) == ["tuned, n = 3", "frozen, n = 1"]
    assert axes.get_title() == "t" and axes.get_xlabel() == "accuracy"
    assert {text.get_text() for text in axes.texts} == {"always positive", "chance"}
    alt_of(picture)


def test_dots_refuse_a_group_without_a_value():
    with pytest.raises(ValueError, match="late: no value"):
        dots("t", {"late": []}, "accuracy")


@settings(max_examples=30, deadline=None)
@given(SHARES, SHARES)
def test_no_dot_hides_another_and_all_stay_in_their_row(first, second):
    axes = dots("t", {"a": first, "b": second}, "accuracy").figure.axes[0]
    for row, values in enumerate((first, second)):
        drawn = axes.lines[2 * row].get_xydata()
        assert np.array_equal(drawn[:, 0], np.sort(values))
        rounded = {(round(x, 2), round(y, 6)) for x, y in drawn.tolist()}
        assert len(rounded) == len(values)
        assert (abs(drawn[:, 1] - row) < 0.4).all()
