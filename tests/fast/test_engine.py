"""When the fast twin stands in: what is refused, what is noticed, and no deviating update kept."""

import contextlib
import functools
import inspect
import math
import pkgutil
import textwrap
from dataclasses import replace
from importlib import import_module
from types import MethodType

import pytest
import torch
from handout_classes import HandoutCell
from tiny_translators import (
    EXACT,
    MODELS,
    PUBLISHED,
    TINY,
    built,
    difference,
    logits_of,
    padded_batch,
    tiny_data,
    trained,
    weights_of,
)
from torch import nn
from torch.nn import functional as F
from torch.nn.modules import module as torch_module

import a3lib.translation
from a3lib.fast import engine as twin_module
from a3lib.fast.engine import WRITTEN_FOR, FastEngine, NoTwin, Twin, text_hash
from a3lib.fast.logits import fast_logits
from a3lib.translation import attention
from a3lib.translation.attention import ScaledDotAttention
from a3lib.translation.batches import SYMBOLS
from a3lib.translation.gru import MyGRUCell
from a3lib.translation.models import ModelSettings, build
from a3lib.translation.positional_encoding import POSITIONS
from a3lib.translation.training import fit
from a3lib.translation.transformer import DecoderBlock, TransformerSettings

every_model = pytest.mark.parametrize("name", PUBLISHED)
SAME = 1e-8  # largest difference of weights after trainings on two ways in double precision

# the texts


def library_function(name):
    """The function or method of `a3lib.translation` with this qualified name."""
    found = []
    for one in pkgutil.iter_modules(a3lib.translation.__path__):
        module = import_module(f"a3lib.translation.{one.name}")
        owner, _, method = name.rpartition(".")
        holder = getattr(module, owner, None) if owner else module
        function = getattr(holder, method, None)
        if inspect.isfunction(function) and function.__module__ == module.__name__:
            found.append(function)
    (function,) = found
    return function


@pytest.mark.parametrize("name", WRITTEN_FOR)
def test_the_twin_was_written_for_the_text_that_stands_there(name):
    """If this fails: change `fast` as the class was changed, then the hash."""
    function = library_function(name)
    assert function.__qualname__ == name
    assert text_hash(function) == WRITTEN_FOR[name]


def test_every_class_of_a_published_model_is_written_for():
    others = (TransformerSettings(name, causal) for name in POSITIONS for causal in (True, False))
    transformers = [ModelSettings("transformer", 6, transformer=one) for one in others]
    for chosen in (*PUBLISHED.values(), *transformers):
        for part in build(chosen, 0).modules():
            known = type(part) in twin_module.TORCH
            assert known or type(part).forward.__qualname__ in WRITTEN_FOR


def text_of(body):
    """Hash of a function with this body."""
    source = "def forward(self, x):\n" + textwrap.indent(body, "    ")
    lines = {"forward": source}
    namespace = {}
    exec(source, namespace)
    function = namespace["forward"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspect, "getsource", lambda _: lines["forward"])
        return text_hash(function)


def test_comments_and_layout_do_not_count_but_every_operation_does():
    plain = text_of("return x + 1")
    assert text_of('"""Says what."""\n# and why\nreturn (x\n        + 1)') == plain
    assert len({plain, text_of("return x + 2"), text_of("return x - 1"), text_of("y = x + 1")}) == 4


# refusals


def patched_class(model, name, monkeypatch):
    kind = type(part_of(model, name))
    own = kind.forward
    monkeypatch.setattr(kind, "forward", lambda self, *given: own(self, *given))


def patched_object(model, name, monkeypatch):
    part = part_of(model, name)
    part.forward = MethodType(type(part).forward, part)


def patched_subclass(model, name, monkeypatch):
    part = part_of(model, name)
    kind = type(part)
    part.__class__ = type(
        kind.__name__, (kind,), {"forward": lambda self, *given: kind.forward(self, *given)}
    )


def patched_helper(model, name, monkeypatch):
    own = attention.causal_mask
    monkeypatch.setattr(attention, "causal_mask", lambda *given: own(*given))


def forward_hook(model, name, monkeypatch):
    part_of(model, name).register_forward_hook(lambda *_: None)


def forward_pre_hook(model, name, monkeypatch):
    model.decoder.out.register_forward_pre_hook(lambda *_: None)


def backward_hook(model, name, monkeypatch):
    model.decoder.out.register_full_backward_hook(lambda *_: None)


def backward_pre_hook(model, name, monkeypatch):
    model.register_full_backward_pre_hook(lambda *_: None)


