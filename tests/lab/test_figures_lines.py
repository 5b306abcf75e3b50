"""Curves, intervals and shares: they draw the records they are given, and say it in words."""

import numpy as np
import pytest
from drawings import alt_of, named, ticks
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_records import record

from a3lib.lab.figures.base import COLOURS
from a3lib.lab.figures.lines import accuracy_by_group, bands, intervals, loss_curves
from a3lib.lab.records import share_right
from a3lib.lab.verdicts import Difference
from a3lib.optimization import History


def run(seed, losses):
    updates = [10 * (epoch + 1) for epoch in range(len(losses))]
    validation = {"per_token": [2 * loss for loss in losses]}
    history = {"updates": updates, "train": losses, "validation": validation}
    groups = {"unseen": [[3, "", 1, 4], [5, "st", 2 + seed, 4], [6, "st", seed, 2]]}
    return record(seed=seed, history=history, metrics={"groups": groups})


RECORDS = {
    "small": [run(0, [3.0, 2.0, 1.5]), run(1, [2.0, 1.0, 1.25]), run(2, [2.5, 6.0, 4.0])],
    "large": [run(0, [4.0, 0.5, 0.75])],
}
MEASURES = {"training": "train", "validation": "per_token"}
SHARES = [0.2, 0.3, 0.25, 0.4, 0.35]


# lines


def test_loss_curves_draw_mean_and_band_of_the_seeds():
    picture = loss_curves("Losses", RECORDS, MEASURES)
    for axes, factor, caption in zip(picture.figure.axes, (1, 2), MEASURES, strict=True):
        small, large = axes.lines
        assert list(small.get_xdata()) == [10, 20, 30]
        np.testing.assert_allclose(small.get_ydata(), factor * np.array([2.5, 3.0, 2.25]))
        np.testing.assert_allclose(large.get_ydata(), factor * np.array([4.0, 0.5, 0.75]))
        band = axes.collections[0].get_paths()[0].vertices
        for x, low, high in ((10, 2.0, 3.0), (20, 1.0, 6.0), (30, 1.25, 4.0)):
            assert {low * factor, high * factor} <= {y for place, y in band if place == x}
        assert f"small, {caption}: {5 / 3 * factor:.3f} at the lowest" in picture.summary
        assert f"large, {caption}: {0.5 * factor:.3f} at the lowest" in picture.summary
        assert (small.get_color(), large.get_color()) == COLOURS[:2]
        assert small.get_linestyle() != large.get_linestyle()
        assert axes.get_title() == caption and axes.get_xlabel() == "gradient steps"
    assert picture.figure.axes[0].get_ylabel() == "loss (nats)"
    assert alt_of(picture).startswith("Losses: means of the seeds: small, training")


def test_loss_curves_with_a_live_run_in_its_run_s_colour():
    live = History([5, 9], [1.0, 2.0], [3.3, 2.2], {"per_token": [4.4, 1.1]}, epochs=2)
    picture = loss_curves("Losses", RECORDS, MEASURES, live={"large": live})
    for axes, values in zip(
        picture.figure.axes, (live.train, live.validation["per_token"]), strict=True
    ):
        thick, thin = axes.lines[1:]
        assert len(axes.lines) == 3
        assert (list(thin.get_xdata()), list(thin.get_ydata())) == (live.updates, values)
        assert thin.get_color() == thick.get_color() == COLOURS[1]
        assert thin.get_linewidth() < thick.get_linewidth()
    legend = [text.get_text() for text in picture.figure.axes[-1].get_legend().get_texts()]
    assert legend == ["small", "large", "large, live"]
    alt_of(picture)


def test_curves_of_seeds_that_stopped_early_go_on_over_the_others():
    runs = {"small": [run(0, [3.0, 2.0]), run(1, [3.0, 2.0, 1.0])]}
    picture = loss_curves("Losses", runs, {"training": "train"}, log="y")
    (axes,) = picture.figure.axes
    assert list(axes.lines[0].get_ydata()) == [3.0, 2.0, 1.0]
    # the mean of each seed's lowest loss, 2.0 and 1.0
    assert picture.summary.endswith("small, training: 1.500 at the lowest")
    assert axes.get_yscale() == "log" and named(axes)


def test_bands_take_any_lines_with_references_and_scales():
    lines = {"one": ([1, 2], [[0.0, 0.5], [0.5, 1.0]]), "two": ([1, 2], [[0.1, 0.2], [0.1, 0.2]])}
    panels = {"left": lines, "right": {"one": lines["one"]}}
    picture = bands("t", panels, "epoch", "accuracy", [("majority", 0.75)], log="x")
    left, right = picture.figure.axes
    assert picture.figure.get_suptitle() == "t"
    assert left.lines[0].get_ydata().tolist() == [0.25, 0.75]
    assert right.lines[-1].get_ydata()[0] == 0.75 and right.lines[-1].get_label() == "majority"
    assert {axes.get_xscale() for axes in (left, right)} == {"log"}
    assert (left.get_xlabel(), right.get_xlabel()) == ("epoch", "epoch")
    assert "one, left: 0.250 at the lowest; two, left: 0.100" in alt_of(picture)


# intervals


