"""Picture files of any origin: read as upright RGB, or refused with one line that says why."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM")  # others may start programs (EPS)
LARGEST_FILE = 200_000_000  # bytes; a longer file is not even opened


class UnreadablePicture(ValueError):
    """A file that cannot be read safely as a picture; the message says why."""


@dataclass(frozen=True)
class Photograph:
    """One picture of a gallery; of a user's own pictures only path and name are known."""

    path: Path
    name: str  # path within the gallery's folder
    caption: str = ""
    label: str = ""
    credit: str = ""  # author and licence

    @property
    def alt(self):
        """Text in place of the picture."""
        return self.caption or f"the picture {self.name}"

    def image(self):
        """The picture as RGB. Raises UnreadablePicture."""
        return decode(read_bytes(self.path))


def read_bytes(path):
    """Bytes of a file. Raises UnreadablePicture if there is none to read or it is far too long."""
    try:
        if not path.is_file():
            raise UnreadablePicture("not a regular file, or a link to a file that is gone")
        if path.stat().st_size > LARGEST_FILE:
            raise UnreadablePicture(f"longer than {LARGEST_FILE:,} bytes; make it smaller first")
        return path.read_bytes()
    except OSError as error:
        raise UnreadablePicture(f"it cannot be read ({error.strerror or error})") from error


def decode(data):
    """Bytes of a file -> RGB: first frame, upright, 16 bits scaled to 8, on white if transparent.

    Raises UnreadablePicture for what is damaged, no picture, or beyond Pillow's limit of pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            image.load()
            return _rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        raise UnreadablePicture(f"not a picture of the formats {', '.join(FORMATS)}") from error
    except Exception as error:  # Pillow's decoders raise errors of a dozen kinds for damaged files
        reason = f"damaged, cut off or too large ({type(error).__name__}: {error})"
        raise UnreadablePicture(reason) from error


def _rgb(image):
    if image.mode.startswith(("I", "F")):  # Pillow itself would cut everything above 255 off
        values = np.nan_to_num(np.asarray(image, dtype=np.float64)).clip(0)
        white = max(1.0 if image.mode == "F" else 65535.0, values.max())
        image = Image.fromarray((255 * values / white).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")
