"""What all figures share: text beside the picture, redrawing in place, colours, axes."""

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from drawings import alt_of, named
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from tiny_bert import tiny_encoder
from tiny_runs import PADDED
from tiny_translators import trained

from a3lib.bert.arithmetic import expressions, split
from a3lib.bert.fine_tuning import FineTuningSettings, fine_tune
from a3lib.bert.heads import SentenceClassifier, encode
from a3lib.lab.figures.base import (
    COLOURS,
    MARKERS,
    STYLES,
    LiveCurve,
    Picture,
    label_axes,
    progress,
    show,
)
from a3lib.optimization import History
from a3lib.translation.models import ModelSettings, build


def translation(epochs=3, planned=3, seconds=2.0, **changes):
    """A history of a translator whose second epoch has the best loss per token."""
    validation = {
        "per_token": [2.111, 1.222, 1.333, *[1.4] * epochs][:epochs],
        "bucket_mean": [2.777, 1.888, 1.666, *[1.9] * epochs][:epochs],
    }
    history = History(
        updates=[100 * (epoch + 1) for epoch in range(epochs)],
        seconds=[seconds * (epoch + 1) for epoch in range(epochs)],
        train=[3.123, 2.456, 1.789, *[1.5] * epochs][:epochs],
        validation=validation,
        best=min(1, epochs - 1),
        epochs=planned,
    )
    return replace(history, **changes)


def tuning():
    """A history of a classifier."""
    measured = {"loss": [0.8, 0.6], "accuracy": [0.7, 0.75], "balanced": [0.3, 0.4]}
    return History([16, 32], [1.0, 2.0], [0.9, 0.5], measured, best=1, epochs=3)


def lines_of(axes):
    return {
        line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines
    }


def test_progress_draws_and_tells_the_history_of_a_translator():
    history = translation(epochs=3, planned=8)
    picture = progress("Title", history)
    losses, bar = picture.figure.axes
    assert lines_of(losses) == {
        "training": (history.updates, history.train),
        "validation, per token": (history.updates, history.validation["per_token"]),
        "validation, bucket mean": (history.updates, history.validation["bucket_mean"]),
    }
    assert len({line.get_linestyle() for line in losses.lines[1:]}) == 2  # of one colour
    assert named(losses) and losses.get_legend() and losses.get_title() == picture.title == "Title"
    assert (bar.patches[0].get_width(), bar.get_xlim()) == (3, (0, 8))
    assert bar.get_xlabel() == "epoch 3 of 8, 6 s"
    alt = alt_of(picture)
    for told in ("epoch 3 of 8", "300 gradient steps", "1.789", "per token 1.333", "1.666"):
        assert told in alt


def test_progress_of_a_classifier_has_its_shares_beside_its_losses():
    history = tuning()
    picture = progress("Title", history)
    losses, shares, bar = picture.figure.axes
    assert lines_of(losses) == {
        "training": (history.updates, history.train),
        "validation, loss": (history.updates, history.validation["loss"]),
    }
    assert lines_of(shares) == {
        f"validation, {name}": (history.updates, history.validation[name])
        for name in ("accuracy", "balanced")
    }
    assert named(losses) and named(shares) and shares.get_ylim() == (0, 1.02)
    assert bar.get_xlabel() == "epoch 2 of 3, 2 s"
    assert "training loss is 0.500; validation: loss 0.600, accuracy 0.750, balanced 0.400" in (
        alt_of(picture)
    )


def test_progress_shows_what_was_done_otherwise_than_asked():
    notes = ["batches of equal source length", "the readable classes train: one has hooks"]
    picture = progress("Title", translation(notes=notes))
    told = picture.figure.axes[-1].get_xlabel().splitlines()
    assert told == ["epoch 3 of 3, 6 s", *notes]
    alt_of(picture)


def test_show_displays_the_picture_with_its_text(displayed):
    picture = progress("Losses", translation())
    show(picture)
    show(picture, live=True)
    texts = [data["text/plain"] for data, _ in displayed.shown]
    assert texts == [f"Losses: {picture.summary}", "Losses"]
    alts = [metadata["image/png"]["alt"] for _, metadata in displayed.shown]
    assert alts == [f"Losses: {picture.summary}"] * 2


