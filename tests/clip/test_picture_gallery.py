"""Galleries: a picture is encoded once, found again by its content; what is none is named."""

import csv
import re

import numpy as np
import pytest
import torch
from fake_clip import COLOURS, FakeClip, paint
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from a3lib.clip.gallery import PACKAGED, Gallery


@pytest.fixture
def folder(tmp_path):
    return paint(tmp_path / "pictures")


def test_the_features_are_those_of_the_model_picture_by_picture(folder):
    model = FakeClip()
    gallery = Gallery(model, folder, cache=None)
    for row, photograph in zip(gallery.features, gallery.photographs, strict=True):
        image = Image.open(photograph.path).convert("RGB")
        assert torch.equal(row, model.encode_image(model.preprocess(image)[None])[0])
    assert torch.allclose(gallery.features.norm(dim=1), torch.ones(len(gallery)))


def test_each_picture_is_encoded_once_and_then_found_in_the_cache(folder, tmp_path):
    first = FakeClip()
    once = Gallery(first, folder, cache=tmp_path / "cache")
    again = FakeClip()
    twice = Gallery(again, folder, cache=tmp_path / "cache")
    assert (
        first.pictures == len(COLOURS) + 1 and again.pictures == 1
    )  # one is the test picture that names the cache
    assert torch.equal(once.features, twice.features)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_the_cache_knows_content_not_names(folder, tmp_path):
    Gallery(FakeClip(), folder, cache=tmp_path / "cache")
    (folder / "0-red.png").rename(folder / "9-other.png")
    paint(folder, ["blue"], size=(9, 9))  # 0-blue.png, new bytes
    model = FakeClip()
    gallery = Gallery(model, folder, cache=tmp_path / "cache")
    assert model.pictures == 1 + 1
    for colour, name in (("red", "9-other.png"), ("blue", "0-blue.png")):
        assert gallery.features[gallery.index(name), :3].argmax() == COLOURS[colour].index(255)


@pytest.mark.parametrize(
    "other", [FakeClip("another name"), FakeClip(gain=2.0)], ids=["name", "weights"]
)
def test_another_model_never_meets_old_features(folder, tmp_path, other):
    Gallery(FakeClip(), folder, cache=tmp_path)
    gallery = Gallery(other, folder, cache=tmp_path)
    assert other.pictures == len(COLOURS) + 1
    assert torch.equal(gallery.features, Gallery(other, folder, cache=None).features)


