"""A fine-tuning step against the bare forward and backward of transformers: `python tests/benchmarks/bench_bert.py`.

The same batch, weights and dropout settings; calls alternate, medians of the processor seconds of one thread.
"""

import argparse

import torch
from bench_attention import alternate

from a3lib import arithmetic, probes
from a3lib.bert import BertForSentenceClassification, SentenceClassifier, encode, from_encoder
from a3lib.encoders import load_encoder
from a3lib.training import one_thread
from a3lib.tuning import TuningSettings, make_optimizer, only_used_rows, step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    encoder, parts = load_encoder(), arithmetic.split(arithmetic.expressions(), 0)
    data, settings = encode(encoder, parts.train), TuningSettings()
    inputs, labels = data.batch(torch.arange(settings.batch_size))
    bare = from_encoder(BertForSentenceClassification, encoder, 0).train()
    ours, frozen = SentenceClassifier(encoder, 0).train(), SentenceClassifier(encoder, 0).train()
    frozen.trunk.requires_grad_(False)
    vectors = probes.features(encoder, parts.train).of("pooler")
    head = probes.Head(vectors.shape[1], 0)

    def forward_and_backward():
        bare.zero_grad()
        bare(labels=labels, **inputs)[1].backward()

    with one_thread(), only_used_rows(ours, data), only_used_rows(frozen, data):
        steps = [forward_and_backward]
        for model, batch in ((ours, inputs), (frozen, inputs), (head, {"features": vectors[: settings.batch_size]})):
            optimizer = make_optimizer(model, settings)
            steps.append(lambda m=model, o=optimizer, b=batch: step(m, o, b, labels, settings.clip))
        times = alternate(steps, repeats)
    names = ("bare forward and backward", "fine-tuning step", "frozen step", "step on cached features")
    for name, seconds in zip(names, times, strict=True):
        print(f"{name:26} {1e3 * seconds:8.2f} ms, {seconds / times[0]:.3f} of the bare one")


if __name__ == "__main__":
    main()
