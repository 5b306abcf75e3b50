"""Named runs of the small CLIP, and their records: `python -m a3lib.lab.clip_runs --help`."""

import argparse
import functools
import hashlib
import random
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from a3lib.clip import scenes
from a3lib.clip.contrastive import ContrastiveSettings, train
from a3lib.clip.emoji import FOLDER, STYLES, EmojiBatches, drawn, emoji
from a3lib.clip.gallery import Gallery
from a3lib.clip.small import SmallClip, Vocabulary, build
from a3lib.common import one_thread, written_by_rename
from a3lib.lab.keys import made_with, run_key
from a3lib.lab.records import append_record, read_records

SCENES = 500  # scenes per question


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
        files = b"".join(path.read_bytes() for path in sorted(FOLDER.glob("*.webp")))
        return run_key(settings, seed, hashlib.sha256(files).hexdigest())


LIVE = ContrastiveSettings()
LONG = replace(LIVE, epochs=100, widths=(64, 128, 256))  # about fifteen minutes of one core


def _runs():
    for style in STYLES:
        yield ClipRun(f"live-{style}", held_out=style)
        yield ClipRun(f"long-{style}", LONG, style, keywords=0.2, seeds=(0, 1, 2))
    for size in (16, 64):
        yield ClipRun(f"live-batch-{size}", replace(LIVE, batch_size=size))
    yield ClipRun("live-fixed", replace(LIVE, learned_temperature=False))
    yield ClipRun("live-adam", replace(LIVE, muon=None))
    drawn_scenes = replace(LIVE, epochs=20)
    yield ClipRun("scenes", drawn_scenes, "scenes")
    yield ClipRun("scenes-hard", drawn_scenes, "scenes", hard_negatives=True)


RUNS = {run.name: run for run in _runs()}


@functools.cache
def vocabulary():
    """The tokens of all names, keywords and scenes: the same in every run."""
    words = [*scenes.COLOURS, *scenes.SHAPES, *scenes.OPPOSITE, "a two three four five crosses"]
    words += [f"{shape}s" for shape in scenes.SHAPES]
    return Vocabulary([*words, *(f"{one.name}, {one.keywords}" for one in emoji())])


def start(run, seed):
    """(untrained model, data) of a run, for `train`."""
    encode = vocabulary().encode
    if run.held_out == "scenes":
        data = scenes.SceneBatches(encode, 15, run.hard_negatives)
    else:
        styles = [style for style in STYLES if style != run.held_out]
        data = EmojiBatches(styles, encode, run.keywords)
    return build(run.settings, vocabulary(), seed), data


def picture_ranks(model, pictures, texts):
    """Ranks of picture i of (N, 3, 32, 32) for text i, and of text i for picture i: (2, N)."""
    with torch.no_grad(), one_thread():
        rows = torch.cat([model.model.encode_image(part) for part in pictures.split(256)])
    scores = model.encode_text(texts) @ functional.normalize(rows, dim=-1).T  # (texts, pictures)
    return torch.stack([(s >= s.diagonal()[:, None]).sum(1) for s in (scores, scores.T)])


def measure_emoji(model, style):
    """Recall in a style among all emoji that may be trained on; the withheld ones among all."""
    shown = torch.tensor([not one.withheld for one in emoji()])
    names, pictures = [one.name for one in emoji()], drawn(style) / 255
    kept = [name for name, use in zip(names, shown, strict=True) if use]
    of_texts, of_pictures = picture_ranks(model, pictures[shown], kept)
    found = {f"recall@{k}": (of_texts <= k).double().mean().item() for k in (1, 5)}
    found |= {f"name@{k}": (of_pictures <= k).double().mean().item() for k in (1, 5)}
    withheld = picture_ranks(model, pictures, names)[0][~shown]
    return found | {"withheld ranks": withheld.tolist(), "chance": 1 / len(kept)}


def measure_photographs(model):
    """Recall of the gallery's photographs by their labels, for a model that saw none."""
    gallery = Gallery(model, cache=None)
    labels = [photograph.label for photograph in gallery.photographs]
    scores = gallery.scores(labels)
    ranks = (scores >= scores.diagonal()[:, None]).sum(1)
    found = {f"photographs@{k}": (ranks <= k).double().mean().item() for k in (1, 5)}
    return found | {"photographs chance": 1 / len(labels)}


