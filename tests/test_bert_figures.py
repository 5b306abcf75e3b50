"""Figures of Part 3 tell what they show, and the explorer answers to what is typed."""

import re

import numpy
import pytest
import torch
from tiny_bert import tiny_encoder

from a3lib import bert_figures, plots
from a3lib.arithmetic import expressions, split
from a3lib.bert import SentenceClassifier, encode
from a3lib.bert_figures import attention, curves, error_maps, explorer, explorer_html, intervals, prediction
from a3lib.encoders import Encoder
from a3lib.tuning import TuningHistory, TuningSettings, fine_tune, logits_of

ENCODER = tiny_encoder()
ENCODER.model.set_attn_implementation("eager")
MODEL = SentenceClassifier(ENCODER, 0)
MODELS = {"fine-tuned": lambda table: logits_of(MODEL, encode(ENCODER, table)).softmax(1)}


def shares(page, row):
    """The percentages in a row of an HTML table."""
    line = re.search(rf"<tr><th[^>]*>{re.escape(row)}</th>(.*?)</tr>", page).group(1)
    return [int(value) for value in re.findall(r"(\d+)%", line)]


def test_curves_are_summed_up_by_the_means_of_the_seeds():
    lines = {"one": ([1, 2], [[0.0, 0.5], [0.5, 1.0]]), "two": ([1, 2], [[0.1, 0.2], [0.1, 0.2]])}
    picture = curves("t", {"accuracy": lines}, "epoch", [("majority", 0.75)])
    assert picture.summary == "means of the seeds: one, accuracy: 0.25 0.75; two, accuracy: 0.10 0.20"
    axes = picture.figure.axes[0]
    assert axes.lines[0].get_ydata().tolist() == [0.25, 0.75] and axes.lines[-1].get_ydata()[0] == 0.75


def test_intervals_show_every_seed():
    picture = intervals("t", {"one": [0.1, 0.2, 0.3, 0.2, 0.2]}, "accuracy", [("majority", 0.7)])
    assert picture.summary.startswith("one 0.200 (0.1") and len(picture.figure.axes[0].lines[0].get_xdata()) == 5


def test_error_maps_put_a_mistake_where_it_belongs():
    table = expressions()
    right = [[int(index), int(label)] for index, label in table["label"].items()]
    wrong = [[index, label] if index != 400 + 20 * 7 + 9 else [index, 2] for index, label in right]
    records = [{"metrics": {"predictions": right}}, {"metrics": {"predictions": wrong[400:]}}]
    picture = error_maps("t", records)
    maps = [axes.images[0].get_array() for axes in picture.figure.axes[:2]]
    assert maps[1][7, 9] == 0.5 and numpy.nansum(maps[0]) == 0 and numpy.nansum(maps[1]) == 0.5
    assert (
        picture.summary
        == "plus: 0 of 400 wrong; minus: 1 of 800 wrong; 1 of the wrong ones with minus have |a - b| of at most 2"
    )


def test_error_maps_leave_what_was_never_tested_empty():
    picture = error_maps("t", [{"metrics": {"predictions": [[0, 1]]}}])
    assert numpy.isnan(numpy.asarray(picture.figure.axes[0].images[0].get_array().filled(numpy.nan))).sum() == 399


@pytest.mark.parametrize(("interval", "drawings"), [(1000.0, 1), (0.0, 3)])
def test_the_live_curve_draws_in_place_the_last_epoch_always(monkeypatch, interval, drawings):
    shown = []

    class Handle:
        def update(self, data, **options):
            shown.append(data["text/plain"])

    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append(data["text/plain"]) or Handle())
    parts = [encode(ENCODER, part.head(32)) for part in split(expressions(), 0)[:2]]
    curve = bert_figures.LiveCurve("fine-tuning", interval=interval)
    fine_tune(SentenceClassifier(ENCODER, 0), *parts, TuningSettings(epochs=3), 0, on_epoch=curve)
    assert shown == ["fine-tuning"] * drawings


def test_progress_tells_the_last_epoch():
    history = TuningHistory([16, 32], [1.0, 2.0], [0.9, 0.5], [0.8, 0.6], [0.7, 0.75], [0.3, 0.4], epochs=3)
    data, metadata = plots.bundle(bert_figures.progress("t", history), live=True)
    assert "epoch 2 of 3: training loss 0.500, validation accuracy 0.750" in metadata["image/png"]["alt"]
    assert data["text/plain"] == "t"


def test_the_explorer_shows_probabilities_and_attention():
    page = explorer_html("  Seven minus NINE ", MODELS, ENCODER)
    assert "<b>seven minus nine</b> is negative" in page
    assert abs(sum(shares(page, "fine-tuned")) - 100) <= 1
    expected = [round(100 * p) for p in MODELS["fine-tuned"](expressions().loc[[549]])[0].tolist()]
    assert shares(page, "fine-tuned") == pytest.approx(expected, abs=1)
    for row in ("1. [CLS]", "3. minus"):
        assert len(shares(page, row)) == 5 and abs(sum(shares(page, row)) - 100) <= 3


@pytest.mark.parametrize("text", ["", "seven times nine", "<script>"])
def test_the_explorer_explains_what_it_cannot_read_and_escapes_it(text):
    page = explorer_html(text, MODELS, ENCODER)
    assert "is not an expression" in page and "<script>" not in page


def test_an_encoder_without_maps_is_told():
    model = tiny_encoder().model
    model.set_attn_implementation("sdpa")
    with pytest.raises(ValueError, match="eager"):
        attention(Encoder(model, ENCODER.tokenizer, "", ""), "one plus two")


def test_typing_changes_the_explorer():
    widget = explorer(MODELS, ENCODER, "one plus two")
    field, output = widget.children
    assert "is positive" in output.value
    field.value = "one minus two"
    assert "is negative" in output.value


def test_attention_is_the_mean_of_heads_and_layers():
    with torch.inference_mode():
        inputs, _ = encode(ENCODER, expressions().head(1)).batch(torch.tensor([0]))
        maps = ENCODER.model(**inputs, output_attentions=True).attentions
    words, mean = attention(ENCODER, "zero plus zero")
    assert words == ["[CLS]", "zero", "plus", "zero", "[SEP]"]
    assert torch.allclose(mean, sum(layer[0].mean(0) for layer in maps) / len(maps), atol=1e-6)
    assert torch.allclose(mean.sum(1), torch.ones(5), atol=1e-5)


def test_the_figure_of_a_prediction_has_a_bar_for_every_class_and_model():
    two = {"one": MODELS["fine-tuned"], "two": MODELS["fine-tuned"]}
    picture = prediction("t", "one plus two", two, ENCODER)
    left, right = picture.figure.axes
    heights = [bar.get_height() for bar in left.patches]
    assert len(heights) == 6 and sum(heights[:3]) == pytest.approx(1, abs=1e-5) and heights[:3] == heights[3:]
    assert right.images[0].get_array().shape == (5, 5) and picture.summary == "2 models on one plus two"
