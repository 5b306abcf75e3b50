"""The named runs of the small CLIP: their settings, what they hold out, and their seeds."""

import functools
import hashlib
from dataclasses import dataclass, replace

from a3lib.clip.contrastive import ContrastiveSettings
from a3lib.clip.small import Vocabulary, build
from a3lib.data import scenes
from a3lib.data.emoji import FOLDER, STYLES, EmojiBatches, emoji
from a3lib.lab.keys import run_key
from a3lib.lab.pretrained_towers import put_pretrained, sentence_vocabulary


@dataclass(frozen=True)
class ClipRun:
    """All but the seed, which decides weights, order, augmentation and scenes."""

    name: str
    settings: ContrastiveSettings = ContrastiveSettings()
    held_out: str = "noto"  # the style that is only tested on; 'scenes': drawn scenes, no emoji
    keywords: float = 0.0  # share of the captions that are keywords instead of the name
    hard_negatives: bool = False  # of scenes: twins with the same words in one batch
    seeds: tuple = (0, 1, 2, 3, 4)

    def key(self, seed):
        """The key of a run."""
        settings = replace(self, seeds=())  # which seeds are recorded changes no run
        return run_key(settings, seed, _pictures())


@dataclass(frozen=True)
class TowerRun(ClipRun):
    """The same with towers that begin pretrained."""

    image: bool = False  # EfficientNet-Lite0 in place of the three convolutions
    text: bool = False  # MiniLM in place of the transformer block
    locked: bool = False  # pretrained weights stay; only projections and temperature learn


@functools.cache
def _pictures():
    """Hash of all pictures."""
    files = (path.read_bytes() for path in sorted(FOLDER.glob("*.webp")))
    return hashlib.sha256(b"".join(files)).hexdigest()


LIVE = ContrastiveSettings()
SHORT = replace(LIVE, epochs=6, learning_rate=5e-4)  # a rate that pretrained weights bear, too
LONG = replace(LIVE, epochs=100, widths=(64, 128, 256))  # under fifteen minutes of one core


TOWERS = {
    "none": {},
    "image-locked": {"image": True, "locked": True},
    "image": {"image": True},
    "text-locked": {"text": True, "locked": True},
    "text": {"text": True},
}


def _runs():
    for style in STYLES:
        yield ClipRun(f"live-{style}", held_out=style)
        yield ClipRun(f"long-{style}", LONG, style, keywords=0.2, seeds=(0,))
    for size in (16, 64):  # as many pictures in smaller batches
        yield ClipRun(f"live-batch-{size}", replace(LIVE, batch_size=size))
    yield ClipRun("live-fixed", replace(LIVE, learned_temperature=False))
    for name, towers in TOWERS.items():
        yield TowerRun(f"short-{name}", SHORT, **towers)
    for layers in (1, 2):
        settings, name = replace(LIVE, epochs=20, text_layers=layers), f"scenes-{layers}-layer"
        yield ClipRun(name, settings, "scenes")
        yield ClipRun(f"{name}-hard", settings, "scenes", hard_negatives=True)


CLIP_RUNS = {run.name: run for run in _runs()}


@functools.cache
def vocabulary():
    """The tokens of all names, keywords and scenes: the same in every run."""
    words = [*scenes.COLOURS, *scenes.SHAPES, *scenes.OPPOSITE, "a two three four five crosses"]
    words += [f"{shape}s" for shape in scenes.SHAPES]
    return Vocabulary([*words, *(f"{one.name}, {one.keywords}" for one in emoji())])


def vocabulary_of(run):
    """What makes tokens of the captions of a run."""
    return sentence_vocabulary() if getattr(run, "text", False) else vocabulary()


def start(run, seed):
    """(untrained model, data) of a run, for `contrastive.train`."""
    encode = vocabulary_of(run).encode
    if run.held_out == "scenes":
        data = scenes.SceneBatches(encode, 15, run.hard_negatives)
    else:
        styles = [style for style in STYLES if style != run.held_out]
        data = EmojiBatches(styles, encode, run.keywords)
    model = build(run.settings, vocabulary(), seed)
    return put_pretrained(model, run, seed) if isinstance(run, TowerRun) else model, data