def measure_scenes(model, seed):
    """Shares of right answers, and those of chance, to questions on freshly drawn scenes."""
    rng = random.Random(f"questions {seed}")
    every = [scenes.Scene((colour, shape)) for colour in scenes.COLOURS for shape in scenes.SHAPES]
    pairs, things = sorted(scenes.PAIRS), [one.thing for one in every if not one.withheld]
    relations = [scenes.random_scene(rng, "relation") for _ in range(SCENES)]
    unseen = []
    for shape, relation, other in sorted(scenes.RELATIONS) * (SCENES // len(scenes.RELATIONS)):
        one = scenes.random_scene(rng, "relation")
        thing, second = (one.thing[0], shape), (one.other[0], other)
        if not {thing, second} & scenes.PAIRS:
            unseen.append(scenes.Scene(thing, 1, relation, second))
    counts = [scenes.Scene(rng.choice(things), rng.randint(1, 5)) for _ in range(SCENES)]
    numbers = [[one._replace(count=count) for count in range(1, 6)] for one in counts]
    questions = {
        "seen pairs": [(scenes.Scene(rng.choice(things)), every) for _ in range(SCENES)],
        "unseen pairs": [(scenes.Scene(rng.choice(pairs)), every) for _ in range(SCENES)],
        "counts": list(zip(counts, numbers, strict=True)),
        "sides": [(one, [one, scenes.turned(one)]) for one in relations],
        "unseen sides": [(one, [one, scenes.turned(one)]) for one in unseen],
        "colours of two": [(one, [one, scenes.recoloured(one)]) for one in relations],
    }
    found = {}
    for name, asked in questions.items():
        pictures = torch.stack([scene.draw(rng) for scene, _ in asked]) / 255
        with torch.no_grad(), one_thread():
            rows = model.model.encode_image(pictures)
        right = 0
        for row, (scene, answers) in zip(rows, asked, strict=True):
            scores = model.encode_text([one.caption for one in answers]) @ row
            right += answers[scores.argmax()] == scene
        found |= {name: right / len(asked), f"{name} chance": 1 / len(asked[0][1])}
    return found


def record(run, seed, models=None):
    """Train a run, or the named one, and measure it -> its record; `models`: folder of weights."""
    run = RUNS[run] if isinstance(run, str) else run
    begun, cpu = time.perf_counter(), time.process_time()
    model, data = start(run, seed)
    history = train(model, data, run.settings, seed)
    seconds = {"training": round(time.process_time() - cpu, 2)}
    trained = SmallClip(model, vocabulary())
    if run.held_out == "scenes":
        metrics = measure_scenes(trained, seed)
    else:
        metrics = measure_emoji(trained, run.held_out) | measure_photographs(trained)
    metrics["temperature"] = 1 / trained.logit_scale
    if models and not history.interrupted:
        save(model, Path(models, f"{run.name}-{seed}.safetensors"))
    return {
        "run": run.name,
        "seed": seed,
        "key": run.key(seed),
        "settings": asdict(run),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "history": asdict(history),
        "metrics": metrics,
        "seconds": round(time.perf_counter() - begun, 2),
        "processor_seconds": seconds | {"all": round(time.process_time() - cpu, 2)},
        **made_with("open_clip"),
    }


def save(model, path):
    """Store the weights in half precision; the file replaces `path` in one step."""
    halves = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    with written_by_rename(path) as part:
        save_file(halves, part)


def load(run, path):
    """The `SmallClip` of a run, or the named one, with stored weights."""
    run = RUNS[run] if isinstance(run, str) else run
    model = build(run.settings, vocabulary())
    model.load_state_dict(load_file(path))
    return SmallClip(model, vocabulary())


def main(arguments=None):
    """Record runs as far as the file has no record of them, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m a3lib.lab.clip_runs", description="record")
    parser.add_argument("runs", nargs="+", choices=RUNS, metavar="RUN", help=", ".join(RUNS))
    parser.add_argument("--seeds", type=int, nargs="+", help="none: those of each run")
    parser.add_argument("--records", type=Path, required=True, help="file to append to")
    parser.add_argument("--models", type=Path, help="folder in which to keep weights")
    options = parser.parse_args(arguments)
    tasks = [
        (RUNS[name], seed) for name in options.runs for seed in options.seeds or RUNS[name].seeds
    ]
    for run, seed in sorted(tasks, key=lambda task: task[1]):
        if run.key(seed) in {one["key"] for one in read_records(options.records)}:
            continue
        made = record(run, seed, options.models)
        append_record(options.records, made)
        told = [f"{k} {v:.3f}" for k, v in made["metrics"].items() if isinstance(v, float)]
        told = f"{run.name} {seed}: {', '.join(told)}; {made['processor_seconds']['all']:.0f} s"
        sys.stdout.write(told + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