def global_forward_hook(model, name, monkeypatch):
    torch_module.register_module_forward_hook(lambda *_: None)


def global_pre_hook(model, name, monkeypatch):
    torch_module.register_module_forward_pre_hook(lambda *_: None)


def global_backward_hook(model, name, monkeypatch):
    torch_module.register_module_full_backward_hook(lambda *_: None)


class Tanh(nn.Module):
    """Another activation."""

    def forward(self, x):
        return torch.tanh(x)


def other_activation(model, name, monkeypatch):
    (model.decoder.attention.attention_network if name == "additive" else _mlp(model))[1] = Tanh()


def torch_activation(model, name, monkeypatch):
    (model.decoder.attention.attention_network if name == "additive" else _mlp(model))[1] = (
        nn.GELU()
    )


def _mlp(model):
    return model.encoder.blocks[0].mlp


class Sharper(nn.Softmax):
    """Another softmax."""

    def forward(self, scores):
        return super().forward(2 * scores)


def other_softmax(model, name, monkeypatch):
    place = (
        model.decoder.attention if "blocks" not in name and hasattr(model.decoder, "rnn") else None
    )
    (place or model.encoder.blocks[0].attention).softmax = Sharper(dim=1)


def half(model, name, monkeypatch):
    model.to(torch.bfloat16)


def mixed(model, name, monkeypatch):
    """One part alone in another precision."""
    model.decoder.out.to(torch.bfloat16)


def without_biases(model, name, monkeypatch):
    for layer in part_of(model, name).modules():
        if isinstance(layer, nn.Linear):
            layer.bias = None


def part_of(model, name):
    """The part that is changed: a cell, an attention or a block."""
    if name == "gru":
        return model.decoder.rnn
    return model.encoder.blocks[0] if name in ("transformer", "block") else model.decoder.attention


ATTENDING = ("additive", "scaled_dot", "transformer", "block")
REFUSED = {
    patched_class: PUBLISHED,
    patched_object: PUBLISHED,
    patched_subclass: PUBLISHED,
    patched_helper: PUBLISHED,
    forward_hook: PUBLISHED,
    forward_pre_hook: PUBLISHED,
    backward_hook: PUBLISHED,
    backward_pre_hook: PUBLISHED,
    global_forward_hook: PUBLISHED,
    global_pre_hook: PUBLISHED,
    global_backward_hook: PUBLISHED,
    other_activation: ("additive", "transformer", "block"),
    torch_activation: ("additive", "transformer", "block"),
    other_softmax: ATTENDING,
    half: PUBLISHED,
    without_biases: ("gru", "scaled_dot", "transformer", "block"),
}


def refused_cases():
    for change, names in REFUSED.items():
        for name in names:
            yield pytest.param(change, name, id=f"{change.__name__}-{name}")


@pytest.fixture
def no_global_hooks(recwarn):
    """Global hooks of a test end with it; PyTorch's warnings about their inputs are expected."""
    yield
    for name in twin_module.HOOKS:
        getattr(torch_module, f"_global{name}").clear()


@pytest.mark.usefixtures("no_global_hooks")
@pytest.mark.parametrize(("change", "name"), list(refused_cases()))
def test_a_model_the_twin_was_not_written_for_is_refused(change, name, monkeypatch):
    model, batch = built(name), padded_batch()
    change(model, name, monkeypatch)
    with pytest.raises(NoTwin):
        Twin(model)(batch.source, batch.prefix, batch.source_mask)


@pytest.mark.usefixtures("no_global_hooks")
@pytest.mark.parametrize(("change", "name"), list(refused_cases()))
def test_training_goes_on_readable_with_one_note(change, name, monkeypatch):
    """From the first update on, so that every bit is that of readable training."""
    readable, fast = built(name), built(name)
    change(readable, name, monkeypatch)
    expected = trained(readable)
    monkeypatch.undo()
    change(fast, name, monkeypatch)
    history = trained(fast, FastEngine)
    assert torch.equal(weights_of(fast), weights_of(readable))
    assert history.train == expected.train and history.validation == expected.validation
    assert len(history.notes) == 1 and expected.notes == []


@every_model
def test_autocast_is_refused(name):
    model, batch = built(name).float(), padded_batch()
    twin = Twin(model)
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(NoTwin):
        twin(batch.source, batch.prefix, batch.source_mask)
    twin(batch.source, batch.prefix, batch.source_mask)
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(NoTwin):
        twin(batch.source, batch.prefix, batch.source_mask)  # it was allowed before


