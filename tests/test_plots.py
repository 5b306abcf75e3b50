"""Figures: they draw the data they are given, say it in words, and are redrawn in place while training."""

import io
import re
from itertools import combinations, pairwise

import IPython.display
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

from a3lib import plots
from a3lib.plots import COLOURS, STYLES, LiveCurve, accuracy_by_group, bundle, loss_curves, progress, word_lengths
from a3lib.positions import PositionalEncoding
from a3lib.records import groups
from a3lib.training import History


def history(epochs=3, planned=3, seconds=2.0):
    """A history whose second epoch has the best loss per token."""
    return History(
        updates=[100 * (epoch + 1) for epoch in range(epochs)],
        seconds=[seconds * (epoch + 1) for epoch in range(epochs)],
        train=[3.123, 2.456, 1.789, *[1.5] * epochs][:epochs],
        per_token=[2.111, 1.222, 1.333, *[1.4] * epochs][:epochs],
        bucket_mean=[2.777, 1.888, 1.666, *[1.9] * epochs][:epochs],
        best=min(1, epochs - 1),
        epochs=planned,
        device="cpu",
    )


def record(seed, losses):
    updates = [10 * (epoch + 1) for epoch in range(len(losses))]
    return {
        "run": "gru",
        "seed": seed,
        "history": {"updates": updates, "train": losses, "per_token": [2 * loss for loss in losses]},
        "metrics": {"groups": [[3, "", 1, 4], [5, "st", 2 + seed, 4]]},
    }


