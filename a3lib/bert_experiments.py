"""The recorded experiments of Part 3: `python -m a3lib.bert_experiments --help`."""

import argparse
import hashlib
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch

from a3lib import identity, weights
from a3lib.arithmetic import HARDER, expressions, harder, scores, split, split_numbers
from a3lib.bert import SentenceClassifier, encode
from a3lib.bert_cells import CELLS, seeds_of
from a3lib.encoders import load_encoder, random_encoder
from a3lib.pretraining import CORPORA, PretrainingSettings, corpus, pretrain
from a3lib.probes import PROPER, features, regression, train_head
from a3lib.records import append_record, read_records
from a3lib.training import best_device
from a3lib.tuning import TuningSettings, fine_tune, logits_of

CODE = ("arithmetic", "bert", "tuning")  # whose source decides a fine-tuned result; others use more

HEADS = {  # trained heads on cached features: (settings, pooling)
    "head published": (TuningSettings(), "pooler"),
    "head": (PROPER, "pooler"),
    "head mean": (PROPER, "mean"),
}


class Result(NamedTuple):
    """A finished experiment; the model of a probing cell is the last layer's best regression."""

    model: object
    encoder: object
    parts: object
    history: object
    record: dict


def cell_identity(cell, seed):
    """Hash of a cell's settings, seed, network file, text and training code.

    A network from a hub is known by its name alone. Not hashed: how random weights are drawn, and `HEADS`.
    """
    settings = {key: value for key, value in asdict(cell).items() if key != "name"}
    continued = cell.encoder in CORPORA
    data = weights.MINILM.files["model.safetensors"] + (corpus(cell.encoder) if continued else "")
    code = CODE + (("probes",) if cell.probes else ()) + (("pretraining",) if continued else ())
    return identity.run_identity(settings, seed, hashlib.sha256(data.encode()).hexdigest(), code)


def cell_encoder(cell, seed, pretrained=None):
    """(the `Encoder` a cell starts from, losses of its continued pretraining in nats)."""
    if cell.encoder not in ("pretrained", "random", *CORPORA):
        return load_encoder(cell.encoder), []
    pretrained = pretrained or load_encoder()
    if cell.encoder in CORPORA:
        return pretrain(pretrained, PretrainingSettings(cell.encoder), seed)
    return random_encoder(pretrained, seed) if cell.encoder == "random" else pretrained, []


def run(cell, seed, pretrained=None, make=SentenceClassifier, on_epoch=None):
    """Run one cell -> `Result`. `make(encoder, seed, pooling)` builds what is trained."""
    start, cpu = time.perf_counter(), time.process_time()
    parts = (split_numbers if cell.unseen_numbers else split)(expressions(), seed)
    parts = parts._replace(train=parts.train.head(cell.expressions))
    encoder, losses = cell_encoder(cell, seed, pretrained)
    if cell.probes:
        model, history, metrics, training = _probe(encoder, parts, seed)
    else:
        model = make(encoder, seed, cell.pooling).to(best_device())
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not cell.frozen or name.startswith("classifier."))
        train, validation = (encode(encoder, part) for part in parts[:2])
        begun = time.process_time()
        history = fine_tune(model, train, validation, cell.tuning, seed, on_epoch)
        training = time.process_time() - begun
        metrics = {} if len(history) < cell.tuning.epochs else _metrics(encoder, model, parts, seed)
    if losses:
        metrics |= _continued(encoder, losses, parts)
    record = {
        "run": cell.name,
        "seed": seed,
        "identity": cell_identity(cell, seed),
        "settings": asdict(cell),
        "history": asdict(history),
        "metrics": metrics,
        "seconds": round(time.perf_counter() - start, 2),
        "processor_seconds": {
            "all": round(time.process_time() - cpu, 2),
            "training": round(training, 2),
        },
        "machine": identity.machine(),
        "versions": {**identity.versions(), **_versions()},
    }
    return Result(model, encoder, parts, history, record)


def _metrics(encoder, model, parts, seed):
    """Scores of a fine-tuned model."""
    sides = {
        "test": parts.test,
        "validation": parts.validation,
        **{kind: harder(kind, seed) for kind in HARDER},
    }
    predicted = {
        name: (side, logits_of(model, encode(encoder, side)).argmax(1).tolist())
        for name, side in sides.items()
    }
    return _scored(predicted)


