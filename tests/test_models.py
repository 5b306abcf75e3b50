"""Models by settings: weights from the seed alone, files that come back to the bit or are refused in one sentence."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from a3lib.gru import MyGRUCell
from a3lib.models import ModelSettings, build, load_model, save_model

SMALL = ModelSettings(hidden_size=3)


def same(first, second):
    first, second = first.state_dict(), second.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@settings(deadline=None, max_examples=10)
@given(hidden_size=st.integers(1, 40), seed=st.integers(0, 2**31), noise=st.integers(0, 2**31))
def test_initial_weights_depend_on_the_seed_alone_and_leave_the_global_generator(hidden_size, seed, noise):
    chosen = ModelSettings(hidden_size=hidden_size)
    torch.manual_seed(noise)
    before = torch.get_rng_state()
    first = build(chosen, seed)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(noise + 1)
    assert same(first, build(chosen, seed))
    assert not same(first, build(chosen, seed + 1))


def test_settings_decide_size_and_cell():
    class OwnCell(MyGRUCell):
        pass

    model = build(ModelSettings(hidden_size=7), 0, OwnCell)
    assert type(model.encoder.gru) is type(model.decoder.rnn) is OwnCell
    assert model.encoder.embedding.weight.shape == (29, 7)
    assert model.decoder.out.weight.shape == (29, 7)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"no model 'lstm'.*'gru'"):
        build(ModelSettings(kind="lstm"), 0)


@pytest.mark.parametrize("as_text", [False, True])
def test_a_saved_model_comes_back_to_the_bit(tmp_path, as_text):
    path = tmp_path / "model.safetensors"
    model = build(SMALL, 5)
    with torch.no_grad():
        model.decoder.out.bias[:4] = torch.tensor([-0.0, 1e-40, torch.inf, 1 / 3])
    save_model(model, SMALL, str(path) if as_text else path)
    state = torch.get_rng_state()
    loaded = load_model(str(path) if as_text else path)
    assert same(loaded, model)
    assert loaded.decoder.out.bias[0].signbit()
    assert not loaded.training
    assert torch.equal(torch.get_rng_state(), state)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_saving_replaces_an_earlier_model(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(build(ModelSettings(hidden_size=9), 0), ModelSettings(hidden_size=9), path)
    save_model(build(SMALL, 1), SMALL, path)
    assert same(load_model(path), build(SMALL, 1))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent.safetensors does not exist: train"):
        load_model(tmp_path / "absent.safetensors")


def weights(**changes):
    return {**build(SMALL, 0).state_dict(), **changes}


NOT_TRANSLATORS = {
    "text": lambda path: path.write_text("this is no model\n", encoding="utf8"),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: cut(path),
    "no settings": lambda path: save_file(weights(), path),
    "settings are no JSON": lambda path: save_file(weights(), path, {"settings": "{"}),
    "settings are a list": lambda path: save_file(weights(), path, {"settings": "[1, 2]"}),
    "unknown setting": lambda path: save_file(weights(), path, {"settings": '{"layers": 3}'}),
    "unknown kind": lambda path: save_file(weights(), path, {"settings": '{"kind": "lstm"}'}),
    "size is text": lambda path: save_file(weights(), path, {"settings": '{"hidden_size": "three"}'}),
    "another size": lambda path: save_file(weights(), path, {"settings": json.dumps({"hidden_size": 4})}),
    "other tensors": lambda path: save_file({"a": torch.ones(1)}, path, {"settings": json.dumps({"hidden_size": 3})}),
}


def cut(path):
    save_model(build(SMALL, 0), SMALL, path)
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize("kind", NOT_TRANSLATORS)
def test_another_file_is_refused_in_one_clear_error(tmp_path, kind):
    path = tmp_path / "wrong.safetensors"
    NOT_TRANSLATORS[kind](path)
    with pytest.raises(ValueError, match=r"wrong\.safetensors is not a translator saved by save_model"):
        load_model(path)
