"""Figures: what is drawn is what was given, and the summary says it in words."""

import re

import IPython.display
import numpy as np
import pytest
from fake_clip import COLOURS, FakeClip, paint
from matplotlib.colors import to_rgba
from matplotlib.offsetbox import AnnotationBbox

from a3lib import clip_figures, plots
from a3lib.gallery import Gallery
from a3lib.prompting import Ranking

LABELS = list(COLOURS)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    return Gallery(FakeClip(), paint(tmp_path_factory.mktemp("pictures")), cache=None)


def drawn(picture):
    """Every figure can be saved with its alt text; returns it."""
    data, metadata = plots.bundle(picture)
    assert data["image/png"][:4] == b"\x89PNG"
    alt = metadata["image/png"]["alt"]
    assert len(alt) > 40 and re.search(r"\d", alt) and "\n" not in alt
    return alt


def test_the_matrix_shows_each_score_a_star_in_each_row_and_a_picture_at_each_column(gallery):
    scores = np.array([[0.5, 0.1, 0.2], [0.3, -0.2, 0.1]])
    picture = clip_figures.similarity_matrix("Matrix", gallery.photographs[:3], ["red", "green"], scores)
    (axes,) = picture.figure.axes
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["0.50 ★", "0.10", "0.20", "0.30 ★", "-0.20", "0.10"]
    assert len([artist for artist in axes.artists if isinstance(artist, AnnotationBbox)]) == 3
    assert "from -0.20 to 0.50; 1 of 2 captions" in drawn(picture)


def test_label_bars_are_the_likeliest_labels_in_order_with_the_own_one_marked(gallery):
    from dataclasses import replace

    photographs = [
        replace(photograph, label=label) for photograph, label in zip(gallery.photographs, LABELS, strict=True)
    ]
    probabilities = np.array([[0.1, 0.2, 0.4, 0.05, 0.25]] * 5)
    picture = clip_figures.label_bars("Labels", photographs, LABELS, probabilities, k=3)
    bars = [axes for axes in picture.figure.axes if axes.patches]
    assert len(bars) == 5
    for axes, photograph in zip(bars, photographs, strict=True):
        assert [label.get_text() for label in axes.get_yticklabels()] == ["blue", "white", "green"]
        assert [bar.get_width() for bar in axes.patches] == [0.4, 0.25, 0.2]
        own = [bar.get_facecolor() == to_rgba(plots.COLOURS[1]) for bar in axes.patches]
        assert own == [name == photograph.label for name in ("blue", "white", "green")]
    assert "0-red.png blue 0.4" in drawn(picture)


def test_retrieval_shows_the_best_pictures_in_order_and_frames_the_target(gallery):
    captions = ["red", "blue"]
    rankings = [Ranking(row) for row in gallery.scores(captions)]
    picture = clip_figures.retrieval("Hunt", gallery, captions, rankings, target=2, k=3)
    rows = [panel.axes for panel in picture.figure.subfigs]
    for row, ranking in zip(rows, rankings, strict=True):
        assert [axes.get_xlabel() for axes in row] == [gallery.photographs[i].name for i in ranking.top(3)]
        framed = [axes.spines["top"].get_visible() for axes in row]
        assert framed == [place == 2 for place in ranking.top(3)]
    assert "“blue”: the target has rank 1, margin +" in drawn(picture)
    assert gallery.model.label in drawn(picture)  # it is not CLIP, and says so


def test_a_note_stands_below_the_figure_and_in_its_summary(gallery):
    photographs, scores = gallery.photographs[:2], np.eye(2)
    for picture in (
        clip_figures.similarity_matrix("Matrix", photographs, ["red", "green"], scores, "not CLIP"),
        clip_figures.label_bars("Labels", photographs, ["red", "green"], scores, "not CLIP"),
        clip_figures.rank_curve("Curve", (1,), np.ones((1, 2, 5)), "not CLIP"),
    ):
        assert picture.figure.get_supxlabel() == "not CLIP" and drawn(picture).endswith("(not CLIP)")


def test_more_places_than_pictures_leave_some_empty(gallery):
    picture = clip_figures.retrieval("Hunt", gallery, ["red"], [Ranking(gallery.scores(["red"])[0])], target=0, k=7)
    assert len(picture.figure.subfigs[0].axes) == 7 and drawn(picture)


def test_pictures_are_drawn_with_author_and_licence():
    packaged = Gallery(FakeClip(), limit=2, cache=None)
    picture = clip_figures.retrieval("Hunt", packaged, ["red"], [Ranking(packaged.scores(["red"])[0])], target=0, k=2)
    credits = {axes.get_xlabel() for axes in picture.figure.subfigs[0].axes}
    assert credits == {"Dietmar Rabich / Wikimedia Commons, CC-BY-SA-4.0", "NASA, Public domain"}


def test_the_curve_is_the_share_of_ranks_within_the_limit():
    ranks = np.array([[[1, 9] * 5, [3, 9] * 5], [[1, 2] * 5, [1, 2] * 5]])  # (2 numbers, 2 draws, 10 pictures)
    picture = clip_figures.rank_curve("Curve", (1, 2), ranks)
    (typical,), (first, five) = ([line.get_ydata().tolist() for line in axes.lines] for axes in picture.figure.axes)
    assert first == [0.25, 0.5] and five == [0.5, 1.0]
    assert typical == pytest.approx([(1 * 9 * 3 * 9) ** 0.25, 2**0.5])
    assert "typical rank: 3.9 with 1, 1.4 with 2; first: 0.25 with 1, 0.50 with 2" in drawn(picture)


def test_progress_is_one_display_that_ends_full_and_whose_text_never_changes(monkeypatch):
    calls = []

    class Handle:
        def update(self, data, **options):
            calls.append(("update", data["text/plain"], options["metadata"]["image/png"]["alt"]))

    def display(data, **options):
        calls.append(("display", data["text/plain"], options["metadata"]["image/png"]["alt"]))
        return Handle()

    monkeypatch.setattr(IPython.display, "display", display)
    bar = clip_figures.LiveBar("Encoding")
    for done in range(1, 90):
        bar(done, 89)
    assert [kind for kind, *_ in calls] == ["display"] + ["update"] * (len(calls) - 1) and len(calls) <= 11
    assert {text for _, text, _ in calls} == {"Encoding"} and calls[-1][2].startswith("Encoding: 89 of 89")
