"""Records get a new key only if a seed that is trained again gives what was recorded."""

import copy

import bring_records_over as over
import pytest

OLD = {
    "run": "some",
    "seed": 3,
    "identity": "old",
    "settings": {"encoder": "random", "tuning": {"epochs": 2}, "validation": "split"},
    "history": {
        "loss": [1.0, 0.5],
        "accuracy": [0.1, 0.2],
        "balanced": [0.1, 0.2],
        "updates": [4, 8],
        "seconds": [1.0, 2.0],
    },
    "metrics": {"accuracy": 0.5, "feature seconds": 3.0},
}


def trained(**changes):
    new = copy.deepcopy(over.in_todays_form(OLD))
    new["settings"] = {"encoder": "random", "tuning": {"epochs": 2, "muon": None}}
    new["history"]["seconds"], new["metrics"]["feature seconds"] = [7.0, 9.0], 8.0
    for part, values in changes.items():
        new[part] |= values
    return new


def test_an_equal_seed_brings_all_records_of_its_run_over():
    other = {**OLD, "seed": 4}
    moved = over.bring_over([OLD, other], lambda seed: trained(), lambda seed: f"new-{seed}")
    assert [record["key"] for record in moved] == ["new-3", "new-4"]
    for record in moved:
        assert record["brought_over"]["seed_trained_again"] == 3 and record["brought_over"]["equal"]
        assert record["metrics"] == OLD["metrics"] and "identity" not in record
        assert (
            record["history"]["validation"]["loss"] == [1.0, 0.5] and record["history"]["best"] == 1
        )
        assert record["settings"] == trained()["settings"]


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"metrics": {"accuracy": 0.5 + 1e-12}}, "other results"),
        ({"history": {"best": 0}}, "other results"),
        ({"history": {"validation": {"loss": [1.0, 0.25]}}}, "other results"),
        ({"settings": {"encoder": "pretrained"}}, "settings have changed"),
        ({"settings": {"tuning": {"epochs": 3}}}, "settings have changed"),
    ],
)
def test_a_deviation_refuses_the_run(changes, told):
    with pytest.raises(ValueError, match=told):
        over.bring_over([OLD], lambda seed: trained(**changes), str)


def test_the_other_records_are_asked_for_their_settings_too():
    other = copy.deepcopy({**OLD, "seed": 4})
    other["settings"]["tuning"]["epochs"] = 9
    with pytest.raises(ValueError, match="settings have changed"):
        over.bring_over([OLD, other], lambda seed: trained(), str)