def test_the_live_curve_draws_once_per_interval_in_place_and_at_the_end(displayed):
    curve = LiveCurve("Losses", interval=1.0)
    drawn = []
    for epoch in range(1, 21):  # an epoch takes 0.3 s
        before = len(displayed.shown) + len(displayed.updated)
        curve(translation(epochs=epoch, planned=20, seconds=0.3))
        drawn += [epoch] * (len(displayed.shown) + len(displayed.updated) - before)
    assert len(displayed.shown) == 1  # later drawings replace the first
    assert drawn[0] * 0.3 <= 1.3  # the first comes within an interval and an epoch
    assert drawn[-1] == 20
    assert all(later - earlier >= 4 for earlier, later in pairwise(drawn[:-1]))  # 1.2 s
    assert len(drawn) >= 5
    assert "2,000 gradient steps" in displayed.updated[-1][1]["image/png"]["alt"]
    texts = {data["text/plain"] for data, _ in displayed.shown + displayed.updated}
    assert texts == {"Losses"}


def test_the_live_curve_draws_slow_epochs_all_and_a_short_run_once(displayed):
    curve = LiveCurve("Losses", interval=1.0)
    for epoch in range(1, 6):
        curve(translation(epochs=epoch, planned=5, seconds=2.0))
    assert (len(displayed.shown), len(displayed.updated)) == (1, 4)
    LiveCurve("Losses")(translation(epochs=1, planned=1, seconds=0.01))
    assert len(displayed.shown) == 2


def test_the_live_curve_of_a_stopped_run_shows_its_end_when_finished(displayed):
    curve = LiveCurve("Losses", interval=100.0)
    curve(translation(epochs=2, planned=50))
    assert displayed.shown == []
    curve.finish(translation(epochs=3, planned=50))
    assert len(displayed.shown) == 1
    assert "300 gradient steps" in displayed.shown[0][1]["image/png"]["alt"]


def test_finishing_a_run_that_was_interrupted_before_its_first_epoch_draws_nothing(displayed):
    LiveCurve("Losses").finish(History(epochs=50, interrupted=True))
    assert displayed.shown == []


@pytest.mark.parametrize(("interval", "drawings"), [(1000.0, 1), (0.0, 2)])
def test_the_live_curve_follows_the_training_of_a_translator(displayed, interval, drawings):
    model = build(ModelSettings(hidden_size=6), 0)
    history = trained(model, on_epoch=LiveCurve("gru", interval), epochs=PADDED.epochs)
    shown = displayed.shown + displayed.updated
    assert [data["text/plain"] for data, _ in shown] == ["gru"] * drawings
    assert f"{history.validation['per_token'][-1]:.3f}" in shown[-1][1]["image/png"]["alt"]


@pytest.mark.parametrize(("interval", "drawings"), [(1000.0, 1), (0.0, 3)])
def test_the_live_curve_follows_the_tuning_of_a_classifier(displayed, interval, drawings):
    encoder = tiny_encoder()
    parts = [encode(encoder, part.head(32)) for part in split(expressions(), 0)[:2]]
    model, curve = SentenceClassifier(encoder, 0), LiveCurve("fine-tuning", interval)
    history = fine_tune(model, *parts, FineTuningSettings(epochs=3), 0, on_epoch=curve)
    shown = displayed.shown + displayed.updated
    assert [data["text/plain"] for data, _ in shown] == ["fine-tuning"] * drawings
    assert f"{history.validation['accuracy'][-1]:.3f}" in shown[-1][1]["image/png"]["alt"]


def test_drawing_leaves_the_random_numbers_as_they_are(displayed):
    torch.manual_seed(0)
    LiveCurve("Losses")(translation())
    after = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(after, torch.rand(3))


def test_a_picture_is_drawn_without_a_window_of_its_own():
    """No figure is left with pyplot, which would keep all of them in memory."""
    from matplotlib import pyplot

    alt_of(progress("Losses", translation()))
    assert pyplot.get_fignums() == []


def test_axes_have_a_title_and_names_and_no_frame():
    axes = Figure().subplots()
    label_axes(axes, "title", "x", "y")
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("title", "x", "y")
    visible = {name: spine.get_visible() for name, spine in axes.spines.items()}
    assert visible == {"left": True, "bottom": True, "top": False, "right": False}
    assert Picture(axes.figure, "title", "1 line").summary == "1 line"


def test_colours_are_told_apart_even_without_red_and_green():
    """Distances in RGB, and of two channels after both have been merged by luminance."""
    assert len(set(map(to_hex, COLOURS))) == len(COLOURS)
    for one, other in combinations(map(np.array, map(to_rgb, COLOURS)), 2):
        assert np.linalg.norm(one - other) > 0.25
        merged = [np.array([0.3 * r + 0.7 * g, b]) for r, g, b in (one, other)]
        assert np.linalg.norm(merged[0] - merged[1]) > 0.1
    for colour in COLOURS:  # white is the ground
        assert np.linalg.norm(np.array(to_rgb(colour)) - 1) > 0.4
    assert len(set(STYLES)) == len(STYLES) == 4
    assert len(set(MARKERS)) == len(MARKERS)
