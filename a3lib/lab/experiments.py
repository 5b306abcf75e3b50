"""Train one named run and measure it: what notebooks call, and what sweeps record."""

import time
from pathlib import Path
from typing import NamedTuple

from torch import nn

from a3lib.common import best_device, one_thread
from a3lib.fast.engine import FastEngine
from a3lib.lab.keys import run_record
from a3lib.lab.runs import RUNS
from a3lib.optimization import Checkpoint, History
from a3lib.translation.attention import CausalScaledDotAttention, ScaledDotAttention
from a3lib.translation.attention_rnn import ATTENTIONS
from a3lib.translation.batches import encode_pairs
from a3lib.translation.gru import MyGRUCell
from a3lib.translation.metrics import predictions, word_accuracy
from a3lib.translation.models import build, save_model
from a3lib.translation.pairs import UNUSUAL, load_pairs
from a3lib.translation.training import fit

GROUPED = ("unseen", "test")  # lists whose right words are recorded by length and first cluster
TRAIN_WORDS = 5000  # training words whose accuracy is measured, in the split's random order
KEPT_EPOCHS = (1, 5, 20, 50)  # whose weights a sweep keeps for seed 0 of the runs below
KEPT_RUNS = ("gru-small", "gru-large", "fair-gru-large", "additive-small", "transformer32-small")
KEPT_RUNS += ("transformer64-small", "fair-transformer64-small")


class Result(NamedTuple):
    """A finished run."""

    model: nn.Module
    history: History
    record: dict


def train(
    run,
    seed,
    cell=MyGRUCell,
    attention=None,
    causal_attention=None,
    on_epoch=None,
    checkpoints=None,
    score=(),
):
    """Train a `Run`, or the named one, on the GPU if there is one, else on a core -> `Result`.

    `cell`, `attention`, `causal_attention`: see `build`; classes of one's own always train anew.
    With a folder `checkpoints` a killed call goes on where it was. `score` names further word lists
    to measure; validation and training words are measured always.
    """
    run = RUNS[run] if isinstance(run, str) else run
    pairs = zip((cell, attention, causal_attention), _library(run.model), strict=True)
    own = any(given not in (None, usual) for given, usual in pairs)
    key = None if own else run.key(seed)
    checkpoint = Checkpoint(Path(checkpoints, f"{key}.pt")) if checkpoints and key else None
    sides, device, start = run.split(seed), best_device(), time.perf_counter()
    engine = FastEngine if run.engine == "fast" else None
    with one_thread():
        model = build(run.model, seed, cell, attention, causal_attention).to(device)
        words = encode_pairs(sides.train).to(device)
        held_out = encode_pairs(sides.validation).to(device)
        history = fit(model, words, held_out, run.training, seed, on_epoch, checkpoint, engine)
        metrics = measure(model, history, words, held_out, score) if history.best >= 0 else {}
    size = sum(parameter.numel() for parameter in model.parameters())
    told = run_record(run, seed, key, history, metrics, start, parameters=size)
    return Result(model, history, told)


def _library(model):
    """The library's classes in the places of cell, attention and causal attention."""
    asked = ATTENTIONS[model.attention] if model.kind == "rnn-attention" else ScaledDotAttention
    return MyGRUCell, asked, CausalScaledDotAttention


def measure(model, history, train_words, validation_words, score=()):
    """Metrics of the kept model; `bucket_mean` is the lowest of all epochs, as in the hand-out."""
    best, validation = history.best, history.validation
    accuracies = {"validation": validation_words, "train": train_words.first(TRAIN_WORDS)}
    accuracies |= {name: encode_pairs(load_pairs(name)) for name in score}
    metrics = {
        "per_token": validation["per_token"][best],
        "bucket_mean": min(validation["bucket_mean"]),
        "final_train": history.train[-1],
        "groups": {},
    }
    for name, words in accuracies.items():
        frame = predictions(model, words)
        metrics[f"{name}_accuracy"] = word_accuracy(frame)
        if name in GROUPED:
            groups = frame.groupby(["letters", "cluster"])["correct"].agg(["sum", "size"])
            rows = [[*key, int(right), int(size)] for key, right, size in groups.itertuples()]
            metrics["groups"][name] = rows
    return metrics


def record_run(run, seed, checkpoints=None, models=None):
    """The record of a run with all its measures; seed 0's weights go to the folder `models`."""
    keep = models and seed == 0
    early = keep and run.name in KEPT_RUNS

    def on_epoch(history, model):
        if early and len(history) in KEPT_EPOCHS:
            save_model(model, run.model, Path(models, f"{run.name}-0-{len(history)}.safetensors"))

    score = GROUPED + (UNUSUAL if run.name.startswith("recipe") else ())
    result = train(run, seed, on_epoch=on_epoch, checkpoints=checkpoints, score=score)
    if keep and not result.history.interrupted:
        save_model(result.model, run.model, Path(models, f"{run.name}-0.safetensors"))
    return result.record
