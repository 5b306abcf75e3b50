"""The experiments of Part 3 on a tiny network: records are complete, identities tell runs apart, sweeps go on."""

import json
from dataclasses import replace

import pytest
import torch
from tiny_bert import tiny_encoder

from a3lib import bert_experiments as experiments
from a3lib import claims, pretraining
from a3lib.arithmetic import expressions, scores
from a3lib.records import of_run, read_records
from a3lib.tuning import TuningSettings

ENCODER = tiny_encoder()
QUICK = TuningSettings(learning_rate=5e-3, epochs=2)


def quick(name, **changes):
    cell = experiments.CELLS[name]
    return replace(cell, tuning=QUICK, expressions=64, **changes)


def test_a_record_is_json_and_holds_what_was_predicted():
    result = experiments.run(quick("brief"), 3, ENCODER)
    record = json.loads(json.dumps(result.record))
    index, predicted = zip(*record["metrics"]["predictions"], strict=True)
    assert list(index) == result.parts.test.index.tolist()
    found = scores(expressions()["label"][list(index)], predicted)
    assert record["metrics"]["accuracy"] == found.accuracy and record["metrics"]["balanced"] == found.balanced
    assert len(result.parts.train) == 64 and record["history"]["updates"] == [2, 4]
    assert {"settings", "seed", "identity", "machine", "versions", "seconds", "processor_seconds"} <= set(record)
    assert {"transformers", "scikit-learn", "torch"} <= set(record["versions"])
    assert {"larger numbers accuracy", "three terms balanced", "validation accuracy"} <= set(record["metrics"])


def test_the_same_cell_and_seed_give_the_same_metrics():
    records = [experiments.run(quick("brief-random"), seed, ENCODER).record["metrics"] for seed in (1, 1, 2)]
    assert records[0] == records[1] != records[2]


def test_a_frozen_cell_trains_the_head_alone():
    model = experiments.run(quick("published-frozen"), 0, ENCODER).model
    for name, value in model.trunk.state_dict().items():
        assert torch.equal(value, ENCODER.model.state_dict()[name]), name


def test_a_random_cell_starts_from_other_weights_of_the_same_shape():
    encoder, losses = experiments.cell_encoder(quick("published-random"), 7, ENCODER)
    pairs = zip(encoder.model.parameters(), ENCODER.model.parameters(), strict=True)
    assert all(a.shape == b.shape for a, b in pairs) and losses == []
    word_vectors = [one.model.embeddings.word_embeddings.weight for one in (encoder, ENCODER)]
    assert not torch.equal(*word_vectors)


def test_a_corpus_cell_tells_its_pretraining(monkeypatch):
    monkeypatch.setattr(pretraining, "corpus", lambda name: "three plus four is seven . " * 5000)
    metrics = experiments.run(quick("brief-austen"), 0, ENCODER).record["metrics"]
    assert len(metrics["pretraining losses"]) == 100 and 0 < metrics["probe accuracy"] <= 1


def test_probes_cover_all_layers_and_keep_one_by_validation():
    record = experiments.run(replace(experiments.CELLS["probes-pretrained"], expressions=64), 0, ENCODER).record
    metrics = record["metrics"]
    probed = [name for name in metrics if isinstance(metrics[name], dict) and "validation accuracy" in metrics[name]]
    assert sorted(probed) == ["cls 0", "cls 1", "cls 2", "mean 0", "mean 1", "mean 2", "pooler 2"]
    assert metrics["validation accuracy"] == max(metrics[name]["validation accuracy"] for name in probed)
    assert metrics["accuracy"] == metrics[metrics["chosen"]]["accuracy"]
    json.dumps(record)


def test_identities_are_of_everything_but_the_name():
    cell = experiments.CELLS["brief"]
    one = experiments.cell_identity(cell, 0)
    assert one == experiments.cell_identity(replace(cell, name="other"), 0)
    others = [experiments.cell_identity(cell, 1), experiments.cell_identity(replace(cell, frozen=True), 0)]
    others += [
        experiments.cell_identity(replace(cell, encoder=name), 0) for name in ("random", "austen", "mathematics")
    ]
    assert len({one, *others}) == 6


def test_a_sweep_goes_on_where_it_stopped_and_its_records_can_be_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(experiments, "load_encoder", lambda: ENCODER)
    cells, path = [quick("published"), quick("published-random")], tmp_path / "records.jsonl"
    experiments.sweep(cells, path, range(3))
    seen = []
    experiments.sweep(cells, path, on_record=seen.append)
    assert [(record["run"], record["seed"]) for record in seen] == [
        (cell.name, seed) for cell in cells for seed in (3, 4)
    ]
    sides = [of_run(read_records(path), cell.name) for cell in cells]
    claim = claims.compare("c", "one beats the other", *sides, "accuracy", 0.02, ["encoder"])
    assert claim.confounders == () and claims.differences(sides[0][0], sides[1][0]) == ["encoder"]


def test_an_interrupted_run_has_no_metrics():
    def interrupt(history):
        raise KeyboardInterrupt

    assert experiments.run(quick("published"), 0, ENCODER, on_epoch=interrupt).record["metrics"] == {}


def test_the_command_line_names_unknown_cells(tmp_path, capsys):
    with pytest.raises(SystemExit):
        experiments.main(["no-such-cell", "--records", str(tmp_path / "records.jsonl")])
    assert "unknown cells no-such-cell" in capsys.readouterr().err


def test_in_every_split_validation_alone_chooses():
    def record(name, seed, accuracy, loss):
        metrics = {"validation accuracy": accuracy, "accuracy": 1 - accuracy}  # the test side says the contrary
        return {"run": name, "seed": seed, "metrics": metrics, "history": {"loss": [9.0, loss]}}

    first, second = [name for name in experiments.CELLS if name.startswith("select-")][:2]
    records = [
        record(first, 30, 0.9, 0.5),
        record(second, 30, 0.95, 0.9),  # better in accuracy
        record(second, 31, 0.9, 0.6),
        record(first, 31, 0.9, 0.4),  # as good in accuracy, better in loss
        record("brief", 30, 1.0, 0.1),  # no candidate
    ]
    assert [(r["seed"], r["run"]) for r in experiments.chosen(records)] == [(30, second), (31, first)]
    assert experiments.chosen(records[::-1]) == experiments.chosen(records)


def test_without_names_the_command_line_runs_every_cell_with_its_own_seeds(tmp_path, monkeypatch):
    asked = []

    def cells_and_seeds(cells, path, seeds, tell):
        asked.extend((cell.name, tuple(seeds or experiments.seeds_of(cell))) for cell in cells)

    monkeypatch.setattr(experiments, "sweep", cells_and_seeds)
    experiments.main(["--records", str(tmp_path / "records.jsonl")])
    seeds = dict(asked)
    assert list(seeds) == list(experiments.CELLS)
    fresh = {name for name in seeds if set(seeds[name]) == set(experiments.FRESH)}
    assert fresh == {name for name in seeds if name.startswith("select-")} | {"probes-fresh"}
    assert len(seeds["published-frozen"]) == 20 and seeds["brief"] == (0, 1, 2, 3, 4)
    others = {seed for name in seeds if name not in fresh for seed in seeds[name]}
    assert others.isdisjoint(experiments.FRESH)
