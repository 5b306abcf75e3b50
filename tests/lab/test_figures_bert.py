"""Figures of Part 3: a mistake is drawn where it belongs, a prediction as it was made."""

import re

import numpy as np
import pytest
import torch
from drawings import alt_of, named, ticks
from tiny_bert import tiny_encoder

from a3lib.bert.arithmetic import CLASSES, expressions, table
from a3lib.bert.fine_tuning import logits_of
from a3lib.bert.heads import SentenceClassifier, encode
from a3lib.lab.figures.bert import attention, error_maps, prediction
from a3lib.pretrained.encoders import Encoder

ENCODER = tiny_encoder()
ENCODER.model.set_attn_implementation("eager")
MODEL = SentenceClassifier(ENCODER, 0)
MODELS = {
    "fine-tuned": lambda frame: logits_of(MODEL, encode(ENCODER, frame)).softmax(1),
    "sure": lambda frame: torch.tensor([[0.05, 0.05, 0.9]] * len(frame)),
}
RIGHT = [[int(index), int(label)] for index, label in expressions()["label"].items()]


def predicted(pairs):
    return {"metrics": {"predictions": pairs}}


def test_error_maps_put_a_mistake_where_it_belongs():
    place = 400 + 20 * 7 + 9  # seven minus nine
    wrong = [[index, label if index != place else 2] for index, label in RIGHT]
    picture = error_maps("t", [predicted(RIGHT), predicted(wrong[400:])])
    plus, minus = picture.figure.axes[:2]
    maps = [axes.images[0].get_array() for axes in (plus, minus)]
    assert maps[1][7, 9] == 0.5 and np.nansum(maps[0]) == 0 and np.nansum(maps[1]) == 0.5
    assert [axes.get_title() for axes in (plus, minus)] == ["a plus b", "a minus b"]
    assert all(map(named, (plus, minus))) and picture.figure.get_suptitle() == "t"
    near = "1 of those with minus have |a - b| of at most 2"
    assert picture.summary == f"plus: 0 of 400 wrong; minus: 1 of 800 wrong; {near}"
    alt_of(picture)


def test_mistakes_far_from_the_border_are_not_counted_as_near():
    wrong = [[400 + 20 * 19 + 0, 0], [400 + 20 * 3 + 1, 0]]  # nineteen minus zero, three minus one
    picture = error_maps("t", [predicted(wrong)])
    assert "minus: 2 of 2 wrong; 1 of those" in picture.summary


def test_error_maps_leave_what_was_never_tested_empty():
    picture = error_maps("t", [predicted([[0, 1]])])
    drawn = picture.figure.axes[0].images[0].get_array().filled(np.nan)
    assert np.isnan(np.asarray(drawn)).sum() == 399


def test_attention_is_the_mean_of_heads_and_layers():
    with torch.inference_mode():
        inputs, _ = encode(ENCODER, expressions().head(1)).batch(torch.tensor([0]))
        maps = ENCODER.model(**inputs, output_attentions=True).attentions
    words, mean = attention(ENCODER, "zero plus zero")
    assert words == ["[CLS]", "zero", "plus", "zero", "[SEP]"]
    assert torch.allclose(mean, sum(layer[0].mean(0) for layer in maps) / len(maps), atol=1e-6)
    assert torch.allclose(mean.sum(1), torch.ones(5), atol=1e-5)


def test_an_encoder_without_maps_is_told():
    model = tiny_encoder().model
    model.set_attn_implementation("sdpa")
    with pytest.raises(ValueError, match="eager"):
        attention(Encoder(model, ENCODER.tokenizer, "", ""), "one plus two")


def test_a_prediction_has_a_bar_for_every_class_and_model_beside_the_attention():
    picture = prediction("t", "one plus two", MODELS, ENCODER)
    left, right = picture.figure.axes
    heights = [bar.get_height() for bar in left.patches]
    one = table(["one plus two"])
    expected = torch.cat([model(one)[0] for model in MODELS.values()]).tolist()
    assert heights == pytest.approx(expected, abs=1e-6)
    assert len({bar.get_x() for bar in left.patches}) == 6  # side by side
    assert ticks(left.xaxis) == list(CLASSES)
    legend = [text.get_text() for text in left.get_legend().get_texts()]
    assert legend == list(MODELS)
    words, maps = attention(ENCODER, "one plus two")
    np.testing.assert_array_equal(right.images[0].get_array(), maps.numpy())
    assert ticks(right.xaxis) == ticks(right.yaxis) == words
    assert named(left) and named(right)
    assert "2 models on one plus two" in alt_of(picture)


def test_a_prediction_without_an_encoder_is_one_panel():
    picture = prediction("t", "one plus two", MODELS)
    (axes,) = picture.figure.axes
    assert named(axes) and len(axes.patches) == 6
    middles = [bar.get_x() + bar.get_width() / 2 for bar in axes.patches]
    for number, tick in enumerate(axes.get_xticks()):  # below the middle of its bars
        assert tick == pytest.approx(np.mean(middles[number::3]))


def test_the_summary_of_a_prediction_tells_what_was_predicted():
    summary = prediction("t", "one plus two", {"sure": MODELS["sure"]}, ENCODER).summary
    assert "positive" in summary and re.search(r"0\.90|90 ?%", summary)
