"""What every figure must be: a picture with a title, named axes, a line of text with numbers."""

import io
import re

from PIL import Image

from a3lib.lab.figures.base import bundle


def alt_of(picture):
    """The alt text of a `Picture`; AssertionError where it cannot be drawn or says no number."""
    data, metadata = bundle(picture)
    form = "JPEG" if picture.photographs else "PNG"
    kind = f"image/{form.lower()}"
    image = Image.open(io.BytesIO(data[kind]))
    image.load()
    assert image.format == form and min(image.size) > 150
    assert len(image.convert("L").getcolors()) > 10  # something is drawn
    alt = metadata[kind]["alt"]
    assert data["text/plain"] == alt == f"{picture.title}: {picture.summary}"
    assert "\n" not in alt and re.search(r"\d", picture.summary) and len(picture.summary) > 20
    figure = picture.figure
    assert picture.title and any([figure.get_suptitle(), *(one.get_title() for one in figure.axes)])
    live, metadata = bundle(picture, live=True)
    assert live["text/plain"] == picture.title and metadata[kind]["alt"] == alt
    return alt


def named(axes):
    """Whether both axes say what they show."""
    return bool(axes.get_xlabel() and axes.get_ylabel())


def ticks(axis):
    """The texts at the ticks of an axis."""
    return [label.get_text() for label in axis.get_ticklabels()]
