"""Galleries: each picture is encoded once, found again by its content, and files that are no pictures are named."""

import csv
import re

import numpy as np
import pytest
import torch
from fake_clip import COLOURS, FakeClip, paint
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from a3lib.gallery import PACKAGED, FeatureStore, Gallery


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
    assert first.pictures == len(COLOURS) + 1 and again.pictures == 1  # one is the test picture that names the cache
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


@pytest.mark.parametrize("other", [FakeClip("another name"), FakeClip(gain=2.0)], ids=["name", "weights"])
def test_another_model_never_meets_old_features(folder, tmp_path, other):
    Gallery(FakeClip(), folder, cache=tmp_path)
    gallery = Gallery(other, folder, cache=tmp_path)
    assert other.pictures == len(COLOURS) + 1
    assert torch.equal(gallery.features, Gallery(other, folder, cache=None).features)


def damaged(path, how):
    data = bytearray(path.read_bytes())
    if how == "a changed number":
        data[-3] ^= 64
        path.write_bytes(bytes(data))
    elif how == "cut off":
        path.write_bytes(bytes(data[: len(data) // 2]))
    elif how == "empty":
        path.write_bytes(b"")
    else:
        with safe_open(path, "pt") as file:
            features = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        save_file(features, path)  # without its checksum


@pytest.mark.parametrize("how", ["a changed number", "cut off", "empty", "no checksum"])
def test_a_damaged_cache_counts_as_none_and_is_replaced(folder, tmp_path, how):
    right = Gallery(FakeClip(), folder, cache=tmp_path / "cache").features
    (path,) = (tmp_path / "cache").iterdir()
    damaged(path, how)
    model = FakeClip()
    assert torch.equal(Gallery(model, folder, cache=tmp_path / "cache").features, right)
    assert model.pictures == len(COLOURS) + 1
    final = FakeClip()
    Gallery(final, folder, cache=tmp_path / "cache")
    assert final.pictures == 1


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
    assert [line.partition(":")[0] for line in gallery.skipped] == ["cut.png", "link.png", "notes.txt"]
    assert all(re.fullmatch(r"[\w.-]+: skipped, \S.{8,280}", line) for line in gallery.skipped)
    assert Gallery(FakeClip(), folder, cache=tmp_path / "cache").skipped == gallery.skipped


def test_a_folder_like_tiny_imagenets_gives_its_first_pictures_in_order(tmp_path):
    for number in (2, 10, 1, 0):
        Image.new("RGB", (64, 64), (number,) * 3).save(paint(tmp_path / "test" / "images", []) / f"test_{number}.JPEG")
    (tmp_path / "test" / ".DS_Store").write_bytes(b"")
    gallery = Gallery(FakeClip(), tmp_path / "test", limit=3, cache=None)
    assert [photograph.name for photograph in gallery.photographs] == [f"images/test_{n}.JPEG" for n in (0, 1, 10)]
    assert not gallery.skipped


def test_without_a_readable_picture_the_reasons_are_told(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf8")
    with pytest.raises(ValueError, match=r"no picture could be read in .*\nnotes.txt: skipped"):
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
    expected = torch.nn.functional.cosine_similarity(model.encode_text(texts)[:, None], gallery.features[None], dim=-1)
    assert torch.allclose(scores, expected, atol=1e-6)


def test_pictures_are_found_by_name_and_a_wrong_name_is_told(folder):
    gallery = Gallery(FakeClip(), folder, cache=None)
    assert gallery.photographs[gallery.index("2-blue.png")].path.name == "2-blue.png"
    with pytest.raises(KeyError, match=r"no picture 'bee.jpg' in this gallery of 5; there are 0-red.png"):
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


def test_cutting_a_strip_keeps_its_middle():
    store = FeatureStore(None, FakeClip())
    strip = Image.new("RGB", (100, 2), COLOURS["red"])
    strip.paste(COLOURS["blue"], (46, 0, 54, 2))
    assert np.allclose(store._encode(strip), store._encode(Image.new("RGB", (8, 2), COLOURS["blue"])), atol=0.01)


def attribution():
    with (PACKAGED / "attribution.tsv").open(encoding="utf8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_the_packaged_gallery_has_89_pictures_with_caption_label_and_credit():
    gallery = Gallery(FakeClip(), cache=None)
    assert len(gallery) == 89 and not gallery.skipped
    assert {path.name for path in PACKAGED.glob("*.jpg")} == {photograph.name for photograph in gallery.photographs}
    for photograph, row in zip(gallery.photographs, attribution(), strict=True):
        assert max(photograph.image().size) in (320, 384)
        assert photograph.caption == row["caption"] and photograph.label and photograph.alt == photograph.caption
        assert row["author"] in photograph.credit and row["licence"] in photograph.credit
        assert photograph.credit.endswith("resized to 384 px at most")
    assert len({photograph.caption for photograph in gallery.photographs}) == 89


def test_the_attribution_page_names_author_licence_and_source_of_every_picture():
    page = (PACKAGED / "ATTRIBUTION.md").read_text(encoding="utf8")
    lines = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| ") and ".jpg" in line}
    assert len(lines) == 89 and "**resized to 384 px** at most" in page
    for row in attribution():
        line = lines[row["file"]]
        assert all(row[key] in line for key in ("caption", "author", "licence", "source", "package", "original"))
        free = row["licence"] == "Public domain"
        assert free or re.search(r"\]\((https://creativecommons.org/\S+/|#the-bsd-text-for-the-daisies)\)", line)
        version = re.fullmatch(r"CC-(BY|BY-SA)-(\d\.0)", row["licence"])
        assert not version or f"/licenses/{version[1].lower()}/{version[2]}/" in line


def test_the_bsd_text_stands_with_the_daisies():
    page = (PACKAGED / "ATTRIBUTION.md").read_text(encoding="utf8").partition("## The BSD text for the daisies")[2]
    assert "JPEG XL Project Authors" in page and "Redistributions in binary form must reproduce" in page
    assert [row["file"] for row in attribution() if row["licence"] == "BSD-3-Clause"] == ["daisies.jpg"]


def test_the_licence_covers_the_code_only():
    text = (PACKAGED.parents[2] / "LICENSE").read_text(encoding="utf8")
    assert "covers the code and the prose only" in text and "a3lib/data/gallery/ATTRIBUTION.md" in text


def test_an_installed_package_carries_the_pictures():
    project = (PACKAGED.parents[2] / "pyproject.toml").read_text(encoding="utf8")
    assert '"data/gallery/*"' in project.partition("[tool.setuptools.package-data]")[2].partition("[tool.ruff]")[0]