def _continued(encoder, losses, parts):
    """Losses of continued pretraining, and accuracy of a probe of the encoder it made (last layer, mean pooling)."""
    vectors = {name: features(encoder, part).of("mean") for name, part in parts._asdict().items()}
    probe = regression(
        vectors, {name: part["label"].to_numpy() for name, part in parts._asdict().items()}
    )
    accuracy = scores(parts.test["label"], probe.predict(vectors["test"].numpy())).accuracy
    return {"pretraining losses": losses, "probe accuracy": accuracy}


def _scored(predicted):
    """Metrics of {side: (table, predicted classes)}; the test side's predictions are kept by published index."""
    metrics = {}
    for side, (table, classes) in predicted.items():
        found, prefix = scores(table["label"], classes), "" if side == "test" else f"{side} "
        metrics |= {f"{prefix}accuracy": found.accuracy, f"{prefix}balanced": found.balanced}
        if side == "test":
            metrics |= {"recall": found.recall, "confusion": found.confusion}
            metrics["predictions"] = [
                [int(index), int(one)] for index, one in zip(table.index, classes, strict=True)
            ]
    return metrics


def _probe(encoder, parts, seed):
    """Probes of a frozen trunk: heads at both learning rates, and a regression on every layer and pooling."""
    sides = {**parts._asdict(), **{kind: harder(kind, seed) for kind in HARDER}}
    begun = time.process_time()
    found = {name: features(encoder, side) for name, side in sides.items()}
    metrics, seconds = {"feature seconds": time.process_time() - begun}, []
    labels = {name: side["label"].to_numpy() for name, side in sides.items()}
    for name, (settings, pooling) in HEADS.items():
        vectors = {side: some.of(pooling) for side, some in found.items()}
        begun = time.process_time()
        head, history = train_head(vectors, labels, settings, seed)
        seconds.append(time.process_time() - begun)
        metrics[name] = scores(
            labels["test"], head(features=vectors["test"])[0].argmax(1).tolist()
        )._asdict()
    models = {}
    for layer, pooling in sorted(found["train"].vectors):
        vectors = {side: some.of(pooling, layer) for side, some in found.items()}
        begun = time.process_time()
        model = models[f"{pooling} {layer}"] = regression(vectors, labels)
        seconds.append(time.process_time() - begun)
        predicted = {
            side: (sides[side], model.predict(vectors[side].numpy()).tolist())
            for side in sides
            if side != "train"
        }
        metrics[f"{pooling} {layer}"] = _scored(predicted)
    chosen = max(models, key=lambda name: metrics[name]["validation accuracy"])
    metrics |= {**metrics[chosen], "chosen": chosen}
    for name in models:
        del metrics[name]["predictions"]  # the chosen one's are enough
    return models[chosen], history, metrics, max(seconds)


def _versions():
    import sklearn
    import transformers

    return {"transformers": transformers.__version__, "scikit-learn": sklearn.__version__}


def sweep(cells, path, seeds=None, on_record=None):
    """Run the cells with their own or the given seeds, as far as the file has no record of them.

    Each record is appended as it comes; an interrupted run leaves none and raises KeyboardInterrupt.
    """
    known, pretrained = {record["identity"] for record in read_records(path)}, load_encoder()
    for cell in cells:
        for seed in seeds_of(cell) if seeds is None else seeds:
            if cell_identity(cell, seed) in known:
                continue
            record = run(cell, seed, pretrained).record
            if len(record["history"]["seconds"]) < record["history"]["epochs"]:
                raise KeyboardInterrupt
            append_record(path, record)
            if on_record:
                on_record(record)


def main(arguments=None):
    """The command line of `sweep`; without names of cells it runs all."""
    parser = argparse.ArgumentParser(
        prog="python -m a3lib.bert_experiments", description="run cells over seeds"
    )
    parser.add_argument("cells", nargs="*", metavar="CELL", help=f"none: all; {', '.join(CELLS)}")
    parser.add_argument("--seeds", type=int, nargs="+", help="none: those of each cell")
    parser.add_argument(
        "--records", type=Path, required=True, help="file that records are appended to"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.cells) - set(CELLS):
        parser.error(f"unknown cells {', '.join(sorted(unknown))}; there are {', '.join(CELLS)}")
    torch.set_num_threads(1)

    def tell(record):
        print(
            record["run"],
            record["seed"],
            record["metrics"]["accuracy"],
            record["processor_seconds"],
            flush=True,
        )

    try:
        sweep(
            [CELLS[name] for name in options.cells or CELLS], options.records, options.seeds, tell
        )
    except KeyboardInterrupt:
        sys.exit("interrupted: the same command goes on from here")


if __name__ == "__main__":
    main()