RECORDS = {
    "small": [record(0, [3.0, 2.0, 1.5]), record(1, [2.0, 1.0, 1.25]), record(2, [2.5, 6.0, 4.0])],
    "large": [record(0, [4.0, 0.5, 0.75])],
}
WORDS = {"small": ["a", "to", "the"], "large": ["there", "their", "the", "to"]}
PICTURES = {
    "progress": lambda: progress("While training", history()),
    "word_lengths": lambda: word_lengths(WORDS),
    "loss_curves": lambda: loss_curves("Losses", RECORDS, {"training": "train", "validation": "per_token"}),
    "position_map": lambda: plots.position_map(PositionalEncoding(32)(24)),
    "accuracy_by_group": lambda: accuracy_by_group(
        "Right words", {"gru": groups(RECORDS["small"])}, "letters", "letters"
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_figure_is_a_png_with_its_summary_as_text(name):
    picture = PICTURES[name]()
    data, metadata = bundle(picture)
    image = Image.open(io.BytesIO(data["image/png"]))
    image.load()
    assert image.format == "PNG"
    assert min(image.size) > 200
    assert len(image.convert("L").getcolors()) > 10  # something is drawn
    assert metadata == {"image/png": {"alt": f"{picture.title}: {picture.summary}"}}
    assert data["text/plain"] == f"{picture.title}: {picture.summary}"
    assert "\n" not in data["text/plain"]
    assert picture.figure.axes[0].get_xlabel()


@pytest.mark.parametrize("name", PICTURES)
def test_the_text_of_a_live_figure_is_its_title_and_the_digits_are_in_the_alt_text(name):
    picture = PICTURES[name]()
    data, metadata = bundle(picture, live=True)
    assert data["text/plain"] == picture.title
    assert not re.search(r"\d", data["text/plain"])
    assert re.search(r"\d", metadata["image/png"]["alt"])


def test_progress_draws_and_tells_the_history():
    figure, title, summary = progress("Title", history(epochs=3, planned=8))
    axes, bar = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    drawn = history()
    for label, values in (
        ("training, per token", drawn.train),
        ("validation, per token", drawn.per_token),
        ("validation, bucket mean", drawn.bucket_mean),
    ):
        assert list(lines[label].get_xdata()) == drawn.updates
        assert list(lines[label].get_ydata()) == values
    assert (list(lines["kept model"].get_xdata()), list(lines["kept model"].get_ydata())) == ([200], [1.222])
    assert bar.patches[0].get_width() == 3
    assert bar.get_xlim() == (0, 8)
    assert bar.get_xlabel() == "epoch 3 of 8, 6 s on cpu"
    assert axes.get_title() == title == "Title"
    for told in ("300 gradient steps", "6 s on cpu", "1.789", "1.222", "1.666"):
        assert told in summary


@settings(deadline=None, max_examples=10)
@given(
    words=st.dictionaries(
        st.sampled_from(["small", "large"]), st.lists(st.text("abc", min_size=1, max_size=9), min_size=1), min_size=1
    )
)
def test_word_lengths_draws_the_share_of_every_length(words):
    figure, _, summary = word_lengths(words)
    for container, (name, some) in zip(figure.axes[0].containers, words.items(), strict=True):
        lengths = [len(word) for word in some]
        assert [bar.get_height() * len(some) for bar in container] == pytest.approx(
            [lengths.count(length) for length in range(len(container))]
        )
        assert container.get_label() == name
        mean = sum(lengths) / len(some)
        assert f"{name} has {len(some):,} words, mean length {mean:.1f}, longest {max(lengths)}" in summary


def test_loss_curves_draw_mean_and_band_of_the_seeds():
    figure, title, summary = PICTURES["loss_curves"]()
    assert title == "Losses"
    for axes, factor, caption in zip(figure.axes, (1, 2), ("training", "validation"), strict=True):
        small, large = axes.lines
        assert list(small.get_xdata()) == [10, 20, 30]
        np.testing.assert_allclose(small.get_ydata(), factor * np.array([2.5, 3.0, 2.25]))
        np.testing.assert_allclose(large.get_ydata(), factor * np.array([4.0, 0.5, 0.75]))
        band = axes.collections[0].get_paths()[0].vertices
        for x, low, high in ((10, 2.0, 3.0), (20, 1.0, 6.0), (30, 1.25, 4.0)):
            assert {low * factor, high * factor} <= {y for place, y in band if place == x}
        assert f"small, {caption}: {5 / 3 * factor:.3f}" in summary  # the mean of 1.5, 1.0 and 2.5
        assert f"large, {caption}: {0.5 * factor:.3f}" in summary
        assert (small.get_color(), large.get_color()) == COLOURS[:2]
        assert small.get_linestyle() != large.get_linestyle()
        assert axes.get_title() == caption


def test_loss_curves_of_one_metric_with_a_live_run():
    live = history()
    figure, _, _ = loss_curves("Losses", RECORDS, {"training": "train"}, live={"large": live})
    (axes,) = figure.axes
    assert len(axes.lines) == 3
    assert list(axes.lines[-1].get_xdata()) == live.updates
    assert list(axes.lines[-1].get_ydata()) == live.train
    assert axes.lines[-1].get_color() == COLOURS[1]  # its run's colour
    assert axes.lines[-1].get_linewidth() < axes.lines[0].get_linewidth()
    assert axes.get_legend().get_texts()[-1].get_text() == "large, live"


def test_the_lowest_losses_told_are_those_of_the_whole_runs():
    """One seed stopped early; the mean goes on over the others."""
    runs = {"small": [record(0, [3.0, 2.0]), record(1, [3.0, 2.0, 1.0])]}
    figure, _, summary = loss_curves("Losses", runs, {"training": "train"})
    assert list(figure.axes[0].lines[0].get_ydata()) == [3.0, 2.0, 1.0]
    assert summary.endswith("small, training: 1.500")  # the mean of 2.0 and 1.0


def test_accuracy_by_group_draws_mean_and_range_of_the_seeds():
    figure, _, summary = PICTURES["accuracy_by_group"]()
    (axes,) = figure.axes
    (container,) = axes.containers
    points, _, (bars,) = container.lines
    assert list(points.get_ydata()) == pytest.approx([0.25, 0.75])  # 1/4 in all seeds; 2/4, 3/4 and 4/4
    np.testing.assert_allclose([segment[:, 1] for segment in bars.get_segments()], [[0.25, 0.25], [0.5, 1.0]])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["3", "5"]
    assert summary == "gru from 25% at 3 to 75% at 5"
    assert axes.get_ylim()[1] > 1


def test_accuracy_by_group_shows_the_groups_in_the_asked_order():
    table = groups(RECORDS["small"])
    figure, _, summary = accuracy_by_group("Right", {"a": table, "b": table}, "cluster", "cluster", order=["st", ""])
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["st", "none"]
    for container in figure.axes[0].containers:
        assert list(container.lines[0].get_ydata()) == pytest.approx([0.75, 0.25])
    assert "a from 75% at st to 25% at " in summary


class Displayed:
    """Stands for the notebook: collects what is displayed, and how often it is updated."""

    def __init__(self):
        self.shown, self.updated = [], []

    def display(self, data, metadata=None, raw=False, display_id=None):
        assert raw
        self.shown.append((data, metadata))
        return self if display_id else None

    def update(self, data, metadata=None, raw=False):
        assert raw
        self.updated.append((data, metadata))


@pytest.fixture
def displayed(monkeypatch):
    output = Displayed()
    monkeypatch.setattr(IPython.display, "display", output.display)
    return output


def test_show_displays_the_bundle(displayed):
    picture = PICTURES["word_lengths"]()
    plots.show(picture)
    plots.show(picture, live=True)
    assert [data["text/plain"] for data, _ in displayed.shown] == [f"Word lengths: {picture.summary}", "Word lengths"]
    assert all(metadata["image/png"]["alt"].endswith(picture.summary) for _, metadata in displayed.shown)


def test_the_live_curve_draws_once_an_interval_in_place_and_at_the_end(displayed):
    curve = LiveCurve("Losses", interval=1.0)
    drawn = []
    for epoch in range(1, 21):  # an epoch takes 0.3 s
        before = len(displayed.shown) + len(displayed.updated)
        curve(history(epochs=epoch, planned=20, seconds=0.3))
        drawn += [epoch] * (len(displayed.shown) + len(displayed.updated) - before)
    assert len(displayed.shown) == 1  # later drawings replace the first
    assert drawn[0] * 0.3 <= 1.3  # the first comes within an interval and an epoch
    assert drawn[-1] == 20
    assert all(later - earlier >= 4 for earlier, later in pairwise(drawn[:-1]))  # 1.2 s
    assert len(drawn) >= 5
    assert "2,000 gradient steps" in displayed.updated[-1][1]["image/png"]["alt"]
    assert {data["text/plain"] for data, _ in displayed.shown + displayed.updated} == {"Losses"}


def test_the_live_curve_draws_slow_epochs_all_and_a_short_run_once(displayed):
    curve = LiveCurve("Losses", interval=1.0)
    for epoch in range(1, 6):
        curve(history(epochs=epoch, planned=5, seconds=2.0))
    assert (len(displayed.shown), len(displayed.updated)) == (1, 4)
    LiveCurve("Losses")(history(epochs=1, planned=1, seconds=0.01))
    assert len(displayed.shown) == 2


def test_the_live_curve_of_a_stopped_run_shows_its_end_when_finished(displayed):
    curve = LiveCurve("Losses", interval=100.0)
    curve(history(epochs=2, planned=50))
    assert displayed.shown == []
    curve.finish(history(epochs=3, planned=50))
    assert len(displayed.shown) == 1
    assert "300 gradient steps" in displayed.shown[0][1]["image/png"]["alt"]


def test_finishing_a_run_that_was_interrupted_before_its_first_epoch_draws_nothing(displayed):
    LiveCurve("Losses").finish(History(epochs=50, interrupted=True))
    assert displayed.shown == []


def test_colours_are_told_apart_even_without_red_and_green():
    """Distances in RGB, and of two channels after both have been merged by luminance."""
    assert len(set(map(to_hex, COLOURS))) == len(COLOURS)
    for one, other in combinations(map(np.array, map(to_rgb, COLOURS)), 2):
        assert np.linalg.norm(one - other) > 0.25
        merged = [np.array([0.3 * r + 0.7 * g, b]) for r, g, b in (one, other)]
        assert np.linalg.norm(merged[0] - merged[1]) > 0.1
    assert all(np.linalg.norm(np.array(to_rgb(colour)) - 1) > 0.4 for colour in COLOURS)  # white is the ground
    assert len(set(STYLES)) == len(STYLES) == 4
