"""Probes: features are those of the frozen trunk, and linear classifiers on them behave as they should."""

import numpy
import pytest
import torch
from tiny_bert import tiny_encoder

from a3lib import probes
from a3lib.arithmetic import expressions, scores, split, table
from a3lib.bert import POOLINGS, SentenceClassifier, encode
from a3lib.tuning import TuningSettings, logits_of

ENCODER = tiny_encoder()
PARTS = split(expressions(), 0)._asdict()
LABELS = {name: part["label"].to_numpy() for name, part in PARTS.items()}
FEATURES = {name: probes.features(ENCODER, part) for name, part in PARTS.items()}


def vectors(pooling, layer=None):
    return {name: found.of(pooling, layer) for name, found in FEATURES.items()}


@pytest.mark.parametrize("pooling", POOLINGS)
def test_features_are_what_the_whole_classifier_sees(pooling):
    model, part = SentenceClassifier(ENCODER, 0, pooling), PARTS["test"]
    with torch.inference_mode():
        through_head = model.classifier(FEATURES["test"].of(pooling))
    assert torch.allclose(through_head, logits_of(model, encode(ENCODER, part)), atol=1e-5)


def test_features_of_all_layers_do_not_depend_on_the_company():
    mixed = table(["one plus two", "seventy seven minus ninety nine"])
    together, alone = probes.features(ENCODER, mixed), probes.features(ENCODER, mixed.head(1))
    assert sorted(together.vectors) == [
        (0, "cls"),
        (0, "mean"),
        (1, "cls"),
        (1, "mean"),
        *[(2, p) for p in sorted(POOLINGS)],
    ]
    for key, value in alone.vectors.items():
        assert torch.allclose(value, together.vectors[key][:1], atol=1e-5)


def test_layer_zero_is_the_embedding():
    part = PARTS["test"]
    inputs, _ = encode(ENCODER, part).batch(torch.arange(len(part)))
    embedded = ENCODER.model.embeddings(input_ids=inputs["input_ids"])
    assert torch.allclose(embedded.mean(1), FEATURES["test"].of("mean", 0), atol=1e-5)


def test_missing_features_are_named():
    with pytest.raises(KeyError, match="there are no features"):
        FEATURES["test"].of("pooler", 0)


def test_a_regression_finds_a_plane_and_its_strength_is_chosen_on_validation():
    generator = numpy.random.default_rng(0)
    points = {name: torch.tensor(generator.normal(size=(200, 5))) for name in PARTS}
    labels = {name: 2 * (some[:, 0] > some[:, 1]).long().numpy() for name, some in points.items()}
    model = probes.regression(points, labels)
    assert scores(labels["test"], model.predict(points["test"].numpy())).accuracy > 0.95
    noise = {**labels, "validation": generator.permutation(labels["validation"])}
    chosen = [one.named_steps["logisticregression"].C for one in (model, probes.regression(points, noise))]
    assert set(chosen) <= set(probes.STRENGTHS)


def test_the_test_side_decides_nothing():
    one = probes.regression(vectors("mean"), LABELS)
    other = probes.regression(vectors("mean"), {**LABELS, "test": 2 - LABELS["test"]})
    new = vectors("mean")["test"].numpy()
    assert numpy.array_equal(one.predict_proba(new), other.predict_proba(new))


def test_a_head_at_the_published_rate_hardly_moves_and_at_the_proper_one_learns():
    published, slow = probes.train_head(vectors("mean"), LABELS, TuningSettings(), seed=0)
    proper, fast = probes.train_head(vectors("mean"), LABELS, probes.PROPER, seed=0)
    assert slow.updates[-1] == 48 and fast.updates[-1] == 480
    assert fast.train[-1] < 0.8 * slow.train[-1]
    start = probes.Head(16, seed=0).classifier.weight
    assert (published.classifier.weight - start).abs().max() < 0.01 < (proper.classifier.weight - start).abs().max()
