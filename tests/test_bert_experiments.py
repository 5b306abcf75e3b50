"""The experiments of Part 3 on a tiny network: records are complete, identities tell runs apart, sweeps go on."""

import json
from dataclasses import replace

import pytest
import torch
from tiny_bert import tiny_encoder

from a3lib import bert_cells, claims, pretraining, tuning, weights
from a3lib import bert_experiments as experiments
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


def test_an_interrupted_sweep_keeps_what_is_whole_and_goes_on(tmp_path, monkeypatch):
    def interrupt(model, data):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiments, "load_encoder", lambda: ENCODER)
    cells, path = [quick("published"), quick("published-random")], tmp_path / "records.jsonl"
    experiments.sweep(cells, path, [0])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tuning, "evaluate", interrupt)
        experiments.sweep(cells, path, [0, 1])
    assert [(record["run"], record["seed"]) for record in read_records(path)] == [
        ("published", 0),
        ("published-random", 0),
    ]
    experiments.sweep(cells, path, [0, 1])
    assert [record["seed"] for record in read_records(path)] == [0, 0, 1, 1]
    experiments.sweep(cells, path, [])
    assert len(read_records(path)) == 4


def test_a_named_encoder_is_loaded_under_its_own_name(monkeypatch):
    asked = []
    monkeypatch.setattr(experiments, "load_encoder", lambda *names: asked.append(names) or tiny_encoder(seed=3))
    result = experiments.run(quick("published", encoder="tbs17/MathBERT"), 0, ENCODER)
    assert asked == [("tbs17/MathBERT",)]
    assert result.encoder is not ENCODER and result.record["settings"]["encoder"] == "tbs17/MathBERT"


def test_a_name_that_nobody_has_is_an_error(monkeypatch):
    monkeypatch.setenv("A3_WEIGHTS", "offline")
    with pytest.raises(weights.WeightsUnavailable, match="no-such/network"):
        experiments.run(quick("published", encoder="no-such/network"), 0, ENCODER)


def candidate_records():
    """One record for each candidate and fresh split, all alike but for a few; the test side says the contrary."""
    validated = {
        ("select-0.0002-20", 30): (0.95, 0.9),  # better in accuracy
        ("select-0.0004-10", 31): (0.9, 0.4),  # as good in accuracy, better in loss
    }
    records = [{"run": "brief", "seed": 30, "metrics": {"validation accuracy": 1.0}, "history": {"loss": [0.1]}}]
    for name in bert_cells.CANDIDATES:
        for seed in bert_cells.FRESH:
            accuracy, loss = validated.get((name, seed), (0.9, 0.5 if name == bert_cells.CANDIDATES[0] else 0.6))
            metrics = {"validation accuracy": accuracy, "accuracy": 1 - accuracy}
            records.append({"run": name, "seed": seed, "metrics": metrics, "history": {"loss": [9.0, loss]}})
    return records


def test_in_every_split_validation_alone_chooses():
    records, first = candidate_records(), bert_cells.CANDIDATES[0]
    expected = [(30, "select-0.0002-20"), (31, "select-0.0004-10"), *((seed, first) for seed in (32, 33, 34))]
    assert [(r["seed"], r["run"]) for r in bert_cells.chosen(records)] == expected
    assert bert_cells.chosen(records[::-1]) == bert_cells.chosen(records)
    other_split = {**records[1], "seed": 0, "metrics": {"validation accuracy": 1.0}}
    assert bert_cells.chosen([*records, other_split]) == bert_cells.chosen(records)


def test_nothing_is_chosen_before_all_candidates_were_run():
    records = candidate_records()
    with pytest.raises(ValueError, match=f"missing: {records[-1]['run']} seed 34"):
        bert_cells.chosen(records[:-1])
    with pytest.raises(KeyError, match=bert_cells.CANDIDATES[-1]):
        bert_cells.chosen([record for record in records if record["run"] != bert_cells.CANDIDATES[-1]])


def test_cells_have_seeds_of_their_own():
    seeds = {name: bert_cells.seeds_of(cell) for name, cell in bert_cells.CELLS.items()}
    assert all(seeds[name] == bert_cells.FRESH for name in bert_cells.CANDIDATES)
    assert seeds["probes-pretrained"] == (0, 1, 2, 3, 4, 30, 31, 32, 33, 34)
    assert len(seeds["published-frozen"]) == 20
    settled = {
        seed for name in seeds if name not in (*bert_cells.CANDIDATES, "probes-pretrained") for seed in seeds[name]
    }
    assert settled.isdisjoint(bert_cells.FRESH)


def test_without_names_the_command_line_runs_every_cell(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(experiments, "sweep", lambda *options: asked.append(options))
    experiments.main(["--records", str(tmp_path / "records.jsonl")])
    ((cells, path, seeds, _),) = asked
    assert cells == list(bert_cells.CELLS.values()) and seeds is None and path == tmp_path / "records.jsonl"
