"""Ranking by a caption: ranks by an independent count, words by recomputing."""

import itertools
import math

import pytest
import torch
from fake_clip import COLOURS, FakeClip, paint
from hypothesis import given
from hypothesis import strategies as st

from a3lib.clip import ranking as ranks
from a3lib.clip.gallery import Gallery
from a3lib.clip.ranking import Ranking

SCORES = st.lists(st.integers(-4, 4).map(lambda n: n / 4), min_size=2, max_size=8)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    return Gallery(FakeClip(), paint(tmp_path_factory.mktemp("pictures")), cache=None)


@given(SCORES, st.data())
def test_rank_counts_who_is_at_least_as_good_and_margin_tells_if_it_is_found(scores, data):
    target = data.draw(st.integers(0, len(scores) - 1))
    ranking = Ranking(torch.tensor(scores))
    others = scores[:target] + scores[target + 1 :]
    assert ranking.rank(target) == 1 + sum(score >= scores[target] for score in others)
    assert math.isclose(ranking.margin(target), scores[target] - max(others))
    assert (ranking.margin(target) > 0) == (ranking.rank(target) == 1)


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 99))
def test_pictures_are_ranked_by_their_angle_whatever_their_length(pictures, sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    caption = torch.randn(sizes, generator=generator)
    features = torch.randn(pictures, sizes, generator=generator)
    order = ranks.rank_by_caption(caption, features).tolist()
    assert sorted(order) == list(range(pictures))
    cosines = [float(row @ caption) / math.hypot(*row.tolist()) for row in features]
    assert all(cosines[a] >= cosines[b] - 1e-5 for a, b in itertools.pairwise(order))
    stretched = features * torch.rand(pictures, 1, generator=generator).add(0.5)
    again = ranks.rank_by_caption(3 * caption, stretched).tolist()
    assert all(abs(cosines[a] - cosines[b]) < 1e-5 for a, b in zip(order, again, strict=True))


@given(SCORES)
def test_the_best_come_first_and_equal_ones_in_their_order(scores):
    assert (
        Ranking(torch.tensor(scores)).top(3)
        == sorted(range(len(scores)), key=lambda i: -scores[i])[:3]
    )


def test_a_gallery_of_one_picture_has_no_margin():
    assert Ranking(torch.tensor([0.5])).rank(0) == 1 and math.isnan(
        Ranking(torch.tensor([0.5])).margin(0)
    )


def test_leaving_a_word_out_is_the_caption_without_it_in_one_forward(gallery):
    forwards, pictures = gallery.model.forwards, gallery.model.pictures
    ranking, words = ranks.explain(gallery, "a red blue thing", 0)
    assert (gallery.model.forwards, gallery.model.pictures) == (forwards + 1, pictures)
    assert [word.text for word in words] == ["a", "red", "blue", "thing"]
    full = gallery.scores(["a red blue thing"])[0]
    for word, rest in zip(
        words, ("red blue thing", "a blue thing", "a red thing", "a red blue"), strict=True
    ):
        without = Ranking(gallery.scores([rest])[0])
        assert math.isclose(word.drop, float(full[0] - without.scores[0]), abs_tol=1e-6)
        assert word.rank_without == without.rank(0)
    assert ranking.rank(0) == Ranking(full).rank(0)
    assert words[1].drop > 0 > words[2].drop  # the picture is red


def test_one_word_is_compared_with_the_empty_caption(gallery):
    _, (word,) = ranks.explain(gallery, "red", 0)
    assert math.isclose(
        word.drop, float(gallery.scores(["red"])[0, 0] - gallery.scores([""])[0, 0]), abs_tol=1e-6
    )


def test_ranks_under_own_captions(gallery):
    everyone = range(len(gallery))
    assert ranks.caption_ranks(gallery, list(COLOURS), everyone).tolist() == [1] * len(COLOURS)
    shuffled = ["blue", "red", "green", "white", "yellow"]
    expected = [
        Ranking(gallery.scores([text])[0]).rank(place) for place, text in enumerate(shuffled)
    ]
    assert ranks.caption_ranks(gallery, shuffled, everyone).tolist() == expected
    some = ranks.caption_ranks(gallery, shuffled[3:0:-2], [3, 1])  # among all pictures
    assert some.tolist() == [expected[3], expected[1]]
    with pytest.raises(ValueError, match="2 captions for 5 pictures"):
        ranks.caption_ranks(gallery, ["red", "blue"], everyone)