def test_a_modern_model_and_own_cells_are_refused():
    batch = padded_batch()
    for model in (built("modern"), build(MODELS["gru"], 0, cell=HandoutCell)):
        with pytest.raises(NoTwin):
            Twin(model)(batch.source, batch.prefix, batch.source_mask)


@every_model
def test_a_subclass_that_changes_nothing_and_other_attributes_are_no_hindrance(name):
    model, batch = built(name), padded_batch()
    for part in model.modules():
        part.remark = "looked at"
    part = part_of(model, name)
    part.__class__ = type("Renamed", (type(part),), {"extra": 1})
    Twin(model)(batch.source, batch.prefix, batch.source_mask)


# noticing


def watched(model, monkeypatch):
    """A twin of the model, and the list of the comparisons it makes."""
    made, agree = [], Twin.agree
    monkeypatch.setattr(
        Twin, "agree", lambda self, *given: (made.append(given), agree(self, *given))[1]
    )
    return Twin(model), made


@every_model
def test_it_is_compared_before_its_first_use_and_after_a_change_of_what_learns(name, monkeypatch):
    model, batch = built(name), padded_batch()
    twin, made = watched(model, monkeypatch)
    given_batch = (batch.source, batch.prefix, batch.source_mask)
    for _ in range(3):
        twin(*given_batch)
    assert len(made) == 1
    for number, learns in enumerate([False, True], start=2):
        model.encoder.embedding.weight.requires_grad_(learns)
        twin(*given_batch)
        twin(*given_batch)
        assert len(made) == number
    model.decoder.out = nn.Linear(*reversed(model.decoder.out.weight.shape)).double()
    found = twin(*given_batch)
    assert len(made) == 4
    assert difference([found], [logits_of(model, batch)]) < EXACT


NOTICED = [change for change in REFUSED if change not in (patched_helper, without_biases)]


@pytest.mark.usefixtures("no_global_hooks")
@pytest.mark.parametrize(
    ("change", "name"),
    [
        pytest.param(change, name, id=f"{change.__name__}-{name}")
        for change in (*NOTICED, patched_helper)
        for name in REFUSED[change]
    ],
)
def test_a_change_is_noticed_at_the_next_update(change, name, monkeypatch):
    model, batch = built(name), padded_batch()
    twin, given_batch = Twin(model), (batch.source, batch.prefix, batch.source_mask)
    twin(*given_batch)
    change(model, name, monkeypatch)
    with pytest.raises(NoTwin):
        twin(*given_batch)


@every_model
@pytest.mark.usefixtures("no_global_hooks")
@pytest.mark.parametrize("change", [forward_hook, patched_class, patched_object])
def test_what_a_callback_changes_is_what_trains_from_then_on(name, change, monkeypatch):
    weights = []
    for engine in (None, FastEngine):

        def callback(history, model, engine=engine):
            if len(history) == 1:
                part = part_of(model, name)
                if change is forward_hook:
                    part.register_forward_hook(lambda _, given, out: halved(out))
                else:
                    kind = type(part)
                    part.forward = MethodType(
                        lambda self, *given: halved(kind.forward(self, *given)), part
                    )

        model = built(name)
        history = trained(model, engine, callback, epochs=3)
        weights.append(weights_of(model))
        assert len(history.notes) == (engine is not None)
    assert difference(weights[:1], weights[1:]) < SAME
    plain = built(name)
    trained(plain, epochs=3)
    assert difference(weights[:1], [weights_of(plain)]) > 1e-6


def halved(out):
    return (out[0] / 2, *out[1:]) if isinstance(out, tuple) else out / 2


@every_model
def test_a_comparison_leaves_nothing_behind(name):
    model, batch = built(name).train(), padded_batch()
    before, state = weights_of(model), torch.get_rng_state()
    Twin(model)(batch.source, batch.prefix, batch.source_mask)
    assert torch.equal(weights_of(model), before)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_do_not_break_the_comparison(value):
    model, batch = built("gru"), padded_batch()
    with torch.no_grad():
        model.decoder.out.bias[0] = value
    with contextlib.suppress(NoTwin):
        Twin(model)(batch.source, batch.prefix, batch.source_mask)


def test_a_bias_that_has_no_influence_may_learn_alone():
    """The bias of all keys adds the same to all scores; the twin leaves it out."""
    model, batch = built("transformer").requires_grad_(False), padded_batch()
    model.decoder.blocks[0].cross.K.bias.requires_grad_(True)
    with contextlib.suppress(NoTwin):
        Twin(model)(batch.source, batch.prefix, batch.source_mask)


# edits that change nothing at first


