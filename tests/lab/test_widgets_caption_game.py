"""The caption game, driven as a player does: by setting the values of its controls."""

import base64
import io
import re

import ipywidgets
import pytest
from fake_clip import COLOURS, FakeClip, paint
from html_page import Page, read_aloud
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from a3lib.clip.gallery import Gallery
from a3lib.lab.widgets.caption_game import CaptionGame, attempt, game_html, hint

BLUE = list(COLOURS).index("blue")
ALLOWED = {"div", "p", "b", "br", "img", "small", "span", "ul", "li", "svg", "polyline", "circle"}


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    return Gallery(FakeClip(), paint(tmp_path_factory.mktemp("pictures")), cache=None)


@pytest.fixture(scope="module")
def packaged():
    return Gallery(FakeClip(), limit=8, cache=None)


def page(game):
    return read_aloud(game.output.value)


def test_an_attempt_is_rank_margin_top_five_and_words(gallery):
    tried = attempt(gallery, " a  blue thing ", BLUE)
    scores = gallery.scores(["a blue thing"])[0]
    assert tried.caption == "a blue thing" and tried.rank == 1 and tried.margin > 0
    assert tried.top == scores.argsort(descending=True).tolist()[:5]
    assert max(tried.words, key=lambda word: word.drop).text == "blue" and not tried.notes


def test_before_the_first_caption_the_page_shows_the_target_and_says_what_to_do(gallery):
    start = page(CaptionGame(gallery, BLUE))
    assert "Find this picture among 5" in start.text and "press Enter" in start.text
    assert [image["alt"] for image in start.images] == ["the picture 2-blue.png"]
    assert gallery.model.label in start.notes  # it is not CLIP, and says so


def test_typing_captions_finds_the_target_and_counts_them(gallery):
    game = CaptionGame(gallery, BLUE)
    for caption in ("yellow", "red", "a blue thing"):
        game.field.value = caption
    assert [tried.caption for tried in game.attempts] == ["yellow", "red", "a blue thing"]
    found = page(game)
    ranks = [tried.rank for tried in game.attempts]
    assert ranks[-1] == 1 and 1 not in ranks[:-1]
    assert "Found in 3 captions." in found.text and "rank 1 of 5" in found.text
    assert found.curve == f"Rank after each caption: {', '.join(map(str, ranks))}"
    assert found.curve in found.text
    assert len(found.images) == 1 + 5 and "1 the target" in found.text
    game.field.value = "red again"
    assert "Found in 3 captions." in page(game).text


def test_not_found_is_told_too(gallery):
    game = CaptionGame(gallery, BLUE)
    game.field.value = "yellow"
    assert "Not found yet in 1 caption." in page(game).text


@pytest.mark.parametrize("caption", [" ", "\t", "\u3000"])
def test_an_empty_caption_is_no_attempt_and_gets_a_message(gallery, caption):
    game = CaptionGame(gallery, BLUE)
    game.field.value = "red"
    game.field.value = caption
    assert len(game.attempts) == 1
    assert any("caption is empty" in note for note in page(game).notes)


def test_ten_thousand_characters_are_tried_and_the_limit_is_told(gallery):
    game = CaptionGame(gallery, BLUE)
    game.field.value = "blue " * 2000
    shown = page(game)
    assert any("reads 77 tokens" in note for note in shown.notes) and len(game.attempts) == 1
    assert len(game.attempts[0].words) == 12 and "..." in shown.text
    assert len(game.output.value) < 60_000


def test_another_target_starts_a_new_hunt(gallery):
    game = CaptionGame(gallery, BLUE)
    game.field.value = "red"
    game.button.click()
    game.choice.value = "0-red.png"
    assert game.attempts == [] and game.hints == []
    shown = page(game)
    assert shown.images[0]["alt"] == "the picture 0-red.png" and "Find this picture" in shown.text


def test_hints_tell_one_more_word_of_its_caption_each_time(packaged):
    bee = packaged.index("bee.jpg")
    assert packaged.photographs[bee].caption == "a bee flying to a red blossom"
    game = CaptionGame(packaged, bee)
    words = ["bee", "flying", "red", "blossom"]
    for number in (1, 2, 3, 4, 4):
        game.button.click()
        noun = "word" if number == 1 else "words"
        assert page(game).notes[-1].endswith(f"the {noun} {', '.join(words[:number])}.")


