"""Conditions of Part 3 on a tiny network: what is trained, what is measured, what is told."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from tiny_bert import tiny_encoder

from a3lib.bert.arithmetic import expressions, harder, scores, split
from a3lib.bert.fine_tuning import FineTuningSettings, logits_of
from a3lib.bert.heads import SentenceClassifier, encode
from a3lib.lab import bert_experiments, claims, pretraining
from a3lib.lab.bert_experiments import make_encoder, run
from a3lib.lab.bert_runs import CONDITIONS
from a3lib.pretrained import weights

ENCODER = tiny_encoder()
QUICK = FineTuningSettings(learning_rate=5e-3, epochs=2)


def quick(name, **changes):
    return replace(CONDITIONS[name], tuning=QUICK, expressions=64, **changes)


@pytest.fixture(scope="module")
def brief():
    return run(quick("brief"), 3, ENCODER)


def test_a_record_is_json_and_holds_what_was_predicted(brief):
    record = json.loads(json.dumps(brief.record))
    metrics = record["metrics"]
    index, predicted = zip(*metrics["predictions"], strict=True)
    assert list(index) == brief.parts.test.index.tolist()
    found = scores(expressions()["label"][list(index)], predicted)
    assert (metrics["accuracy"], metrics["balanced"]) == (found.accuracy, found.balanced)
    assert metrics["recall"] == list(found.recall)
    assert (record["run"], record["seed"], record["key"]) == ("brief", 3, quick("brief").key(3))
    assert record["settings"] == asdict(quick("brief"))
    assert record["history"] == asdict(brief.history)
    assert len(brief.parts.train) == 64 and record["history"]["updates"] == [2, 4]
    assert {"machine", "versions", "seconds"} <= record.keys()
    assert {"transformers", "sklearn", "torch"} <= record["versions"].keys()
    spent = record["processor_seconds"]
    assert 0 < spent["training"] <= spent["all"]


def test_all_sides_are_measured_with_the_trained_model(brief):
    sides = {"": brief.parts.test, "validation ": brief.parts.validation}
    sides |= {f"{kind} ": harder(kind, 3) for kind in ("larger numbers", "three terms")}
    for name, table in sides.items():
        classes = logits_of(brief.model, encode(brief.encoder, table)).argmax(1).tolist()
        found = scores(table["label"], classes)
        assert brief.record["metrics"][f"{name}accuracy"] == found.accuracy, name
        assert brief.record["metrics"][f"{name}balanced"] == found.balanced, name
    last = brief.history.validation["accuracy"][-1]
    assert brief.record["metrics"]["validation accuracy"] == last


def test_the_same_condition_and_seed_give_the_same_metrics():
    records = [run(quick("brief-random"), seed, ENCODER).record for seed in (1, 1, 2)]
    metrics = [record["metrics"] for record in records]
    assert metrics[0] == metrics[1] != metrics[2]


def test_the_seed_decides_the_split_and_the_condition_its_size(brief):
    parts = split(expressions(), 3)
    for name in ("validation", "test"):
        assert getattr(brief.parts, name).equals(getattr(parts, name))
    assert brief.parts.train.equals(parts.train.head(64))
    unseen = run(quick("brief-unseen"), 3, ENCODER).parts
    words = [set(" ".join(part["input"]).split()) for part in (unseen.train, unseen.test)]
    assert len(words[1] - words[0]) == 4  # number words that were never trained on


def test_a_frozen_condition_trains_the_head_alone():
    model = run(quick("published-frozen"), 0, ENCODER).model
    for name, value in model.trunk.state_dict().items():
        assert torch.equal(value, ENCODER.model.state_dict()[name]), name
    started = SentenceClassifier(ENCODER, 0).classifier.weight
    assert not torch.equal(model.classifier.weight, started)


def test_the_given_encoder_is_left_as_it_is(brief):
    for name, value in tiny_encoder().model.state_dict().items():
        assert torch.equal(value, ENCODER.model.state_dict()[name]), name


def test_a_random_condition_starts_from_other_weights_of_the_same_shape():
    encoder, losses = make_encoder(quick("published-random"), 7, ENCODER)
    pairs = zip(encoder.model.parameters(), ENCODER.model.parameters(), strict=True)
    assert all(a.shape == b.shape for a, b in pairs) and losses == []
    vectors = [one.model.embeddings.word_embeddings.weight for one in (encoder, ENCODER)]
    assert not torch.equal(*vectors)


def test_a_corpus_condition_tells_its_pretraining(monkeypatch):
    text = "three plus four is seven . " * 5000
    monkeypatch.setattr(pretraining, "corpus", lambda name: text)
    result = run(quick("brief-austen"), 0, ENCODER)
    metrics = result.record["metrics"]
    assert len(metrics["pretraining losses"]) == 100 and 0 < metrics["probe accuracy"] <= 1
    assert metrics["pretraining losses"][-1] < metrics["pretraining losses"][0]
    assert "austen" in result.encoder.name and "accuracy" in metrics
    json.dumps(result.record)


def test_probes_cover_all_layers_and_keep_one_by_validation():
    result = run(replace(CONDITIONS["probes-pretrained"], expressions=64), 0, ENCODER)
    metrics = json.loads(json.dumps(result.record))["metrics"]
    measured = {name: one for name, one in metrics.items() if isinstance(one, dict)}
    probed = [name for name, one in measured.items() if "validation accuracy" in one]
    assert sorted(probed) == ["cls 0", "cls 1", "cls 2", "mean 0", "mean 1", "mean 2", "pooler 2"]
    best = max(measured[name]["validation accuracy"] for name in probed)
    assert metrics["validation accuracy"] == best
    assert metrics["accuracy"] == measured[metrics["chosen"]]["accuracy"]
    assert set(measured) - set(probed) == {"head published", "head", "head mean"}
    assert len(metrics["predictions"]) == 160
    assert not any("predictions" in measured[name] for name in probed)
    assert result.model.predict(torch.zeros(2, 16).numpy()).shape == (2,)


def test_a_class_of_a_reader_s_own_is_trained():
    made = []

    class Own(SentenceClassifier):
        pass

    def make(encoder, seed, pooling):
        made.append((encoder, seed, pooling))
        return Own(encoder, seed, pooling)

    result = run(quick("brief"), 3, ENCODER, make=make)
    assert made == [(ENCODER, 3, "mean")] and type(result.model) is Own


def test_a_condition_is_found_by_its_name(monkeypatch):
    monkeypatch.setitem(bert_experiments.CONDITIONS, "published", quick("published"))
    assert run("published", 0, ENCODER).record["run"] == "published"
    with pytest.raises(KeyError, match="unpublished"):
        run("unpublished", 0, ENCODER)


def test_an_interrupted_run_has_no_metrics_and_every_epoch_is_told():
    epochs = []

    def interrupt(history):
        epochs.append(len(history))
        raise KeyboardInterrupt

    record = run(quick("published"), 0, ENCODER, on_epoch=interrupt).record
    assert record["metrics"] == {} and record["history"]["interrupted"] and epochs == [1]
    seen = []
    run(quick("published"), 0, ENCODER, on_epoch=lambda history: seen.append(len(history)))
    assert seen == [1, 2]


def test_records_of_conditions_can_be_compared():
    runs = {
        name: [run(quick(name), seed, ENCODER).record for seed in range(5)]
        for name in ("published", "published-random")
    }
    claim = claims.compare(
        "c", "one beats the other", *runs.values(), "accuracy", 0.02, ["encoder"]
    )
    assert (claim.how, claim.confounders) == ("paired, 5 seeds", ())
    sides = [records[0] for records in runs.values()]
    assert claims.differences(*sides) == ["encoder"]


def test_a_named_encoder_is_loaded_under_its_own_name(monkeypatch):
    asked = []

    def load(*names):
        asked.append(names)
        return tiny_encoder(seed=3)

    monkeypatch.setattr(bert_experiments, "load_encoder", load)
    result = run(quick("published", encoder="tbs17/MathBERT"), 0, ENCODER)
    assert asked == [("tbs17/MathBERT",)]
    assert result.encoder is not ENCODER
    assert result.record["settings"]["encoder"] == "tbs17/MathBERT"


def test_without_an_encoder_the_pretrained_one_is_loaded(monkeypatch):
    asked = []
    monkeypatch.setattr(
        bert_experiments, "load_encoder", lambda *names: asked.append(names) or ENCODER
    )
    assert run(quick("published"), 0).encoder is ENCODER
    assert asked == [()]


def test_a_name_that_nobody_has_is_an_error(monkeypatch):
    monkeypatch.setenv("A3_WEIGHTS", "offline")
    with pytest.raises(weights.WeightsUnavailable, match="no-such/network"):
        run(quick("published", encoder="no-such/network"), 0, ENCODER)
