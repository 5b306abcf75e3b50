"""A gallery: the readable pictures of a folder, each encoded once by a model and found again in a cache afterwards."""

import csv
import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from a3lib.pictures import LONGEST_SHAPE, Photograph, UnreadablePicture, decode, read_bytes
from a3lib.training import one_thread

PACKAGED = Path(__file__).parent / "data" / "gallery"


def _listing(folder, limit):
    if folder is None:
        with (PACKAGED / "attribution.tsv").open(encoding="utf8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))[:limit]
        credits = [f"{row['author']}, {row['licence']}, resized to 384 px at most" for row in rows]
        return [
            Photograph(PACKAGED / row["file"], row["file"], row["caption"], row["label"], credit)
            for row, credit in zip(rows, credits, strict=True)
        ]
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(
            f"there is no folder {folder}: give a folder of pictures, or none for the packaged ones"
        )
    names = {
        path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()
    }
    shown = sorted(
        name for name in names if not any(part.startswith(".") for part in name.split("/"))
    )
    return [Photograph(names[name], name) for name in shown[:limit]]


class Gallery:
    """Pictures with their features: `photographs`, `features` (N, D) of unit length, `skipped` (a line for each).

    Without a folder these are the packaged photographs; with one, its first `limit` files by name, subfolders included.
    Features are computed picture by picture on one thread, so that equal pictures get equal bits, and kept in the
    folder `cache` (None: nowhere). `progress(done, total)` is called as pictures are done. Raises NotADirectoryError,
    and ValueError if no picture can be read.
    """

    def __init__(
        self,
        model,
        folder=None,
        limit=1000,
        cache="runs/features",
        progress=lambda done, total: None,
    ):
        self.model, self.photographs, self.skipped, rows = model, [], [], []
        listed = _listing(folder, limit)
        store = FeatureStore(cache, model)
        for number, photograph in enumerate(listed, start=1):
            try:
                rows.append(store.feature(read_bytes(photograph.path)))
                self.photographs.append(photograph)
            except UnreadablePicture as problem:
                self.skipped.append(
                    " ".join(f"{photograph.name}: skipped, {problem}".split())[:300]
                )
            progress(number, len(listed))
        store.save()
        if not rows:
            raise ValueError(
                "\n".join([f"no picture could be read in {folder}", *self.skipped[:5]])
            )
        self.features = torch.stack(rows)  # (N, D)

    def __len__(self):
        return len(self.photographs)

    def index(self, name):
        """Place of a picture by its file name. Raises KeyError naming a few that are there."""
        names = [photograph.name for photograph in self.photographs]
        if name not in names:
            raise KeyError(
                f"no picture {name!r} in this gallery of {len(self)}; there are {', '.join(names[:5])}, ..."
            )
        return names.index(name)

    def scores(self, texts):
        """Cosine of each text with each picture: one forward of the text tower, one product -> (len(texts), N)."""
        with one_thread(), torch.inference_mode():
            return self.model.encode_text(list(texts)) @ self.features.T


class FeatureStore:
    """Features of one model by the hash of the picture's file; one safetensors file, replaced in one rename.

    The file's name holds the model's answer to a test picture: other weights or preprocessing never meet old features.
    A damaged file counts as none.
    """

    def __init__(self, folder, model):
        self.model, self.path, self.changed = model, None, False
        if folder is not None:
            ramp = np.linspace(0, 255, 96 * 96 * 3).astype(np.uint8).reshape(96, 96, 3)
            answer = (1000 * self._encode(Image.fromarray(ramp))).round().int().tolist()
            identity = hashlib.sha256(repr((model.name, answer)).encode()).hexdigest()[:16]
            self.path = Path(folder) / f"{identity}.safetensors"
        self.features = self._load()

    def feature(self, data):
        """Feature (D) of a picture file's bytes. Raises UnreadablePicture."""
        key = hashlib.sha256(data).hexdigest()
        if key not in self.features:
            self.features[key] = self._encode(decode(data))
            self.changed = True
        return self.features[key]

    def save(self):
        """Write the features if there are new ones."""
        if self.path and self.changed:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part = self.path.with_suffix(f".{os.getpid()}.part")
            save_file(self.features, part, metadata={"sha256": _checksum(self.features)})
            os.replace(part, self.path)

    def _load(self):
        if self.path is None or not self.path.exists():
            return {}
        try:
            with safe_open(self.path, "pt") as file:
                features = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, it is no dict
                return (
                    features if (file.metadata() or {}).get("sha256") == _checksum(features) else {}
                )
        except (SafetensorError, OSError):
            return {}

    def _encode(self, image):
        width, height = (min(side, LONGEST_SHAPE * min(image.size)) for side in image.size)
        image = ImageOps.fit(image, (width, height)) if (width, height) != image.size else image
        with one_thread(), torch.inference_mode():
            return self.model.encode_image(self.model.preprocess(image)[None])[0].clone()  # (D)


def _checksum(features):
    parts = (key.encode() + features[key].numpy().tobytes() for key in sorted(features))
    return hashlib.sha256(b"".join(parts)).hexdigest()
