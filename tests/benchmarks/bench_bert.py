"""A fine-tuning step against the bare forward and backward of transformers: `python tests/benchmarks/bench_bert.py`.

The same batch, weights and dropout settings; calls alternate, medians of the processor seconds of one thread.
"""

import argparse

import torch
from speed import alternate

from a3lib.bert import arithmetic
from a3lib.bert.classifier import BertForSentenceClassification, from_encoder
from a3lib.bert.fine_tuning import FineTuningSettings, freeze, only_used_rows, train_on
from a3lib.bert.heads import Head, SentenceClassifier, encode
from a3lib.bert.probes import features
from a3lib.common import one_thread
from a3lib.optimization import Updates
from a3lib.pretrained.encoders import load_encoder


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    encoder, parts = load_encoder(), arithmetic.split(arithmetic.expressions(), 0)
    data, settings = encode(encoder, parts.train), FineTuningSettings()
    inputs, labels = data.batch(torch.arange(settings.batch_size))
    bare = from_encoder(BertForSentenceClassification, encoder, 0).train()
    ours, frozen = SentenceClassifier(encoder, 0).train(), SentenceClassifier(encoder, 0).train()
    freeze(frozen)
    found = features(encoder, parts.train)
    vectors = found[max(found)[0], "pooler"]
    head = Head(vectors.shape[1], 0)

    def forward_and_backward():
        bare.zero_grad()
        bare(labels=labels, **inputs)[1].backward()

    with one_thread(), only_used_rows(ours, data), only_used_rows(frozen, data):
        steps = [forward_and_backward]
        for model, batch in (
            (ours, inputs),
            (frozen, inputs),
            (head, {"features": vectors[: settings.batch_size]}),
        ):
            updates = Updates(model, settings, per_epoch=1000)
            steps.append(lambda m=model, u=updates, b=batch: train_on(m, [(b, labels)], u, 500))
        times = alternate(steps, repeats)
    names = (
        "bare forward and backward",
        "fine-tuning step",
        "frozen step",
        "step on cached features",
    )
    for name, seconds in zip(names, times, strict=True):
        print(f"{name:26} {1e3 * seconds:8.2f} ms, {seconds / times[0]:.3f} of the bare one")


if __name__ == "__main__":
    main()
