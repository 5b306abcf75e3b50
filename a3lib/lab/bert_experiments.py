"""Run one condition of Part 3 and measure it."""

import time
from typing import NamedTuple

from a3lib.bert.arithmetic import HARDER, expressions, harder, scores, split
from a3lib.bert.fine_tuning import FineTuningSettings, fine_tune, freeze, logits_of
from a3lib.bert.heads import SentenceClassifier, encode
from a3lib.bert.probes import PROPER, features, regression, train_head
from a3lib.common import best_device
from a3lib.lab.bert_runs import CONDITIONS
from a3lib.lab.keys import run_record
from a3lib.lab.pretraining import CORPORA, PretrainingSettings, pretrain
from a3lib.pretrained.encoders import load_encoder, random_encoder

HEADS = {  # trained heads on cached features: (settings, pooling)
    "head published": (FineTuningSettings(), "pooler"),
    "head": (PROPER, "pooler"),
    "head mean": (PROPER, "mean"),
}


class Result(NamedTuple):
    """A finished condition; the model of a probing one is the best regression."""

    model: object
    encoder: object
    parts: object
    history: object
    record: dict


def make_encoder(condition, seed, pretrained=None):
    """(the `Encoder` that a condition starts from, losses of its continued pretraining in nats)."""
    if condition.encoder not in ("pretrained", "random", *CORPORA):
        return load_encoder(condition.encoder), []
    pretrained = pretrained or load_encoder()
    if condition.encoder in CORPORA:
        return pretrain(pretrained, PretrainingSettings(condition.encoder), seed)
    if condition.encoder == "random":
        return random_encoder(pretrained, seed), []
    return pretrained, []


def run(condition, seed, pretrained=None, make=SentenceClassifier, on_epoch=None):
    """Run a `Condition`, or the named one -> `Result`.

    `make(encoder, seed, pooling)` builds what is trained; its new layer is called `classifier`.
    """
    condition = CONDITIONS[condition] if isinstance(condition, str) else condition
    start, cpu = time.perf_counter(), time.process_time()
    parts = split(expressions(), seed, unseen_numbers=condition.unseen_numbers)
    parts = parts._replace(train=parts.train.head(condition.expressions))
    encoder, losses = make_encoder(condition, seed, pretrained)
    if condition.probes:
        model, history, metrics, training = _probe(encoder, parts, seed)
    else:
        model = make(encoder, seed, condition.pooling).to(best_device())
        if condition.frozen:
            freeze(model)
        train, validation = (encode(encoder, part) for part in parts[:2])
        begun = time.process_time()
        history = fine_tune(model, train, validation, condition.tuning, seed, on_epoch)
        training = time.process_time() - begun
        metrics = {} if history.interrupted else _measured(encoder, model, parts, seed)
    if losses:
        metrics |= _continued(encoder, losses, parts)
    seconds = {"all": round(time.process_time() - cpu, 2), "training": round(training, 2)}
    ran = (condition, seed, condition.key(seed), history, metrics, start)
    record = run_record(*ran, ("transformers", "sklearn"), processor_seconds=seconds)
    return Result(model, encoder, parts, history, record)


def _measured(encoder, model, parts, seed):
    """Scores of a fine-tuned model on test and validation sides and on the harder expressions."""
    sides = {"test": parts.test, "validation": parts.validation}
    sides |= {kind: harder(kind, seed) for kind in HARDER}
    found = {name: logits_of(model, encode(encoder, side)) for name, side in sides.items()}
    return _scored({name: (sides[name], some.argmax(1).tolist()) for name, some in found.items()})


def _continued(encoder, losses, parts):
    """Losses of continued pretraining, and accuracy of a probe of the encoder it made."""
    found, labels = _features(encoder, parts._asdict())
    last = _vectors(found, max(found["train"])[0], "mean")
    predicted = regression(last, labels).predict(last["test"].numpy())
    accuracy = scores(labels["test"], predicted).accuracy
    return {"pretraining losses": losses, "probe accuracy": accuracy}


def _features(encoder, sides):
    """Of {side: table} the features by layer and pooling, see `features`, and the labels."""
    found = {name: features(encoder, side) for name, side in sides.items()}
    return found, {name: side["label"].to_numpy() for name, side in sides.items()}


def _vectors(found, layer, pooling):
    return {side: some[layer, pooling] for side, some in found.items()}


def _scored(predicted):
    """Metrics of {side: (table, classes)}; the test side's predictions by published index, too."""
    metrics = {}
    for side, (table, classes) in predicted.items():
        found, prefix = scores(table["label"], classes), "" if side == "test" else f"{side} "
        metrics |= {f"{prefix}accuracy": found.accuracy, f"{prefix}balanced": found.balanced}
        if side == "test":
            pairs = zip(table.index, classes, strict=True)
            metrics["predictions"] = [[int(index), int(one)] for index, one in pairs]
            metrics |= {"recall": found.recall, "confusion": found.confusion}
    return metrics


def _probe(encoder, parts, seed):
    """Probes of a frozen encoder: trained heads, and a regression on every layer and pooling.

    -> (best regression, history of the last head, metrics, processor seconds of the slowest fit).
    """
    sides = {**parts._asdict(), **{kind: harder(kind, seed) for kind in HARDER}}
    begun = time.process_time()
    found, labels = _features(encoder, sides)
    metrics, seconds, models = {"feature seconds": time.process_time() - begun}, [], {}
    layers = max(layer for layer, _ in found["train"])
    for name, (settings, pooling) in HEADS.items():
        vectors = _vectors(found, layers, pooling)
        begun = time.process_time()
        head, history = train_head(vectors, labels, settings, seed)
        if history.interrupted:
            raise KeyboardInterrupt
        seconds.append(time.process_time() - begun)
        classes = head(features=vectors["test"])[0].argmax(1).tolist()
        metrics[name] = scores(labels["test"], classes)._asdict()
    for layer, pooling in sorted(found["train"]):
        vectors = _vectors(found, layer, pooling)
        begun = time.process_time()
        model = models[f"{pooling} {layer}"] = regression(vectors, labels)
        seconds.append(time.process_time() - begun)
        classes = {side: model.predict(vectors[side].numpy()).tolist() for side in sides}
        kept = {side: (sides[side], classes[side]) for side in sides if side != "train"}
        metrics[f"{pooling} {layer}"] = _scored(kept)
    best = max(models, key=lambda name: metrics[name]["validation accuracy"])
    metrics |= {**metrics[best], "chosen": best}
    for name in models:
        del metrics[name]["predictions"]  # those of the chosen one are enough
    return models[best], history, metrics, max(seconds)
