"""The emoji: files as they were made, four styles of the same things, what is withheld, augmentation."""

import hashlib
import itertools
import os

import make_pictures
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.data import scenes
from a3lib.data.emoji import FOLDER, STYLES, EmojiBatches, augmented, drawn, emoji

HASHES = {
    "emoji.tsv": "4c5dff960886feb9bb967e0c1a2611cf9f03c217a1551ff207046278f71c9319",
    "fluent.webp": "5c85eaa19836fe501986970507ac0beb55a2326b34295b38b8ab4f074ff6aa8a",
    "noto.webp": "c70116acce1c7393d9d82bad273586610ee539e9fa3cceb94e623aff6e673930",
    "openmoji.webp": "48cc360f1c5fb048ee134061a91e2b4d98028315c778806698760bcfbae8d657",
    "twemoji.webp": "88a15de5be585fc14f8025452639aebdc1da14dcc8fd46adc217c7484308a15f",
}


def names(texts):
    """Tokens that are the place of a text, so that a test sees which caption came."""
    return torch.arange(len(texts))[:, None]


@pytest.mark.parametrize("name", HASHES)
def test_the_packed_files_are_those_that_were_made(name):
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == HASHES[name]


def test_they_are_small_and_every_style_has_its_licence_beside_it():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 6_000_000
    for style, words in {
        "twemoji": "Attribution 4.0 International",
        "noto": "Apache License",
        "openmoji": "Attribution-ShareAlike 4.0",
        "fluent": "MIT License",
        "names": "Unicode",
    }.items():
        assert words in (FOLDER / f"LICENCE-{style}.txt").read_text(encoding="utf8")


def test_every_style_has_every_emoji_and_no_two_pictures_are_equal():
    assert len(emoji()) > 1200 and len({one.code for one in emoji()}) == len(emoji())
    for style in STYLES:
        pictures = drawn(style)
        assert pictures.shape == (len(emoji()), 3, 32, 32) and pictures.dtype == torch.uint8
        assert len({picture.numpy().tobytes() for picture in pictures}) > 0.99 * len(emoji())
    groups = {one.group for one in emoji()}
    assert not groups & {"People & Body", "Flags", "Component"}


def test_another_style_is_refused_with_the_ones_there_are():
    with pytest.raises(ValueError, match="twemoji, noto, openmoji, fluent, not 'apple'"):
        drawn("apple")


def test_styles_agree_on_what_they_draw():
    """A pair of styles is more alike at the same emoji than at others, in colours alone."""
    means = {style: drawn(style).float().mean((2, 3)) for style in STYLES}
    for one, other in itertools.combinations(STYLES, 2):
        distance = torch.cdist(means[one], means[other])
        assert distance.diagonal().mean() < 0.7 * distance.mean()


def test_what_is_withheld_holds_a_pair_of_words_and_never_comes_in_training():
    withheld = {n for n, one in enumerate(emoji()) if one.withheld}
    assert {"green square", "red triangle pointed up"} & {emoji()[n].name for n in withheld}
    for n in withheld:
        words = f"{emoji()[n].name}, {emoji()[n].keywords}".replace(",", "").split()
        assert any(set(pair) <= set(words) for pair in scenes.PAIRS)
    data = EmojiBatches(["noto"], names)
    torch.manual_seed(0)
    seen = [int(token) for _, tokens in data.epoch(256) for token in tokens]
    assert not withheld & set(seen) and len(seen) == len(emoji()) - len(withheld)


def test_an_epoch_shows_every_picture_once_and_none_twice_in_a_batch():
    data = EmojiBatches(["noto", "fluent"], names)
    torch.manual_seed(1)
    batches = list(data.epoch(256))
    assert len(batches) == data.batches(256)
    tokens = [batch[1][:, 0].tolist() for batch in batches]
    assert all(len(set(some)) == len(some) <= 256 for some in tokens)
    counts = np.bincount(np.concatenate(tokens), minlength=len(emoji()))
    assert set(counts[data.shown]) == {2}


def test_the_share_of_keywords_is_what_was_asked():
    data = EmojiBatches(["noto"], names, keywords=0.4)
    torch.manual_seed(2)
    tokens = torch.cat([tokens for _, tokens in data.epoch(256)])
    assert (tokens >= len(emoji())).float().mean().item() == pytest.approx(0.4, abs=0.05)


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_augmented_pictures_stay_pictures_and_follow_the_generator(seed):
    torch.manual_seed(seed)
    first = augmented(drawn("noto")[:16])
    torch.manual_seed(seed)
    assert first.equal(augmented(drawn("noto")[:16]))
    assert first.shape == (16, 3, 32, 32) and first.min() >= 0 and first.max() <= 1
    assert not first.equal(augmented(drawn("noto")[:16]))


def test_a_white_picture_stays_white_wherever_it_is_moved():
    white = torch.full((8, 3, 32, 32), 255, dtype=torch.uint8)
    assert augmented(white).min() == 1


@pytest.mark.skipif("A3_PICTURES" not in os.environ, reason="opt-in, see tests/QUARANTINE.md")
def test_made_again_from_the_packages_the_pictures_are_equal_pixel_by_pixel():
    lines, pictures = make_pictures.make(os.environ["A3_PICTURES"])
    assert "\n".join(lines) + "\n" == (FOLDER / "emoji.tsv").read_text(encoding="utf8")
    for style, tiles in pictures.items():
        assert torch.from_numpy(tiles).movedim(3, 1).equal(drawn(style)), style
