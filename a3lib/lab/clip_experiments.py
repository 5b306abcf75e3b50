"""Train one named run of the small CLIP and measure it; keep its weights, load them."""

import random
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from a3lib.clip.contrastive import train
from a3lib.clip.gallery import Gallery
from a3lib.clip.small import SmallClip, build
from a3lib.common import written_by_rename
from a3lib.data import scenes
from a3lib.data.emoji import emoji, gallery
from a3lib.lab.clip_runs import CLIP_RUNS, start, vocabulary, vocabulary_of
from a3lib.lab.experiments import Result
from a3lib.lab.keys import run_record

SCENES = 500  # scenes per question


def run(run, seed, on_epoch=None, models=None):
    """Train a `ClipRun`, or the named one -> `Result`, its model a `SmallClip`.

    With a folder `models` seed 0's weights are kept there, in half precision.
    """
    run = CLIP_RUNS[run] if isinstance(run, str) else run
    begun, cpu = time.perf_counter(), time.process_time()
    model, data = start(run, seed)
    history = train(model, data, run.settings, seed, on_epoch)
    training = time.process_time() - cpu
    trained = SmallClip(model, vocabulary_of(run))
    metrics = {"temperature": 1 / trained.logit_scale}
    if run.held_out == "scenes":
        metrics |= measure_scenes(trained, seed)
    else:
        metrics |= measure_emoji(trained, run.held_out) | measure_photographs(trained)
    if models and seed == 0 and not history.interrupted:
        save(model, Path(models, f"{run.name}-0.safetensors"))
    more = {"processor_seconds": {"training": round(training, 2)}}
    more["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    ran = (run, seed, run.key(seed), history, metrics, begun)
    record = run_record(*ran, ["open_clip"], **more)
    return Result(trained, history, record)


def ranks(scores):
    """Rank of column i in row i of (N, N): 1 if it alone is the highest. (N,)"""
    return (scores >= scores.diagonal()[:, None]).sum(1)


def _recall(kind, scores):
    """Shares of the rows of (N, N) whose own column is the first, or among the first five."""
    return {f"{kind}@{k}": (ranks(scores) <= k).double().mean().item() for k in (1, 5)}


def measure_emoji(model, style):
    """Recall in a style among all emoji that may be trained on; ranks of withheld ones among all.

    recall@k: a name finds its picture among its first k; name@k: a picture its name.
    """
    pictures = gallery(model, style)
    scores = pictures.scores([one.name for one in emoji()])  # (N names, N pictures)
    withheld = torch.tensor([one.withheld for one in emoji()])
    shown = scores[~withheld][:, ~withheld]
    found = {"chance": 1 / len(shown), "withheld ranks": ranks(scores)[withheld].tolist()}
    return found | _recall("recall", shown) | _recall("name", shown.T)


def measure_photographs(model):
    """Recall of the gallery's photographs by their labels, for a model that saw none."""
    photographs = Gallery(model, cache=None)
    scores = photographs.scores([one.label for one in photographs.photographs])
    return {"photographs chance": 1 / len(scores), **_recall("photographs", scores)}


def measure_scenes(model, seed):
    """Shares of right answers, and those of chance, to questions on freshly drawn scenes."""
    rng, found = random.Random(f"questions {seed}"), {}
    for name, asked in scenes.questions(rng, SCENES).items():
        pictures = torch.stack([scene.draw(rng) for scene, _ in asked]) / 255
        rows, right = model.encode_image(pictures), 0
        for row, (scene, answers) in zip(rows, asked, strict=True):
            scores = model.encode_text([one.caption for one in answers]) @ row
            right += answers[scores.argmax()] == scene
        found |= {name: right / len(asked), f"{name} chance": 1 / len(asked[0][1])}
    return found


def save(model, path):
    """Store the weights in half precision; the file replaces `path` in one step."""
    halves = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    with written_by_rename(path) as part:
        save_file(halves, part)


def load(run, path):
    """The `SmallClip` of a run, or the named one, with stored weights."""
    run = CLIP_RUNS[run] if isinstance(run, str) else run
    model = build(run.settings, vocabulary())
    model.load_state_dict(load_file(path))
    return SmallClip(model, vocabulary())
