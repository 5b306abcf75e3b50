"""A gallery: the readable pictures of a folder with their features, which are kept in a cache."""

import csv
import hashlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from a3lib.clip.model import BATCH
from a3lib.clip.pictures import Photograph, UnreadablePicture, decode, read_bytes
from a3lib.common import one_thread, written_by_rename

PACKAGED = Path(__file__).parents[1] / "data" / "gallery"
LONGEST_SHAPE = 4  # models look at the centre square: enlarging a long strip fills the memory


def packaged_photographs():
    """The 89 photographs that come with the library."""
    with (PACKAGED / "attribution.tsv").open(encoding="utf8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    credits = [f"{row['author']}, {row['licence']}, resized to 384 px at most" for row in rows]
    parts = [(row["file"], row["caption"], row["label"]) for row in rows]
    return [Photograph(PACKAGED / p[0], *p, c) for p, c in zip(parts, credits, strict=True)]


def photographs_in(folder):
    """A `Photograph` for each file of a folder and its subfolders by name; hidden ones left out."""
    if not folder.is_dir():
        raise NotADirectoryError(f"there is no folder {folder}: give a folder of pictures, or none")
    paths = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if not p.is_dir()}
    return [Photograph(paths[name], name) for name in sorted(paths) if "/." not in f"/{name}"]


class Pictures:
    """`photographs` with their `features` (N, D) of length 1, as a model made them."""

    def __init__(self, model, photographs, features):
        self.model, self.photographs, self.features = model, photographs, features

    def __len__(self):
        return len(self.photographs)

    def index(self, name):
        """Place of a picture by its file name. Raises KeyError naming a few that are there."""
        names = [photograph.name for photograph in self.photographs]
        if name not in names:
            some = ", ".join(names[:5])
            raise KeyError(f"no picture {name!r} in this gallery of {len(self)}; there are {some}")
        return names.index(name)

    def scores(self, texts):
        """Cosine of each text with each picture: (len(texts), N)."""
        return self.model.encode_text(list(texts)) @ self.features.T


class Gallery(Pictures):
    """Pictures with their features: `photographs`, `features` (N, D) of length 1, lines `skipped`.

    Without a folder these are the packaged photographs; with one, its first `limit` files by name.
    Features are kept in the folder `cache` (None: nowhere); `progress(done, total)` is called after
    each file. Raises NotADirectoryError, and ValueError if no picture can be read.
    """

    @one_thread()
    def __init__(self, model, folder=None, limit=1000, cache="runs/features", progress=None):
        listed = packaged_photographs() if folder is None else photographs_in(Path(folder))
        listed = listed[:limit]
        self.model, self.photographs, self.skipped, keys = model, [], [], []
        path = None if cache is None else _cache_file(Path(cache), model)
        known, new = _load(path) if path else {}, {}  # hash of a file -> feature, prepared picture
        stored = len(known)
        for done, photograph in enumerate(listed, start=1):
            try:
                data = read_bytes(photograph.path)
                key = hashlib.sha256(data).hexdigest()
                if key not in known and key not in new:
                    new[key] = model.preprocess(_without_far_ends(decode(data)))
                keys.append(key)
                self.photographs.append(photograph)
            except UnreadablePicture as problem:
                line = f"{photograph.name}: skipped, {problem}"
                self.skipped.append(" ".join(line.split())[:300])
            if len(new) == BATCH or (new and done == len(listed)):
                features = model.encode_image(torch.stack([*new.values()]))
                known, new = known | dict(zip(new, features, strict=True)), {}
            if progress:
                progress(done, len(listed))
        if not keys:
            raise ValueError("\n".join([f"no picture to read in {folder}", *self.skipped[:5]]))
        if path and len(known) > stored:
            with written_by_rename(path) as part, part.open("wb") as file:
                np.savez(file, keys=[*known], features=torch.stack([*known.values()]).numpy())
        self.features = torch.stack([known[key] for key in keys])  # (N, D)


def _without_far_ends(image):
    size = tuple(min(side, LONGEST_SHAPE * min(image.size)) for side in image.size)
    return image if image.size == size else ImageOps.fit(image, size)


def _cache_file(folder, model):
    """Named by the model's answer to a test picture: no other weights meet its features."""
    ramp = np.linspace(0, 255, 96 * 96 * 3).astype(np.uint8).reshape(96, 96, 3)
    answer = model.encode_image(model.preprocess(Image.fromarray(ramp))[None])
    identity = repr((model.name, (1000 * answer).round().int().tolist()))
    return folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.npz"


def _load(path):
    """{hash of a file: feature (D)}; a damaged cache counts as none."""
    try:
        with path.open("rb") as raw, np.load(raw) as file:  # which checks a sum of each part
            return dict(zip(file["keys"].tolist(), torch.from_numpy(file["features"]), strict=True))
    except Exception:  # there is none, or one of many kinds of damage
        return {}