def limit(out, largest):
    """Clamp a state, or the context of (context, weights)."""
    if isinstance(out, tuple):
        return (out[0].clamp(-largest, largest), *out[1:])
    return out.clamp(-largest, largest)


def largest_output(name, kind):
    """The largest number that parts of a class give before training, over all words."""
    model, found = built(name), []

    def look(_, given, out):
        found.append(float((out[0] if isinstance(out, tuple) else out).detach().abs().max()))

    for part in model.modules():
        if isinstance(part, kind):
            part.register_forward_hook(look)
    for side in tiny_data():
        logits_of(model, side.batch(torch.arange(len(side))))
    return max(found)


KINDS = {
    "gru": MyGRUCell,
    "additive": MyGRUCell,
    "scaled_dot": ScaledDotAttention,
    "transformer": ScaledDotAttention,
    "block": DecoderBlock,
}
RECIPE = {"epochs": 6, "learning_rate": 0.1, "decay": 0.95}  # the outputs of all kinds grow


def clamp(name, monkeypatch, wrap=lambda own: lambda new: new):
    """States or contexts beyond those of the untrained model are cut."""
    kind, own = KINDS[name], KINDS[name].forward
    largest = 1.01 * largest_output(name, kind)
    monkeypatch.setattr(
        kind, "forward", wrap(own)(lambda self, *given: limit(own(self, *given), largest))
    )


def branch(name, monkeypatch, wrap=lambda own: lambda new: new):
    """After some calls it computes something else."""
    kind, own = KINDS[name], KINDS[name].forward

    def forward(self, *given):
        calls = self.__dict__["calls"] = self.__dict__.get("calls", 0) + 1
        out = own(self, *given)
        return halved(out) if calls > CALLS[name] else out

    monkeypatch.setattr(kind, "forward", wrap(own)(forward))


CALLS = {"gru": 100, "additive": 100, "scaled_dot": 100, "transformer": 12, "block": 12}


def zero_parameter(name, monkeypatch, wrap=lambda own: lambda new: new):
    """A learned multiple of the first input is added; it starts at zero."""
    kind, own, create = KINDS[name], KINDS[name].forward, KINDS[name].__init__

    def init(self, *sizes):
        create(self, *sizes)
        self.share = nn.Parameter(torch.zeros(()))

    def forward(self, x, *given):
        out = own(self, x, *given)
        extra = self.share * x.mean()
        return (out[0] + extra, *out[1:]) if isinstance(out, tuple) else out + extra

    monkeypatch.setattr(kind, "__init__", init)
    monkeypatch.setattr(kind, "forward", wrap(own)(forward))


def noise(name, monkeypatch, wrap=lambda own: lambda new: new):
    """Dropout while training."""
    kind, own = KINDS[name], KINDS[name].forward
    monkeypatch.setattr(
        kind,
        "forward",
        wrap(own)(lambda self, x, *given: own(self, F.dropout(x, 0.3, self.training), *given)),
    )


def assert_trains_as_if_the_twin_had_never_been_asked(name, seed=0, change=None):
    data, models = tiny_data(), []
    recipe = replace(TINY, **RECIPE)
    for engine in (None, FastEngine):
        model = built(name, seed)
        if change:
            change(model)
        history = fit(model, *data, recipe, seed, engine=engine)
        models.append((weights_of(model), history))
    (readable, expected), (fast, history) = models
    assert difference([fast], [readable]) < SAME
    assert history.train == pytest.approx(expected.train, abs=SAME)
    assert len(history.notes) <= 1 and expected.notes == []
    return readable


@pytest.fixture
def unguarded(monkeypatch):
    """Every text passes: only the comparisons and the rollback remain."""
    monkeypatch.setattr(twin_module, "_as_written", lambda function: True)


EDITS = [clamp, branch, zero_parameter, noise]


every_edit = pytest.mark.parametrize("edit", EDITS)


@every_model
@every_edit
def test_an_edit_that_is_neutral_at_first_is_noticed_by_its_text(name, edit, monkeypatch):
    plain = built(name)
    trained(plain, **RECIPE)
    edit(name, monkeypatch)
    weights = assert_trains_as_if_the_twin_had_never_been_asked(name)
    assert (
        weights.shape != weights_of(plain).shape
        or difference([weights], [weights_of(plain)]) > 1e-4
    )


