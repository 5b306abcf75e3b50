"""Drawn scenes: the picture shows what the caption says, and what is withheld stays withheld."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from a3lib.data import scenes
from a3lib.data.scenes import COLOURS, OPPOSITE, Scene, SceneBatches, random_scene, turned, twins

KINDS = st.sampled_from(sorted(scenes.KINDS))


def where(picture, colour):
    """(number of connected parts, (x, y) of their middle) of a colour in a picture."""
    values = torch.tensor(COLOURS[colour], dtype=torch.uint8)[:, None, None]
    mask = (picture == values).all(0).numpy()
    count = ndimage.label(mask, [[1] * 3] * 3)[1]
    y, x = ndimage.center_of_mass(mask)
    return count, (x, y)


@given(st.integers(0, 10**6), KINDS)
@settings(max_examples=60, deadline=None)
def test_a_picture_shows_what_the_caption_says(seed, kind):
    rng = random.Random(seed)
    scene = random_scene(rng, kind)
    picture = scene.draw(rng)
    count, (x, y) = where(picture, scene.thing[0])
    assert count == scene.count and scene.thing[0] in scene.caption
    if scene.relation:
        one, (u, v) = where(picture, scene.other[0])
        signs = {"left of": x < u, "right of": x > u, "above": y < v, "below": y > v}
        assert one == 1 and signs[scene.relation] and scene.relation in scene.caption


@given(st.integers(0, 10**6), KINDS)
@settings(max_examples=100, deadline=None)
def test_nothing_that_is_withheld_is_drawn_or_said_in_training(seed, kind):
    scene = random_scene(random.Random(seed), kind)
    for one in (scene, *twins(scene)):
        assert not {one.thing, one.other} & scenes.PAIRS
        sides = (one.thing[1], one.relation, one.other[1]) if one.relation else ()
        assert sides not in scenes.RELATIONS
        assert not sides or (sides[2], OPPOSITE[sides[1]], sides[0]) not in scenes.RELATIONS


def test_captions_are_plain_english():
    assert Scene(("red", "cross"), 3).caption == "three red crosses"
    assert Scene(("blue", "star")).caption == "a blue star"
    told = Scene(("red", "square"), 1, "left of", ("blue", "circle")).caption
    assert told == "a red square left of a blue circle"


def test_twins_differ_in_one_thing_and_use_the_same_words_for_a_relation():
    scene = Scene(("red", "square"), 1, "left of", ("blue", "circle"))
    assert turned(turned(scene)) == scene
    assert {one.caption for one in twins(scene)} == {
        "a red square right of a blue circle",
        "a blue square left of a red circle",
    }
    assert [one.count for one in twins(Scene(("red", "circle"), 5))] == [4, 1]


@pytest.mark.parametrize("hard", [False, True])
def test_batches_hold_no_caption_twice_and_twins_if_asked(hard):
    shown = []
    data = SceneBatches(lambda texts: shown.append(texts) or torch.zeros(len(texts), 1), 3, hard)
    torch.manual_seed(0)
    batches = list(data.epoch(64))
    assert len(batches) == data.batches(64) == 3
    for (pictures, _), texts in zip(batches, shown, strict=True):
        assert pictures.shape == (64, 3, 32, 32) and len(set(texts)) == 64
        alike = [
            sorted(text.replace("right of", "left of").split()) for text in texts if "of" in text
        ]
        pairs = len(alike) - len({tuple(words) for words in alike})
        assert (pairs > 5) == hard


def test_questions_have_the_right_answer_among_their_answers_once():
    asked = scenes.questions(random.Random(0), 20)
    chances = {name: 1 / len(some[0][1]) for name, some in asked.items()}
    assert chances["counts"] == 0.2 and chances["sides"] == 0.5 and chances["seen pairs"] < 0.03
    for name, some in asked.items():
        assert len(some) == 20
        for scene, answers in some:
            assert answers.count(scene) == 1 and len({one.caption for one in answers}) == len(
                answers
            )
            assert scene.withheld == name.startswith("unseen"), name
