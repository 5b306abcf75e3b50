"""The grid of losses: shared logarithmic axes, a line per run and side, alt text with the lowest losses."""

import pytest

from a3lib.lab.figures.lines import loss_grid
from a3lib.optimization import History


def record(losses, epochs):
    history = {"updates": [10 * n for n in range(1, epochs + 1)], "train": losses[:epochs]}
    return {"history": {**history, "validation": {"per_token": [2 * x for x in losses[:epochs]]}}}


RUN = [record([1.0, 0.5, 0.25], 3), record([1.0, 0.5, 0.75], 2)]
ROWS = [
    {"a": {"narrow": RUN, "wide": RUN}, "b": {"narrow": RUN}},
    {"c": {"narrow": RUN}, "d": {"wide": RUN}},
]


def test_all_panels_share_logarithmic_axes():
    axes = loss_grid("Losses", ROWS).figure.axes
    assert [a.get_title() for a in axes] == ["a", "b", "c", "d"]
    assert len({(a.get_xlim(), a.get_ylim(), a.get_xscale(), a.get_yscale()) for a in axes}) == 1
    assert axes[0].get_xscale() == axes[0].get_yscale() == "log"


def test_a_line_is_the_mean_of_the_seeds_that_still_ran():
    training, validation = loss_grid("Losses", ROWS).figure.axes[1].lines
    assert list(training.get_ydata()) == [1.0, 0.5, 0.25]
    assert list(validation.get_ydata()) == [2.0, 1.0, 0.5]


def test_the_summary_tells_the_lowest_loss_of_every_run():
    assert "a, wide, validation: 0.750 at the lowest" in loss_grid("Losses", ROWS).summary


def test_a_live_run_is_one_more_line():
    live = History(updates=[10], train=[0.3], validation={"per_token": [0.4]})
    axes = loss_grid("Losses", ROWS, {("b", "narrow"): live}).figure.axes
    assert [len(a.lines) for a in axes] == [4, 4, 2, 2]


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="as many"):
        loss_grid("Losses", [{"a": {}}, {"b": {}, "c": {}}])
