"""Figures of pictures and captions: what is drawn is what was given, and the summary says it."""

from dataclasses import replace

import numpy as np
import pytest
from drawings import alt_of, named, ticks
from fake_clip import COLOURS, FakeClip, paint
from matplotlib.colors import to_rgba
from matplotlib.offsetbox import AnnotationBbox

from a3lib.clip.gallery import Gallery
from a3lib.clip.ranking import Ranking
from a3lib.lab.figures import base
from a3lib.lab.figures.clip import (
    LiveBar,
    label_bars,
    rank_curve,
    retrieval,
    similarity_matrix,
)
from a3lib.lab.verdicts import bootstrap

LABELS = list(COLOURS)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    return Gallery(FakeClip(), paint(tmp_path_factory.mktemp("pictures")), cache=None)


def test_the_matrix_shows_each_score_a_star_in_each_row_and_a_picture_at_each_column(gallery):
    scores = np.array([[0.5, 0.1, 0.2], [0.3, -0.2, 0.1]])
    picture = similarity_matrix("Matrix", gallery.photographs[:3], ["red", "green"], scores)
    (axes,) = picture.figure.axes
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["0.50 ★", "0.10", "0.20", "0.30 ★", "-0.20", "0.10"]
    assert len([artist for artist in axes.artists if isinstance(artist, AnnotationBbox)]) == 3
    assert ticks(axes.yaxis) == ["red", "green"] and picture.figure.get_suptitle() == "Matrix"
    assert "cosines from -0.20 to 0.50; 1 of 2 captions fit their own" in alt_of(picture)


def test_label_bars_are_the_likeliest_labels_in_order_with_the_own_one_marked(gallery):
    pairs = zip(gallery.photographs, LABELS, strict=True)
    photographs = [replace(photograph, label=label) for photograph, label in pairs]
    probabilities = np.array([[0.1, 0.2, 0.4, 0.05, 0.25]] * 5)
    picture = label_bars("Labels", photographs, LABELS, probabilities, k=3)
    bars = [axes for axes in picture.figure.axes if axes.patches]
    assert len(bars) == 5
    for axes, photograph in zip(bars, photographs, strict=True):
        assert ticks(axes.yaxis) == ["blue", "white", "green"]
        assert [bar.get_width() for bar in axes.patches] == [0.4, 0.25, 0.2]
        own = [bar.get_facecolor() == to_rgba(base.COLOURS[1]) for bar in axes.patches]
        assert own == [name == photograph.label for name in ("blue", "white", "green")]
        assert axes.get_xlabel() == "probability"
    assert "0-red.png blue 0.4; " in alt_of(picture)


def test_retrieval_shows_the_best_pictures_in_order_and_frames_the_target(gallery):
    captions = ["red", "blue"]
    rankings = [Ranking(row) for row in gallery.scores(captions)]
    picture = retrieval("Hunt", gallery, captions, rankings, target=2, k=3)
    rows = [panel.axes for panel in picture.figure.subfigs]
    for row, ranking in zip(rows, rankings, strict=True):
        names = [gallery.photographs[i].name for i in ranking.top(3)]
        assert [axes.get_xlabel() for axes in row] == names
        framed = [axes.spines["top"].get_visible() for axes in row]
        assert framed == [place == 2 for place in ranking.top(3)]
    alt = alt_of(picture)
    assert "“blue”: the target has rank 1, margin +" in alt
    assert gallery.model.label in alt  # it is not CLIP, and says so


def test_a_note_stands_below_the_figure_and_in_its_summary(gallery):
    photographs, scores = gallery.photographs[:2], np.eye(2)
    for picture in (
        similarity_matrix("Matrix", photographs, ["red", "green"], scores, "not CLIP"),
        label_bars("Labels", photographs, ["red", "green"], scores, "not CLIP"),
        rank_curve("Curve", (1,), np.ones((1, 2, 5)), "not CLIP"),
    ):
        assert picture.figure.get_supxlabel() == "not CLIP"
        assert alt_of(picture).endswith("(not CLIP)")


def test_more_places_than_pictures_leave_some_empty(gallery):
    rankings = [Ranking(gallery.scores(["red"])[0])]
    picture = retrieval("Hunt", gallery, ["red"], rankings, target=0, k=7)
    assert len(picture.figure.subfigs[0].axes) == 7 and alt_of(picture)


def test_pictures_are_drawn_with_author_and_licence():
    packaged = Gallery(FakeClip(), limit=2, cache=None)
    rankings = [Ranking(packaged.scores(["red"])[0])]
    picture = retrieval("Hunt", packaged, ["red"], rankings, target=0, k=2)
    credits = {axes.get_xlabel() for axes in picture.figure.subfigs[0].axes}
    assert credits == {"Dietmar Rabich / Wikimedia Commons, CC-BY-SA-4.0", "NASA, Public domain"}


def test_the_rank_curve_is_the_geometric_mean_and_the_share_of_ranks_within_the_limit():
    # (2 numbers of words, 2 draws, 10 pictures)
    ranks = np.array([[[1, 9] * 5, [3, 9] * 5], [[1, 2] * 5, [1, 2] * 5]])
    picture = rank_curve("Curve", (1, 2), ranks)
    left, right = picture.figure.axes
    (typical,), (first, five) = (
        [line.get_ydata().tolist() for line in axes.lines] for axes in (left, right)
    )
    assert first == [0.25, 0.5] and five == [0.5, 1.0]
    assert typical == pytest.approx([(1 * 9 * 3 * 9) ** 0.25, 2**0.5])
    told = "typical rank: 3.9 with 1, 1.4 with 2; first: 0.25 with 1, 0.50 with 2"
    assert told in alt_of(picture)
    assert named(left) and named(right)
    ends = bootstrap((ranks[0] <= 1).mean(0))
    band = right.collections[0].get_paths()[0].vertices
    assert {y for x, y in band if x == 1} >= set(ends)


def test_progress_is_one_display_that_ends_full_and_whose_text_never_changes(displayed):
    bar = LiveBar("Encoding")
    for done in range(1, 90):
        bar(done, 89)
    assert len(displayed.shown) == 1 and len(displayed.updated) <= 10
    shown = displayed.shown + displayed.updated
    assert {data["text/plain"] for data, _ in shown} == {"Encoding"}
    assert shown[-1][1]["image/png"]["alt"].startswith("Encoding: 89 of 89")


def test_progress_of_a_gallery_is_drawn(displayed, tmp_path):
    folder = paint(tmp_path / "pictures")
    Gallery(FakeClip(), folder, cache=None, progress=LiveBar("Encoding"))
    alts = [metadata["image/png"]["alt"] for _, metadata in displayed.shown + displayed.updated]
    assert alts == [f"Encoding: {done} of 5 pictures are done" for done in range(1, 6)]