def test_intervals_show_every_seed_the_mean_and_the_interval():
    other = [0.6, 0.65, 0.7, 0.62, 0.66]
    picture = intervals("t", {"one": SHARES, "two": other}, "accuracy", [("majority", 0.7)])
    (axes,) = picture.figure.axes
    dots = [line for line in axes.lines if line.get_marker() == "."]
    assert [list(line.get_xdata()) for line in dots] == [SHARES, other]
    assert ticks(axes.yaxis) == ["one", "two"] and axes.get_xlabel() == "accuracy"
    assert axes.get_title() == "t" and axes.get_ylim()[0] > axes.get_ylim()[1]  # from the top
    for container, values in zip(axes.containers, (SHARES, other), strict=True):
        point, _, (bar,) = container.lines
        low, high = Difference(values, [0.0] * 5, paired=True).interval()
        assert list(point.get_xdata()) == pytest.approx([np.mean(values)])
        assert bar.get_segments()[0][:, 0] == pytest.approx([low, high])
        assert f"{np.mean(values):.3f} ({low:.3f} to {high:.3f})" in picture.summary
    (reference,) = (line for line in axes.lines if line.get_label() == "majority")
    assert set(reference.get_xdata()) == {0.7}
    assert alt_of(picture).startswith("t: one 0.300 (0.2")


@pytest.mark.parametrize("values", [[0.0, 0.0, 0.1, 0.9, 0.8], [1.0, 0.99, 0.98, 1.0, 0.5]])
def test_an_interval_that_would_leave_the_shares_is_not_drawn(values):
    picture = intervals("t", {"wide": values, "narrow": SHARES}, "accuracy")
    (axes,) = picture.figure.axes
    assert len(axes.containers) == 1  # that of the other group
    assert list(axes.lines[0].get_xdata()) == values
    assert picture.summary.startswith(f"wide {min(values):.3f} to {max(values):.3f}; narrow 0.300")
    alt_of(picture)


def test_values_that_are_all_alike_have_an_interval_of_no_width():
    picture = intervals("t", {"one": [1.0] * 5}, "accuracy")
    assert picture.summary == "one 1.000 (1.000 to 1.000)"
    alt_of(picture)


# groups


def drawn_groups(picture):
    """{label: (shares, their lowest, their highest)} of a figure of groups."""
    found = {}
    for container in picture.figure.axes[0].containers:
        points, _, (bars,) = container.lines
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        found[container.get_label()] = (points.get_ydata(), ends[:, 0], ends[:, 1])
    return found


def test_accuracy_by_group_draws_mean_and_range_of_the_seeds():
    runs = {"gru": RECORDS["small"]}
    picture = accuracy_by_group("Right words", runs, "letters", "letters", [3, 5, 6])
    (axes,) = picture.figure.axes
    shares, low, high = drawn_groups(picture)["gru"]
    # 1/4 in all seeds; 2/4, 3/4 and 4/4; 0/2, 1/2 and 2/2
    assert [*shares, *low, *high] == pytest.approx([0.25, 0.75, 0.5, 0.25, 0.5, 0, 0.25, 1, 1])
    assert ticks(axes.xaxis) == ["3\nn = 4", "5\nn = 4", "6\nn = 2"]
    assert picture.summary == "gru from 25% at 3 to 50% at 6"
    assert named(axes) and axes.get_ylim()[1] > 1
    assert alt_of(picture)


def test_accuracy_by_group_merges_ranges_and_tells_their_words():
    """The share of all words of a range, not the mean of its groups' shares."""
    runs = {"gru": RECORDS["small"]}
    picture = accuracy_by_group("Right", runs, "letters", "letters", [range(3, 5), range(5, 8)])
    shares, low, high = drawn_groups(picture)["gru"]
    by_seed = [(2 + seed + seed) / 6 for seed in range(3)]
    assert list(shares) == pytest.approx([0.25, np.mean(by_seed)])
    assert (low[1], high[1]) == pytest.approx((min(by_seed), max(by_seed)))
    assert ticks(picture.figure.axes[0].xaxis) == ["3 to 4\nn = 4", "5 to 7\nn = 6"]
    assert picture.summary == f"gru from 25% at 3 to 4 to {np.mean(by_seed):.0%} at 5 to 7"


def test_accuracy_by_group_shows_the_groups_in_the_asked_order():
    runs = {"a": RECORDS["small"], "b": RECORDS["large"]}
    picture = accuracy_by_group("Right", runs, "cluster", "cluster", ["st", ""])
    assert ticks(picture.figure.axes[0].xaxis) == ["st\nn = 6", "none\nn = 4"]
    found = drawn_groups(picture)
    assert list(found["a"][0]) == pytest.approx([(2 + 4 + 6) / 18, 0.25])
    assert list(found["b"][0]) == pytest.approx([2 / 6, 0.25])
    assert "a from 67% at st to 25% at none; b from 33%" in picture.summary
    places = [c.lines[0].get_xdata() for c in picture.figure.axes[0].containers]
    assert not set(places[0]) & set(places[1])  # side by side


@settings(deadline=None, max_examples=15, database=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(10, 20)), min_size=3, max_size=3))
def test_the_shares_of_groups_are_those_of_the_records(counts):
    groups = [[n + 1, "", right, total] for n, (right, total) in enumerate(counts)]
    runs = [record(metrics={"groups": {"unseen": groups}})]
    values = [1, range(2, 4)]
    picture = accuracy_by_group("Right", {"some": runs}, "letters", "letters", values)
    expected = [share_right(runs[0], letters) for letters in ([1], [2, 3])]
    assert list(drawn_groups(picture)["some"][0]) == pytest.approx(expected)
