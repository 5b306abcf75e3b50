"""Probes: features are those of the frozen trunk, and linear classifiers on them behave."""

import numpy
import pytest
import torch
from tiny_bert import tiny_encoder

from a3lib.bert import probes
from a3lib.bert.arithmetic import expressions, scores, split, table
from a3lib.bert.fine_tuning import FineTuningSettings, logits_of
from a3lib.bert.heads import POOLINGS, Head, SentenceClassifier, encode

ENCODER = tiny_encoder()
PARTS = split(expressions(), 0)._asdict()
LABELS = {name: part["label"].to_numpy() for name, part in PARTS.items()}
FEATURES = {name: probes.features(ENCODER, part) for name, part in PARTS.items()}
LAST = 2  # layer


def vectors(pooling, layer=LAST):
    return {name: found[layer, pooling] for name, found in FEATURES.items()}


@pytest.mark.parametrize("pooling", POOLINGS)
def test_features_are_what_the_whole_classifier_sees(pooling):
    model, part = SentenceClassifier(ENCODER, 0, pooling), PARTS["test"]
    with torch.no_grad():
        through_head = model.classifier(FEATURES["test"][LAST, pooling])
    assert torch.allclose(through_head, logits_of(model, encode(ENCODER, part)), atol=1e-5)


def test_features_of_all_layers_do_not_depend_on_the_company():
    mixed = table(["one plus two", "seventy seven minus ninety nine"])
    together, alone = probes.features(ENCODER, mixed), probes.features(ENCODER, mixed.head(1))
    both = {(layer, pooling) for layer in range(3) for pooling in ("cls", "mean")}
    assert set(together) == set(alone) == both | {(LAST, "pooler")}
    for key, value in alone.items():
        assert torch.allclose(value, together[key][:1], atol=1e-5)


def test_layer_zero_is_the_embedding():
    part = PARTS["test"]
    inputs, _ = encode(ENCODER, part).batch(torch.arange(len(part)))
    embedded = ENCODER.model.embeddings(input_ids=inputs["input_ids"])
    assert torch.allclose(embedded.mean(1), FEATURES["test"][0, "mean"], atol=1e-5)


def test_features_have_no_dropout_and_no_gradient():
    ENCODER.model.train()
    again = probes.features(ENCODER, PARTS["test"])
    assert not ENCODER.model.training
    for key, value in again.items():
        assert torch.equal(value, FEATURES["test"][key]) and not value.requires_grad


def test_a_regression_finds_a_plane_and_its_strength_is_chosen_on_validation():
    generator = numpy.random.default_rng(0)
    points = {name: torch.tensor(generator.normal(size=(200, 5))) for name in PARTS}
    labels = {name: 2 * (some[:, 0] > some[:, 1]).long().numpy() for name, some in points.items()}
    model = probes.regression(points, labels)
    predicted = model.predict(points["test"].numpy())
    assert scores(labels["test"], predicted).accuracy > 0.95
    noise = {**labels, "validation": generator.permutation(labels["validation"])}
    chosen = [one[-1].C for one in (model, probes.regression(points, noise))]
    assert set(chosen) <= set(probes.STRENGTHS)


def test_of_equally_good_strengths_the_strongest_penalty_is_chosen():
    points = {name: torch.tensor([[-1.0], [1.0]] * 9, dtype=torch.float64) for name in PARTS}
    labels = {name: numpy.array([0, 2] * 9) for name in PARTS}
    chosen = probes.regression(points, labels)[-1].C
    assert chosen == min(probes.STRENGTHS)


def test_the_test_side_decides_nothing():
    one = probes.regression(vectors("mean"), LABELS)
    other = probes.regression(vectors("mean"), {**LABELS, "test": 2 - LABELS["test"]})
    new = vectors("mean")["test"].numpy()
    assert numpy.array_equal(one.predict_proba(new), other.predict_proba(new))


def test_a_head_at_the_published_rate_hardly_moves_and_at_the_proper_one_learns():
    published, slow = probes.train_head(vectors("mean"), LABELS, FineTuningSettings(), seed=0)
    proper, fast = probes.train_head(vectors("mean"), LABELS, probes.PROPER, seed=0)
    assert slow.updates[-1] == 48 and fast.updates[-1] == 480
    assert fast.train[-1] < 0.8 * slow.train[-1]
    start = Head(16, seed=0).classifier.weight
    moves = [(head.classifier.weight - start).abs().max() for head in (published, proper)]
    assert moves[0] < 0.01 < moves[1]