def test_a_question_mark_asks_for_a_hint_and_is_no_caption(packaged):
    game = CaptionGame(packaged, packaged.index("bee.jpg"))
    game.field.value = "?"
    assert game.attempts == [] and page(game).notes[-1].endswith("the word bee.")
    game.button.click()
    assert page(game).notes[-1].endswith("the words bee, flying.")


def test_a_name_that_is_no_picture_is_told_and_the_hunt_goes_on(gallery):
    game = CaptionGame(gallery, BLUE)
    game.field.value = "red"
    for name in ("nothing.png", ""):
        game.choice.value = name
        assert game.target == BLUE and len(game.attempts) == 1
        told = f"no picture '{name}' in this gallery of 5; there are 0-red.png"
        assert told in page(game).notes[-1]


def test_pictures_without_a_caption_get_a_general_hint(gallery):
    assert "what the picture shows" in hint(gallery, 0, 0)


def test_the_large_picture_stands_with_author_licence_and_change(packaged):
    bee = packaged.index("bee.jpg")
    text = page(CaptionGame(packaged, bee)).text
    assert "aussiegall, CC-BY-2.0, resized to 384 px at most" in text


def test_pictures_are_inline_and_of_the_sizes_told(packaged):
    game = CaptionGame(packaged, packaged.index("bee.jpg"))
    game.field.value = "red"
    sizes = []
    for image in page(game).images:
        kind, _, data = image["src"].partition(",")
        assert kind == "data:image/jpeg;base64" and image["alt"]
        sizes.append(max(Image.open(io.BytesIO(base64.b64decode(data))).size))
    assert sizes == [300] + [110] * 5


def test_it_works_by_keyboard(gallery):
    """Fields to type into with names, nothing to click in the page.

    On a list JupyterLab takes arrow keys as its own commands; what the only button does can also be
    asked for by typing `?`.
    """
    game = CaptionGame(gallery, BLUE)
    game.field.value = "red"
    for control in (game.field, game.choice):
        assert isinstance(control, ipywidgets.Text) and control.description
        assert not control.continuous_update  # Enter sends, typing does not
    for name in page(game).attributes:
        assert not name.startswith("on") and name not in ("href", "tabindex")


def test_words_are_coloured_by_direction_and_strength(gallery):
    game = CaptionGame(gallery, BLUE)
    game.field.value = "red blue"
    grounds = re.findall(r"linear-gradient\(rgba\(([\d,.]+)\)", game.output.value)
    assert [ground.rpartition(",")[0] for ground in grounds] == ["230,159,0", "86,180,233"]
    for ground, word in zip(grounds, game.attempts[-1].words, strict=True):
        strength = min(1, abs(word.drop) / 0.1)
        assert float(ground.rpartition(",")[2]) == pytest.approx(strength, abs=0.01)
        assert f"{word.drop:+.2f}" in page(game).text


def test_whatever_is_typed_is_shown_as_text(gallery):
    @given(st.text(max_size=60))
    @settings(deadline=None, max_examples=60, database=None, derandomize=True)
    def shown_as_text(caption):
        tried = attempt(gallery, caption, 0)
        shown = Page(game_html(gallery, 0, [tried] if tried.caption else []))
        assert set(shown.tags) <= ALLOWED
        assert all(word[:40] in shown.text for word in tried.caption.split()[:12])

    shown_as_text()


def test_markup_in_captions_labels_and_names_stays_text(tmp_path):
    folder = paint(tmp_path / "p", ["red"])
    (folder / "0-red.png").rename(folder / "<b>'&.png")
    game = CaptionGame(Gallery(FakeClip(), folder, cache=None), 0)
    game.field.value = "<script>alert(1)</script> <img>"
    shown = page(game)
    assert "script" not in shown.tags and "<script>alert(1)</script>" in shown.text
    assert shown.images[0]["alt"] == "the picture <b>'&.png"
    game.choice.value = "<u>"
    assert "<u>" in page(game).notes[-1] and "u" not in page(game).tags


def test_a_gallery_of_one_picture_can_be_played(tmp_path):
    game = CaptionGame(Gallery(FakeClip(), paint(tmp_path / "p", ["red"]), cache=None), 0)
    game.field.value = "red"
    assert "Found in 1 caption." in page(game).text


def test_two_games_do_not_share_their_state(gallery):
    first, second = (CaptionGame(gallery, BLUE) for _ in range(2))
    first.field.value = "red"
    assert second.attempts == [] and "Find this picture" in page(second).text
