"""A two-tower model of colours alone: pictures by their mean, captions by their colour words."""

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "white": (255,) * 3,
}


class FakeClip:
    """Counts what it encodes, so that a test can say what was not encoded again."""

    is_clip, context_length, logit_scale = False, 77, 10.0
    label = "This is not CLIP: it knows <colours> only."

    def __init__(self, name="fake", gain=1.0):
        self.name, self.gain, self.pictures, self.forwards, self.texts = name, gain, 0, 0, 0

    def preprocess(self, picture):
        assert picture.mode == "RGB"
        pixels = np.asarray(picture.resize((4, 4)), dtype=np.float32)
        return torch.from_numpy(pixels).permute(2, 0, 1) / 255

    def encode_image(self, images):
        self.pictures += len(images)
        bias = torch.full((len(images), 1), 0.1 * self.gain)
        both = torch.cat([images.mean((2, 3)), bias], dim=1)
        return functional.normalize(both, dim=-1)  # (B, 4)

    def encode_text(self, texts):
        self.forwards += 1
        self.texts += len(texts)
        rows = [
            np.sum([COLOURS.get(word, (9, 9, 9)) for word in text.split()] or [(1, 1, 1)], axis=0)
            for text in texts
        ]
        colour = functional.normalize(torch.tensor(np.array(rows), dtype=torch.float32), dim=-1)
        return functional.normalize(
            torch.cat([colour, torch.full((len(texts), 1), 0.1)], dim=1), dim=-1
        )

    def count_tokens(self, text):
        return len(text.split()) + 2


def paint(folder, colours=tuple(COLOURS), size=(8, 6)):
    """One plain picture for each colour, `<number>-<colour>.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, colour in enumerate(colours):
        Image.new("RGB", size, COLOURS[colour]).save(folder / f"{number}-{colour}.png")
    return folder
