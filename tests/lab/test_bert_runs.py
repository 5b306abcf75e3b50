"""The conditions of Part 3: their settings and seeds, and the choice of a recipe."""

import json
from dataclasses import FrozenInstanceError, asdict, replace

import pytest

from a3lib.bert.fine_tuning import FineTuningSettings
from a3lib.lab.bert_runs import CANDIDATES, CONDITIONS, FRESH, TWICE, Condition, chosen
from a3lib.lab.pretraining import CORPORA
from a3lib.lab.runs import RUNS


@pytest.mark.parametrize("name", CONDITIONS)
def test_every_condition_is_hashable_and_plain_and_has_its_name(name):
    condition = CONDITIONS[name]
    assert condition.name == name and hash(condition) == hash(replace(condition))
    plain = asdict(condition)
    assert json.loads(json.dumps(plain)) == plain
    assert Condition(**{**plain, "tuning": FineTuningSettings(**plain["tuning"])}) == condition
    with pytest.raises(FrozenInstanceError):
        condition.frozen = True


def test_every_condition_has_a_key_of_its_own_and_a_name_that_no_run_has():
    made = {condition.key(seed) for condition in CONDITIONS.values() for seed in range(3)}
    assert len(made) == 3 * len(CONDITIONS)
    assert not CONDITIONS.keys() & RUNS.keys()


def test_the_published_conditions_have_the_published_settings():
    for name in ("published", "published-frozen", "published-random"):
        condition = CONDITIONS[name]
        assert (condition.pooling, condition.expressions) == ("pooler", 512)
        recipe = condition.tuning
        assert (recipe.learning_rate, recipe.epochs, recipe.batch_size) == (5e-5, 3, 32)
        assert (recipe.schedule, recipe.warm_up, recipe.clip) == ("linear", 0.1, 1.0)
    assert (
        replace(CONDITIONS["published"], name="published-frozen", frozen=True)
        == (CONDITIONS["published-frozen"])
    )


def test_conditions_that_are_compared_change_one_factor():
    brief = CONDITIONS["brief"]
    for encoder in ("random", *CORPORA):
        name = f"brief-{encoder}"
        assert replace(brief, name=name, encoder=encoder) == CONDITIONS[name]
    for size in (128, 256):  # as many updates of fewer expressions
        condition = CONDITIONS[f"brief-{size}"]
        updates = condition.tuning.epochs * condition.expressions
        assert updates == brief.tuning.epochs * brief.expressions
        tuning = replace(condition.tuning, epochs=brief.tuning.epochs)
        assert replace(condition, name="brief", expressions=512, tuning=tuning) == brief
    for name in ("brief", "probes"):
        seen, unseen = CONDITIONS[f"{name}-384"], CONDITIONS[f"{name}-unseen"]
        assert replace(seen, name=unseen.name, unseen_numbers=True) == unseen
        assert seen.expressions == 384


def test_conditions_have_seeds_of_their_own():
    assert all(CONDITIONS[name].seeds == FRESH for name in CANDIDATES)
    assert CONDITIONS["probes-pretrained"].seeds == (0, 1, 2, 3, 4, 30, 31, 32, 33, 34)
    assert len(CONDITIONS["published-frozen"].seeds) == 20
    assert tuple(CONDITIONS["brief-256"].seeds) == (0, 1, 2, 3, 4)
    assert all(tuple(CONDITIONS[name].seeds) == tuple(range(10)) for name in TWICE)
    settled = {
        seed
        for name, condition in CONDITIONS.items()
        if name not in (*CANDIDATES, "probes-pretrained")
        for seed in condition.seeds
    }
    assert settled.isdisjoint(FRESH)


def candidate_records():
    """One record for each candidate and fresh split, alike but for a few.

    The test side says the contrary of the validation side.
    """
    validated = {
        ("select-0.0002-20", 30): (0.95, 0.9),  # better in accuracy
        ("select-0.0004-10", 31): (0.9, 0.4),  # as good in accuracy, better in loss
    }

    def made(name, seed, accuracy, loss):
        metrics = {"validation accuracy": accuracy, "accuracy": 1 - accuracy}
        history = {"validation": {"loss": [9.0, loss]}}
        return {"run": name, "seed": seed, "metrics": metrics, "history": history}

    records = [made("brief", 30, 1.0, 0.1)]
    for name in CANDIDATES:
        for seed in FRESH:
            usual = (0.9, 0.5 if name == CANDIDATES[0] else 0.6)
            records.append(made(name, seed, *validated.get((name, seed), usual)))
    return records


def test_in_every_split_validation_alone_chooses():
    records, first = candidate_records(), CANDIDATES[0]
    best = [(30, "select-0.0002-20"), (31, "select-0.0004-10")]
    expected = [*best, *((seed, first) for seed in range(32, 40))]
    assert [(r["seed"], r["run"]) for r in chosen(records)] == expected
    assert chosen(records[::-1]) == chosen(records)
    other_split = {**records[1], "seed": 0, "metrics": {"validation accuracy": 1.0}}
    assert chosen([*records, other_split]) == chosen(records)


def test_nothing_is_chosen_before_all_candidates_were_run():
    records = candidate_records()
    with pytest.raises(ValueError, match=f"missing: {records[-1]['run']} seed 39"):
        chosen(records[:-1])
    with pytest.raises(KeyError, match=CANDIDATES[-1]):
        chosen([record for record in records if record["run"] != CANDIDATES[-1]])
