"""Picture files: every mode comes out as upright RGB, the unreadable is refused in one line."""

import io
import os
import re
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from a3lib.clip.pictures import Photograph, UnreadablePicture, decode, read_bytes

RED = (250, 10, 20)


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(data):
    image = decode(data)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def halves(mode="RGB"):
    """Left half dark, right half red."""
    image = Image.new("RGB", (40, 20), (10, 10, 10))
    image.paste(RED, (20, 0, 40, 20))
    return image.quantize(4) if mode == "P" else image.convert(mode)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("RGB", "PNG"),
        ("P", "PNG"),
        ("P", "GIF"),
        ("CMYK", "JPEG"),
        ("CMYK", "TIFF"),
        ("RGB", "WEBP"),
        ("RGB", "BMP"),
    ],
)
def test_every_mode_gives_the_same_colours(mode, kind):
    options = {"quality": 100} if kind in ("JPEG", "WEBP") else {}
    found = pixels(saved(halves(mode), kind, **options))
    assert np.abs(found[5:15, 25:35] - RED).max() < 16 and np.abs(found[5:15, 5:15] - 10).max() < 16


@given(st.lists(st.integers(0, 65535), min_size=4, max_size=4))
@settings(deadline=None, max_examples=25)
def test_sixteen_bits_are_scaled_not_cut_off(values):
    array = np.array(values, dtype=np.uint16).reshape(2, 2)
    for kind in ("PNG", "TIFF"):
        grey = pixels(saved(Image.fromarray(array), kind))
        assert (grey == np.round(array / 65535 * 255).astype(int)[..., None]).all()


@pytest.mark.parametrize(
    ("values", "expected"), [([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 2.0, 4.0], [0, 128, 255])]
)
def test_floating_point_pictures_are_scaled_to_their_white(values, expected):
    data = saved(Image.fromarray(np.array([values], dtype=np.float32)), "TIFF")
    assert pixels(data)[0, :, 0].tolist() == expected


def test_not_a_number_is_black():
    data = saved(Image.fromarray(np.array([[np.nan, 1.0]], dtype=np.float32)), "TIFF")
    assert pixels(data)[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_counts(kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, (0, 255, 0), (0, 0, 255))]
    data = saved(
        frames[0],
        kind,
        save_all=True,
        append_images=frames[1:],
        **({"lossless": True} if kind == "WEBP" else {}),
    )
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 3
    assert np.abs(pixels(data) - RED).max() < 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(orientation):
    """A camera that was turned stores the pixels turned and says so; reading undoes it."""
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = halves()
    stored = upright.transpose(turn[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert (pixels(saved(stored, "PNG", exif=exif)) == np.asarray(upright)).all()


def test_transparent_pixels_are_white():
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (*RED, 255))
    assert pixels(saved(image, "PNG"))[0].tolist() == [[255] * 3, list(RED)]


def test_a_transparent_palette_entry_is_white():
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, *RED])
    image.putpixel((1, 0), 1)
    assert pixels(saved(image, "PNG", transparency=0))[0].tolist() == [[255] * 3, list(RED)]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_one_pixel_is_enough(mode):
    kind = "TIFF" if mode == "CMYK" else "PNG"
    assert pixels(saved(Image.new(mode, (1, 1)), kind)).shape == (1, 1, 3)


def bomb():
    """A small PNG file that says it has 400 million pixels."""
    data = bytearray(saved(Image.new("1", (1, 1)), "PNG"))
    data[16:24] = (20_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


def half_bomb():
    """Between Pillow's warning and its error."""
    return saved(Image.new("1", (10_000, 10_000)), "PNG")


JPEG = saved(Image.effect_noise((64, 64), 90).convert("RGB"), "JPEG")
REFUSED = {
    "empty": (b"", "not a picture"),
    "text": (b"file\tcaption\n", "not a picture"),
    "program": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
    "cut off": (JPEG[: len(JPEG) // 2], "damaged, cut off"),
    "cut off PNG": (saved(Image.effect_noise((64, 64), 90), "PNG")[:900], "damaged, cut off"),
    "bomb": (bomb(), "too large .*400000000 pixels"),
    "half a bomb": (half_bomb(), "too large .*100000000 pixels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_readable_picture_is_refused_with_the_reason(name):
    data, reason = REFUSED[name]
    with pytest.raises(UnreadablePicture, match=reason):
        decode(data)


@given(st.integers(2, len(JPEG) - 2), st.binary(min_size=1, max_size=40))
@settings(deadline=None, max_examples=60)
def test_damage_anywhere_is_either_read_or_refused(place, noise):
    data = JPEG[:place] + noise + JPEG[place + len(noise) :]
    try:
        assert decode(data).mode == "RGB"
    except UnreadablePicture as problem:
        assert str(problem)


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=40)
def test_noise_after_the_start_of_a_format_never_crashes(noise):
    for start in (
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        b"II*\0\x08\0\0\0",
        b"BM",
        b"RIFF\0\0\0\0WEBP",
        b"P6 ",
    ):
        with pytest.raises(UnreadablePicture):
            decode(start + noise)


def test_files_that_are_none_are_refused(tmp_path):
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")  # reading it would wait for ever
    for name in ("gone.jpg", "pipe.jpg", "missing.jpg"):
        with pytest.raises(UnreadablePicture, match="not a regular file"):
            read_bytes(tmp_path / name)


def test_a_huge_file_is_not_even_opened(tmp_path):
    with (tmp_path / "huge.tif").open("wb") as file:
        file.truncate(300_000_000)
    with pytest.raises(UnreadablePicture, match="longer than 200,000,000 bytes"):
        read_bytes(tmp_path / "huge.tif")


def test_a_file_that_the_system_refuses_is_told_by_its_reason(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"")

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(UnreadablePicture, match=r"it cannot be read .Permission denied."):
        read_bytes(tmp_path / "a.png")


def test_every_picture_has_a_text_in_its_place(tmp_path):
    assert Photograph(tmp_path / "a.png", "a.png", caption="a bee").alt == "a bee"
    assert re.search("a.png", Photograph(tmp_path / "a.png", "a.png").alt)
