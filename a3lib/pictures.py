"""Picture files of any origin: read as upright RGB, or refused with one line that says why."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = (
    "JPEG",
    "PNG",
    "GIF",
    "WEBP",
    "TIFF",
    "BMP",
    "PPM",
)  # others may start programs (EPS) or need plug-ins
LARGEST_FILE = 200_000_000  # bytes; a longer file is not even opened
LONGEST_SHAPE = 4  # sides beyond 4:1 are cut: models look at the centre square, and enlarging the rest fills the memory


class UnreadablePicture(ValueError):
    """A file that is no picture, or none that can be read safely; the message says why in one line."""


@dataclass(frozen=True)
class Photograph:
    """One picture of a gallery; caption, label and credit (author and licence) are '' for a user's own pictures."""

    path: Path
    name: str  # path within the gallery's folder
    caption: str = ""
    label: str = ""
    credit: str = ""

    @property
    def alt(self):
        """Text in place of the picture."""
        return self.caption or f"the picture {self.name}"

    def image(self):
        """The picture as RGB. Raises UnreadablePicture."""
        return decode(read_bytes(self.path))


def decode(data):
    """Bytes of a file -> RGB image: first frame, turned upright, 16 bits scaled to 8, on white where transparent.

    Raises UnreadablePicture for what is damaged, cut off, not a picture, or has more than Pillow's limit of pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            image.load()
            return _rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as problem:
        raise UnreadablePicture(
            f"not a picture in one of the formats {', '.join(FORMATS)}"
        ) from problem
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as problem:
        raise UnreadablePicture(
            f"more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller first"
        ) from problem
    except (
        Exception
    ) as problem:  # Pillow's decoders raise errors of a dozen kinds for damaged files
        raise UnreadablePicture(
            f"damaged or cut off ({type(problem).__name__}: {problem})"
        ) from problem


def _rgb(image):
    if image.mode.startswith(
        ("I", "F")
    ):  # 16 or 32 bits a pixel: Pillow itself would cut everything above 255 off
        values = np.nan_to_num(np.asarray(image, dtype=np.float64)).clip(0)
        white = max(1.0 if image.mode == "F" else 65535.0, values.max())
        image = Image.fromarray((255 * values / white).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def read_bytes(path):
    """Bytes of a picture file. Raises UnreadablePicture for what is no file, cannot be read, or is far too long."""
    try:
        if not path.is_file():
            raise UnreadablePicture("not a regular file, or a link to a file that is gone")
        if path.stat().st_size > LARGEST_FILE:
            raise UnreadablePicture(f"longer than {LARGEST_FILE:,} bytes; make it smaller first")
        return path.read_bytes()
    except OSError as problem:
        raise UnreadablePicture(f"it cannot be read ({problem.strerror or problem})") from problem
