"""Models by settings: weights from the seed alone, files that come back or are refused."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from handout_classes import HandoutCell
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from tiny_translators import MODELS, difference, logits_of, padded_batch, properties

from a3lib.translation.augmentation import Augmentation
from a3lib.translation.gru import MyGRUCell
from a3lib.translation.models import ModelSettings, build, load_model, save_model, settings_from
from a3lib.translation.modern import ModernSettings
from a3lib.translation.training import TrainingSettings
from a3lib.translation.transformer import BLOCK, TransformerSettings

SMALL = ModelSettings(hidden_size=3)
every_model = pytest.mark.parametrize("name", MODELS)


def same(first, second):
    first, second = first.state_dict(), second.state_dict()
    equal = (torch.equal(first[name], second[name]) for name in first)
    return first.keys() == second.keys() and all(equal)


@properties
@given(st.sampled_from(sorted(MODELS)), st.integers(0, 2**31), st.integers(0, 2**31))
def test_first_weights_depend_on_the_seed_alone_and_leave_the_global_generator(name, seed, noise):
    with torch.random.fork_rng():
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        first = build(MODELS[name], seed)
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(noise + 1)
        assert same(first, build(MODELS[name], seed))
        assert not same(first, build(MODELS[name], seed + 1))


@pytest.mark.parametrize("kind", [MyGRUCell, HandoutCell])
def test_settings_decide_size_and_cell(kind):
    class OwnCell(kind):
        pass

    for chosen in (ModelSettings(hidden_size=7), ModelSettings("rnn-attention", 7)):
        model = build(chosen, 0, OwnCell)
        assert type(model.encoder.gru) is type(model.decoder.rnn) is OwnCell
        assert model.encoder.embedding.weight.shape == (29, 7)
        assert model.decoder.out.weight.shape == (29, 7)


def test_an_own_cell_has_the_first_weights_of_the_librarys():
    own, library = (
        build(ModelSettings(hidden_size=5), 0, kind) for kind in (HandoutCell, MyGRUCell)
    )
    assert same(own, library)


@pytest.mark.parametrize(
    ("chosen", "parameters"),
    [
        (ModelSettings(), 15_485),
        (ModelSettings("rnn-attention", 64), 76_126),
        (ModelSettings("transformer", transformer=BLOCK), 14_429),
        (ModelSettings("transformer", layers=4), 49_277),
        (ModelSettings("transformer", layers=3), 37_661),
        (ModelSettings("transformer", 64, layers=3), 142_877),
    ],
)
def test_published_parameter_counts(chosen, parameters):
    assert sum(parameter.numel() for parameter in build(chosen, 0).parameters()) == parameters


@pytest.mark.parametrize("kind", ["lstm", "", None])
def test_an_unknown_kind_is_refused(kind):
    with pytest.raises(ValueError, match=r"no model .*'gru', 'rnn-attention', 'transformer'"):
        ModelSettings(kind=kind)


# settings as data

SETTINGS = [
    *MODELS.values(),
    ModelSettings("transformer", 12, layers=3, transformer=TransformerSettings("learned", False)),
    ModelSettings("modern", 16, modern=ModernSettings(4, 3, False, False, False)),
]


@pytest.mark.parametrize("chosen", SETTINGS)
def test_settings_come_back_from_json(chosen):
    found = settings_from(json.loads(json.dumps(asdict(chosen))))
    assert found == chosen
    assert hash(found) == hash(chosen)
    assert same(build(found, 0), build(chosen, 0))


@pytest.mark.parametrize(
    "recipe",
    [
        TrainingSettings(),
        TrainingSettings(
            schedule="linear", clip=1.0, muon=0.02, updates_per_epoch=3, weight_decay=1
        ),
        Augmentation(7, listed=0.5),
    ],
)
def test_recipes_come_back_from_json(recipe):
    found = type(recipe)(**json.loads(json.dumps(asdict(recipe))))
    assert found == recipe and hash(found) == hash(recipe)
    assert found != replace(recipe, **{next(iter(asdict(recipe))): 9})


@pytest.mark.parametrize(
    "values",
    [{"size": 3}, {"transformer": {"layers": 3}}, {"modern": {"dropout": 0.1}}],
)
def test_settings_of_an_unknown_name_are_refused(values):
    with pytest.raises(TypeError):
        settings_from(values)


# files


@every_model
def test_a_saved_model_comes_back_to_the_bit(tmp_path, name):
    path = tmp_path / "model.safetensors"
    model = build(MODELS[name], 5)
    with torch.no_grad():
        model.decoder.out.bias[:4] = torch.tensor([-0.0, 1e-40, torch.inf, 1 / 3])
    state = torch.get_rng_state()
    for given_path in (path, str(path)):
        save_model(model, MODELS[name], given_path)
        loaded = load_model(given_path)
        assert same(loaded, model)
        assert loaded.decoder.out.bias[0].signbit()
        assert not loaded.training
    assert torch.equal(torch.get_rng_state(), state)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@every_model
def test_a_loaded_model_has_the_same_logits(tmp_path, name):
    model = build(MODELS[name], 5)
    save_model(model, MODELS[name], tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert difference([logits_of(loaded, padded_batch())], [logits_of(model, padded_batch())]) == 0


def test_saving_makes_folders_and_replaces_an_earlier_model(tmp_path):
    path = tmp_path / "some" / "folder" / "model.safetensors"
    save_model(build(ModelSettings(hidden_size=9), 0), ModelSettings(hidden_size=9), path)
    save_model(build(SMALL, 1), SMALL, path)
    assert same(load_model(path), build(SMALL, 1))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent.safetensors does not exist"):
        load_model(tmp_path / "absent.safetensors")


def weights(**changes):
    return {**build(SMALL, 0).state_dict(), **changes}


def stored(settings):
    """Writes the weights of `SMALL` with these settings."""
    text = settings if isinstance(settings, str) else json.dumps(settings)
    return lambda path: save_file(weights(), path, {"settings": text})


def cut(path):
    save_model(build(SMALL, 0), SMALL, path)
    path.write_bytes(path.read_bytes()[:-40])


NOT_TRANSLATORS = {
    "text": lambda path: path.write_text("this is no model\n", encoding="utf8"),
    "empty": lambda path: path.write_bytes(b""),
    "cut": cut,
    "no settings": lambda path: save_file(weights(), path),
    "settings are no JSON": stored("{"),
    "settings are a list": stored([1, 2]),
    "settings are null": stored("null"),
    "unknown setting": stored({"dropout": 3}),
    "unknown kind": stored({"kind": "lstm"}),
    "unknown attention": stored({"kind": "rnn-attention", "attention": "cosine"}),
    "unknown positions": stored({"kind": "transformer", "transformer": {"positions": "polar"}}),
    "size is text": stored({"hidden_size": "three"}),
    "size is negative": stored({"hidden_size": -3}),
    "another size": stored({"hidden_size": 4}),
    "another kind": stored({"hidden_size": 3, "kind": "transformer"}),
    "no heads": stored({"hidden_size": 3, "kind": "modern", "modern": {"heads": 0}}),
    "attention is a number": stored({"kind": "rnn-attention", "attention": 3}),
    "other tensors": lambda path: save_file(
        {"a": torch.ones(1)}, path, {"settings": json.dumps({"hidden_size": 3})}
    ),
}


@pytest.mark.parametrize("kind", NOT_TRANSLATORS)
def test_another_file_is_refused_in_one_clear_error(tmp_path, kind):
    path = tmp_path / "wrong.safetensors"
    NOT_TRANSLATORS[kind](path)
    with pytest.raises(ValueError, match=r"wrong\.safetensors is not a translator of save_model"):
        load_model(path)