@every_model
@pytest.mark.parametrize(
    "edit", [clamp, zero_parameter, noise]
)  # `branch` counts its calls: only its text tells
@pytest.mark.parametrize("seed", [0, 1])
def test_an_edit_that_is_neutral_at_first_leaves_no_deviating_update(
    name, edit, seed, monkeypatch, unguarded
):
    edit(name, monkeypatch)
    assert_trains_as_if_the_twin_had_never_been_asked(name, seed=seed)


@every_model
@every_edit
def test_a_decorator_that_passes_for_what_it_wraps_leaves_no_deviating_update(
    name, edit, monkeypatch
):
    """`functools.wraps` hands the name and the source of the wrapped function on."""
    edit(name, monkeypatch, wrap=functools.wraps)
    assert_trains_as_if_the_twin_had_never_been_asked(name)


def halving_forward(self, x, h_prev):
    """A cell of a reloaded file: half of what the GRU says."""
    z = torch.sigmoid(self.Wiz(x) + self.Whz(h_prev))
    r = torch.sigmoid(self.Wir(x) + self.Whr(h_prev))
    g = torch.tanh(self.Wih(x) + self.Whh(r * h_prev))
    return ((1 - z) * h_prev + z * g) / 2


def clamping_forward(self, x, h_prev):
    """A cell of a reloaded file: small states are those of the GRU."""
    z = torch.sigmoid(self.Wiz(x) + self.Whz(h_prev))
    r = torch.sigmoid(self.Wir(x) + self.Whr(h_prev))
    g = torch.tanh(self.Wih(x) + self.Whh(r * h_prev))
    return ((1 - z) * h_prev + z * g).clamp(-0.8, 0.8)


@pytest.mark.parametrize("forward", [halving_forward, clamping_forward])
def test_a_reloaded_function_is_what_trains(forward, monkeypatch):
    """IPython's autoreload puts new code into the function object that is there."""
    text_hash(MyGRUCell.forward)
    monkeypatch.setattr(MyGRUCell.forward, "__code__", forward.__code__)
    assert_trains_as_if_the_twin_had_never_been_asked("gru")


def test_a_patched_class_of_pytorch_is_what_trains(monkeypatch):
    """A linear map whose large outputs are cut: the twin calls hardly any of them."""
    own = nn.Linear.forward
    monkeypatch.setattr(nn.Linear, "forward", lambda self, x: own(self, x).clamp(-1.7, 1.7))
    assert_trains_as_if_the_twin_had_never_been_asked("gru")


def test_a_small_change_of_a_class_of_pytorch_trains_too(monkeypatch):
    """Outputs rounded as in quantisation differ by less than the comparison tolerates."""
    own = nn.Linear.forward
    monkeypatch.setattr(nn.Linear, "forward", lambda self, x: own(self, x).half().to(x.dtype))
    assert_trains_as_if_the_twin_had_never_been_asked("gru")


def test_an_edit_that_prevents_divergence_prevents_it_with_the_twin_too(monkeypatch, unguarded):
    """Weights so large that two blocks overflow, but for states that are cut."""
    own = DecoderBlock.forward
    monkeypatch.setattr(
        DecoderBlock, "forward", lambda self, *given: own(self, *given).clamp(-20, 20)
    )
    trainings = []
    for engine in (None, FastEngine):
        model = built("transformer").float().requires_grad_(False)
        model.decoder.blocks.requires_grad_(True)
        history = trained(model, engine, learning_rate=1e10, epochs=2)
        trainings.append((weights_of(model).tolist(), history.train))
    assert trainings[0] == trainings[1]


@pytest.mark.parametrize("name", ["gru", "additive", "scaled_dot"])
@pytest.mark.parametrize(
    "letter",
    ["-", "z", "q"],
)
def test_a_row_of_the_embedding_that_is_not_to_learn_does_not(name, letter):
    """Rare symbols stand in few batches, so that a comparison on others shows nothing."""

    def spare(model):
        model.encoder.embedding.padding_idx = SYMBOLS.index(letter)

    assert_trains_as_if_the_twin_had_never_been_asked(name, change=spare)


# the published recipe


@every_model
def test_an_untouched_model_trains_by_the_twin_alone(name, monkeypatch):
    """No note, and the readable code runs in comparisons and evaluations only."""
    calls = []
    model = built(name)
    readable = built(name)
    trained(readable, **RECIPE)
    monkeypatch.setattr(
        twin_module, "fast_logits", lambda *given: (calls.append(1), fast_logits(*given))[1]
    )
    history = trained(model, FastEngine, **RECIPE)
    assert history.notes == []
    assert len(calls) == 6 * (4 + 2)  # every update, and two comparisons per epoch
    assert difference([weights_of(model)], [weights_of(readable)]) < SAME
