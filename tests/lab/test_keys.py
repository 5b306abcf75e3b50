"""Keys of runs: everything that decides a result changes them, nothing else does."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, fields, is_dataclass, replace

import pytest

from a3lib.lab import bert_runs, keys, pretraining
from a3lib.lab.bert_runs import CONDITIONS, Condition
from a3lib.lab.keys import made_with, run_key, run_record
from a3lib.lab.runs import RUNS, Run
from a3lib.optimization import History
from a3lib.pretrained.weights import MINILM
from a3lib.translation.augmentation import Augmentation
from a3lib.translation.pairs import load_pairs

RUN = Run("some", augmentation=Augmentation(20))
CONDITION = Condition("some")
# settings that only take certain values
OTHER = {
    "kind": "transformer",
    "positions": "none",
    "validation": "common",
    "engine": "readable",
    "schedule": "one-cycle",
    "monitor": "per_token",
    "longest": 9,
    "data": "large",
}


def changed(value, name):
    """Another value of a setting; of a dataclass one with every field but the first as it was."""
    if name in OTHER:
        return OTHER[name]
    if is_dataclass(value):
        first = fields(value)[0].name
        return replace(value, **{first: changed(getattr(value, first), first)})
    if isinstance(value, str):
        return f"{value}x"
    return not value if isinstance(value, bool) else (value or 0) + 1


def changes(whole, prefix=""):
    """(name, the same settings but for that one), nested settings one by one."""
    for field in fields(whole):
        value = getattr(whole, field.name)
        if is_dataclass(value):
            for name, part in changes(value, f"{prefix}{field.name}."):
                yield name, replace(whole, **{field.name: part})
        elif field.name != "name":
            other = replace(whole, **{field.name: changed(value, field.name)})
            yield f"{prefix}{field.name}", other


@pytest.mark.parametrize("whole", [RUN, CONDITION], ids=["run", "condition"])
def test_every_setting_but_the_name_changes_the_key(whole):
    base = run_key(whole, 0, "data")
    found = {name: run_key(other, 0, "data") for name, other in changes(whole)}
    assert len(found) >= 8 and len({base, *found.values()}) == 1 + len(found)
    assert run_key(replace(whole, name="other"), 0, "data") == base == run_key(whole, 0, "data")
    assert len(base) == 16 and int(base, 16) >= 0


@pytest.mark.parametrize("name", ["data", "longest", "augmentation", "validation"])
def test_settings_of_the_data_change_the_key_with_the_words(name):
    """Also those whose words happen to be the same."""
    base = replace(RUN, augmentation=None)
    other = Augmentation(9) if name == "augmentation" else OTHER[name]
    assert replace(base, **{name: other}).key(0) != base.key(0)


def test_seed_and_data_change_the_key():
    assert len({run_key(RUN, seed, "data") for seed in range(5)}) == 5
    assert run_key(RUN, 0, "data") != run_key(RUN, 0, "other")


def test_a_change_of_one_word_or_of_their_order_changes_a_run_s_key(tmp_path):
    path = tmp_path / "pairs.txt"
    pairs = [list(pair) for pair in load_pairs("small").pairs[:40]]

    def key(content):
        path.write_text("".join(f"{a} {b}\n" for a, b in content), encoding="utf8")
        return Run("some", data=str(path)).key(0)

    base = key(pairs)
    assert key(pairs) == base
    assert key(pairs[:-1]) != base
    assert key([*pairs[:-1], [pairs[-1][0], "otherway"]]) != base
    assert Run("some", data=str(path)).key(0) != Run("some", data=str(path)).key(1)


def test_another_version_of_the_results_changes_every_key(monkeypatch):
    before = [RUNS["gru-small"].key(0), CONDITIONS["brief"].key(0)]
    monkeypatch.setattr(keys, "RESULTS_VERSION", keys.RESULTS_VERSION + 1)
    after = [RUNS["gru-small"].key(0), CONDITIONS["brief"].key(0)]
    assert not set(before) & set(after)


def test_the_weights_and_the_corpus_change_a_condition_s_key(monkeypatch):
    before = {name: CONDITIONS[name].key(0) for name in ("brief", "brief-austen")}
    text = pretraining.corpus
    monkeypatch.setattr(bert_runs, "corpus", lambda name: text(name) + "x")
    assert CONDITIONS["brief-austen"].key(0) != before["brief-austen"]
    assert CONDITIONS["brief"].key(0) == before["brief"]
    monkeypatch.setitem(MINILM.files, "model.safetensors", "0" * 64)
    assert CONDITIONS["brief"].key(0) != before["brief"]


SCRIPT = """
from a3lib.lab.bert_runs import CONDITIONS
from a3lib.lab.runs import RUNS
names = ("gru-small", "fair-gru-large", "recipe-quick")
print([RUNS[name].key(0) for name in names], CONDITIONS["brief-austen"].key(3))
"""


def test_keys_do_not_depend_on_the_hash_seed():
    pipe = {"stdout": subprocess.PIPE, "text": True}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT], env={**os.environ, "PYTHONHASHSEED": seed}, **pipe
        )
        for seed in ("1", "2")
    ]
    first, second = (process.communicate()[0] for process in started)
    assert first == second
    assert CONDITIONS["brief-austen"].key(3) in first
    assert RUNS["recipe-quick"].key(0) in first


def test_what_a_run_was_made_with_is_plain_and_the_same_each_time():
    first = made_with()
    assert json.loads(json.dumps(first)) == first == made_with()
    assert first["machine"].keys() == {"processor", "instructions", "gpu"}
    assert first["machine"]["processor"]
    assert first["versions"].keys() == {"python", "torch", "numpy", "os"}


def test_versions_of_further_packages_are_told_where_asked():
    import sklearn

    assert made_with("sklearn")["versions"]["sklearn"] == sklearn.__version__


def test_a_record_tells_settings_history_seconds_and_what_else_is_given():
    begun, history = time.perf_counter() - 2, History(train=[1.0])
    record = run_record(RUN, 3, "key", history, {"accuracy": 0.5}, begun, ["sklearn"], parameters=7)
    assert json.loads(json.dumps(record)) == record
    assert (record["run"], record["seed"], record["key"]) == ("some", 3, "key")
    assert (record["settings"], record["history"]) == (asdict(RUN), asdict(history))
    assert (record["metrics"], record["parameters"]) == ({"accuracy": 0.5}, 7)
    assert 2 <= record["seconds"] < 60 and "sklearn" in record["versions"]