@pytest.mark.parametrize("how", ["a changed number", "cut off", "empty", "another file"])
def test_a_damaged_cache_counts_as_none_and_is_replaced(folder, tmp_path, how):
    right = Gallery(FakeClip(), folder, cache=tmp_path / "cache").features
    (path,) = (tmp_path / "cache").iterdir()
    data = bytearray(path.read_bytes())
    data[data.find(right[0].numpy().tobytes()) + 2] ^= 64
    kept = {"a changed number": bytes(data), "cut off": data[: len(data) // 2], "empty": b""}
    path.write_bytes(kept.get(how, b"no archive"))
    model = FakeClip()
    assert torch.equal(Gallery(model, folder, cache=tmp_path / "cache").features, right)
    assert model.pictures == len(COLOURS) + 1
    final = FakeClip()
    Gallery(final, folder, cache=tmp_path / "cache")
    assert final.pictures == 1


@given(st.integers(0, 10**6), st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_a_changed_bit_never_gives_wrong_features(cached, place, bit):
    folder, cache, right = cached
    (path,) = cache.iterdir()
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 1 << bit
    path.write_bytes(data)
    assert torch.equal(Gallery(FakeClip(), folder, cache=cache).features, right)


@pytest.fixture(scope="module")
def cached(tmp_path_factory):
    place = tmp_path_factory.mktemp("cached")
    folder = paint(place / "pictures")
    return folder, place / "cache", Gallery(FakeClip(), folder, cache=place / "cache").features


def test_a_kill_while_writing_leaves_the_old_cache(folder, tmp_path, monkeypatch):
    Gallery(FakeClip(), folder, cache=tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    before = path.read_bytes()
    paint(folder, ["white"], size=(3, 3))

    def killed(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        Gallery(FakeClip(), folder, cache=tmp_path / "cache")
    assert path.read_bytes() == before


def test_bad_files_are_skipped_with_one_line_each(folder, tmp_path):
    (folder / "notes.txt").write_text("no picture", encoding="utf8")
    (folder / "cut.png").write_bytes((folder / "0-red.png").read_bytes()[:40])
    (folder / "link.png").symlink_to(folder / "gone.png")
    gallery = Gallery(FakeClip(), folder, cache=tmp_path / "cache")
    assert len(gallery) == len(gallery.features) == len(COLOURS)
    assert [line.partition(":")[0] for line in gallery.skipped] == [
        "cut.png",
        "link.png",
        "notes.txt",
    ]
    assert all(re.fullmatch(r"[\w.-]+: skipped, \S.{8,280}", line) for line in gallery.skipped)
    assert Gallery(FakeClip(), folder, cache=tmp_path / "cache").skipped == gallery.skipped


def test_a_folder_like_tiny_imagenets_gives_its_first_pictures_in_order(tmp_path):
    for number in (2, 10, 1, 0):
        Image.new("RGB", (64, 64), (number,) * 3).save(
            paint(tmp_path / "test" / "images", []) / f"test_{number}.JPEG"
        )
    (tmp_path / "test" / ".DS_Store").write_bytes(b"")
    gallery = Gallery(FakeClip(), tmp_path / "test", limit=3, cache=None)
    assert [photograph.name for photograph in gallery.photographs] == [
        f"images/test_{n}.JPEG" for n in (0, 1, 10)
    ]
    assert not gallery.skipped


def test_without_a_readable_picture_the_reasons_are_told(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf8")
    with pytest.raises(ValueError, match=r"no picture to read in .*\nnotes.txt: skipped"):
        Gallery(FakeClip(), tmp_path, cache=None)
    with pytest.raises(NotADirectoryError, match="give a folder of pictures"):
        Gallery(FakeClip(), tmp_path / "nowhere", cache=None)


def test_progress_counts_every_file_and_is_called_with_a_full_cache_too(folder, tmp_path):
    (folder / "notes.txt").write_text("no picture", encoding="utf8")
    for _ in range(2):
        seen = []
        Gallery(
            FakeClip(),
            folder,
            cache=tmp_path / "cache",
            progress=lambda done, total, seen=seen: seen.append((done, total)),
        )
        assert seen == [(n, len(COLOURS) + 1) for n in range(1, len(COLOURS) + 2)]


def test_scores_are_cosines_from_one_forward(folder):
    model = FakeClip()
    gallery = Gallery(model, folder, cache=None)
    pictures, texts = model.pictures, ["red", "a green thing", ""]
    scores = gallery.scores(texts)
    assert model.forwards == 1 and model.pictures == pictures  # no picture is encoded for a caption
    expected = torch.nn.functional.cosine_similarity(
        model.encode_text(texts)[:, None], gallery.features[None], dim=-1
    )
    assert torch.allclose(scores, expected, atol=1e-6)


def test_pictures_are_found_by_name_and_a_wrong_name_is_told(folder):
    gallery = Gallery(FakeClip(), folder, cache=None)
    assert gallery.photographs[gallery.index("2-blue.png")].path.name == "2-blue.png"
    with pytest.raises(
        KeyError, match=r"no picture 'bee.jpg' in this gallery of 5; there are 0-red.png"
    ):
        gallery.index("bee.jpg")


def test_a_thin_strip_is_cut_before_it_fills_the_memory(tmp_path):
    """A 1-pixel-wide strip of 5,000 pixels would become 224 by 1,120,000."""
    sizes = []

    class Watched(FakeClip):
        def preprocess(self, picture):
            sizes.append(picture.size)
            return super().preprocess(picture)

    Image.new("RGB", (1, 5000)).save(tmp_path / "tall.png")
    Image.new("RGB", (5000, 3)).save(tmp_path / "wide.png")
    Image.new("RGB", (50, 20)).save(tmp_path / "as-it-is.png")
    Gallery(Watched(), tmp_path, cache=None)
    assert sizes == [(50, 20), (1, 4), (12, 3)]


def test_cutting_a_strip_keeps_its_middle(tmp_path):
    strip = Image.new("RGB", (100, 2), COLOURS["red"])
    strip.paste(COLOURS["blue"], (46, 0, 54, 2))
    strip.save(tmp_path / "a.png")
    Image.new("RGB", (8, 2), COLOURS["blue"]).save(tmp_path / "b.png")
    strip, blue = Gallery(FakeClip(), tmp_path, cache=None).features
    assert np.allclose(strip, blue, atol=0.01)


def test_equal_files_are_encoded_once_and_many_files_in_batches(tmp_path):
    colours = [(number % 40, 9, 200) for number in range(80)]  # each of 40 colours twice
    for number, colour in enumerate(colours):
        Image.new("RGB", (4, 4), colour).save(tmp_path / f"{number:02}.png")
    model = FakeClip()
    gallery = Gallery(model, tmp_path, cache=None)
    assert model.pictures == 40 and len(gallery) == 80
    assert torch.equal(gallery.features[:40], gallery.features[40:])
    for row, photograph in zip(gallery.features, gallery.photographs, strict=True):
        alone = model.encode_image(model.preprocess(photograph.image())[None])[0]
        assert torch.allclose(row, alone, atol=1e-6)


def test_what_is_waiting_is_encoded_though_the_last_file_is_no_picture(folder):
    (folder / "zzz.png").write_bytes(b"")
    gallery = Gallery(FakeClip(), folder, cache=None)
    assert gallery.features.shape == (len(COLOURS), 4) and len(gallery.skipped) == 1


def attribution():
    with (PACKAGED / "attribution.tsv").open(encoding="utf8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_the_packaged_gallery_has_89_pictures_with_caption_label_and_credit():
    gallery = Gallery(FakeClip(), cache=None)
    assert len(gallery) == 89 and not gallery.skipped
    assert {path.name for path in PACKAGED.glob("*.jpg")} == {
        photograph.name for photograph in gallery.photographs
    }
    for photograph, row in zip(gallery.photographs, attribution(), strict=True):
        assert max(photograph.image().size) in (320, 384)
        assert (
            photograph.caption == row["caption"]
            and photograph.label
            and photograph.alt == photograph.caption
        )
        assert row["author"] in photograph.credit and row["licence"] in photograph.credit
        assert photograph.credit.endswith("resized to 384 px at most")
    assert len({photograph.caption for photograph in gallery.photographs}) == 89


def test_the_attribution_page_names_author_licence_and_source_of_every_picture():
    page = (PACKAGED / "ATTRIBUTION.md").read_text(encoding="utf8")
    lines = {
        line.split("|")[1].strip(): line
        for line in page.splitlines()
        if line.startswith("| ") and ".jpg" in line
    }
    assert len(lines) == 89 and "**resized to 384 px** at most" in page
    for row in attribution():
        line = lines[row["file"]]
        assert all(
            row[key] in line
            for key in ("caption", "author", "licence", "source", "package", "original")
        )
        free = row["licence"] == "Public domain"
        assert free or re.search(
            r"\]\((https://creativecommons.org/\S+/|#the-bsd-text-for-the-daisies)\)", line
        )
        version = re.fullmatch(r"CC-(BY|BY-SA)-(\d\.0)", row["licence"])
        assert not version or f"/licenses/{version[1].lower()}/{version[2]}/" in line


def test_the_bsd_text_stands_with_the_daisies():
    page = (
        (PACKAGED / "ATTRIBUTION.md")
        .read_text(encoding="utf8")
        .partition("## The BSD text for the daisies")[2]
    )
    assert (
        "JPEG XL Project Authors" in page
        and "Redistributions in binary form must reproduce" in page
    )
    assert [row["file"] for row in attribution() if row["licence"] == "BSD-3-Clause"] == [
        "daisies.jpg"
    ]
