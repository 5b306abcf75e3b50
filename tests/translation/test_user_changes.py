"""What a user changes in a readable class is what trains, with either engine, and what decodes."""

import functools
from types import MethodType

import pytest
import torch
from tiny_translators import (
    EXACT,
    MODELS,
    built,
    difference,
    logits_of,
    padded_batch,
    stepwise,
    trained,
    weights_of,
)
from torch import nn
from torch.nn import functional as F

from a3lib.fast.engine import FastEngine
from a3lib.translation import attention
from a3lib.translation.attention import AdditiveAttention, ScaledDotAttention
from a3lib.translation.batches import EOS, SOS, V, indices
from a3lib.translation.greedy_decoding import translate_words
from a3lib.translation.gru import MyGRUCell
from a3lib.translation.modern import MultiHeadAttention
from a3lib.translation.positional_encoding import OneHotPositions
from a3lib.translation.transformer import DecoderBlock, EncoderBlock
from a3lib.translation.translator import Memory

PARTS = {
    "gru": MyGRUCell,
    "additive": AdditiveAttention,
    "scaled_dot": ScaledDotAttention,
    "transformer": ScaledDotAttention,
    "block": (EncoderBlock, DecoderBlock),
    "modern": MultiHeadAttention,
}
ATTENDING = ("additive", "scaled_dot", "transformer", "block")
DOTS = ("scaled_dot", "transformer", "block")
TRANSFORMERS = ("transformer", "block", "modern")
RECURRENT = ("gru", "additive", "scaled_dot")


def parts(model, name):
    """The modules of the kind that is changed."""
    return [part for part in model.modules() if isinstance(part, PARTS[name])]


def damped(out):
    """What a changed `forward` returns: a state or (context, weights), a little smaller."""
    return (0.8 * out[0], *out[1:]) if isinstance(out, tuple) else 0.8 * out


# every change is made to a list of models of one name


def forward_of_the_class(models, name, monkeypatch):
    for kind in {type(part) for part in parts(models[0], name)}:
        if "forward" in vars(kind):
            own = kind.forward
            monkeypatch.setattr(kind, "forward", lambda *given, own=own: damped(own(*given)))


def decorated_forward(models, name, monkeypatch):
    """A wrapper that passes for what it wraps: it carries its name and leads to its source."""
    for kind in {type(part) for part in parts(models[0], name)}:
        if "forward" in vars(kind):
            own = kind.forward
            wrapper = functools.wraps(own)(lambda *given, own=own: damped(own(*given)))
            monkeypatch.setattr(kind, "forward", wrapper)


def forward_of_one_object(models, name, monkeypatch):
    for model in models:
        part = parts(model, name)[-1]
        kind = type(part)
        part.forward = MethodType(
            lambda self, *given, kind=kind: damped(kind.forward(self, *given)), part
        )


def subclass(models, name, monkeypatch):
    for model in models:
        for part in parts(model, name):
            kind = type(part)

            def forward(self, *given, kind=kind):
                return damped(kind.forward(self, *given))

            part.__class__ = type("Own", (kind,), {"forward": forward})


def dropout(models, name, monkeypatch):
    for model in models:
        for part in parts(model, name):
            kind = type(part)

            def forward(self, x, *given, kind=kind):
                return kind.forward(self, F.dropout(x, 0.3, self.training), *given)

            part.__class__ = type("Dropping", (kind,), {"forward": forward})


def hook(models, name, monkeypatch):
    for model in models:
        parts(model, name)[-1].register_forward_hook(lambda part, given, out: damped(out))


def pre_hook(models, name, monkeypatch):
    for model in models:
        parts(model, name)[0].register_forward_pre_hook(
            lambda part, given: (1.3 * given[0], *given[1:])
        )


def embedding_hook(models, name, monkeypatch):
    for model in models:
        model.encoder.embedding.register_forward_hook(lambda part, given, out: 0.5 * out)


def gradient_hook(models, name, monkeypatch):
    for model in models:
        model.decoder.out.weight.register_hook(torch.zeros_like)


def frozen(models, name, monkeypatch):
    for model in models:
        model.encoder.requires_grad_(False)


def tied_embeddings(models, name, monkeypatch):
    for model in models:
        model.decoder.embedding.weight = model.encoder.embedding.weight


def weight_norm(models, name, monkeypatch):
    for model in models:
        nn.utils.parametrizations.weight_norm(model.decoder.out)


def scaling_factor(models, name, monkeypatch):
    for model in models:
        for part in model.modules():
            if isinstance(part, ScaledDotAttention):
                part.scaling_factor = 3.0


def activation(models, name, monkeypatch):
    for model in models:
        for part in model.modules():
            if isinstance(part, nn.Sequential):
                part[1] = nn.Tanh()


def activation_class(models, name, monkeypatch):
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, x: F.leaky_relu(x, 0.3))


def helper(models, name, monkeypatch):
    own = attention.masked_softmax
    monkeypatch.setattr(
        attention, "masked_softmax", lambda softmax, scores, mask: own(softmax, 3 * scores, mask)
    )


class Sharper(nn.Softmax):
    """A softmax of three times the scores."""

    def forward(self, scores):
        return super().forward(3 * scores)


def softmax(models, name, monkeypatch):
    for model in models:
        for part in model.modules():
            if hasattr(part, "softmax"):
                part.softmax = Sharper(dim=1)


def positions(models, name, monkeypatch):
    for model in models:
        model.encoder.positions = OneHotPositions(MODELS[name].hidden_size).double()


def no_biases(models, name, monkeypatch):
    for model in models:
        for layer in parts(model, name)[0].modules():
            if isinstance(layer, nn.Linear):
                layer.bias = None


def deeper_network(models, name, monkeypatch):
    for model in models:
        layers = model.decoder.attention.attention_network
        generator = torch.Generator().manual_seed(0)
        layer = nn.Linear(6, 6, bias=False).double()
        with torch.no_grad():
            layer.weight.copy_(torch.randn(6, 6, generator=generator))
        model.decoder.attention.attention_network = nn.Sequential(
            *layers[:2], layer, nn.ReLU(), layers[2]
        )


def deeper_mlp(models, name, monkeypatch):
    for model in models:
        for block in (*model.encoder.blocks, *model.decoder.blocks):
            block.mlp.append(nn.ReLU())
            block.mlp.insert(0, nn.ReLU())


def padding_symbol(models, name, monkeypatch):
    """The row of EOS, which every word holds, is not learned."""
    for model in models:
        model.encoder.embedding.padding_idx = EOS


def longest_embedding(models, name, monkeypatch):
    """Longer rows are cut to this norm whenever they are read."""
    for model in models:
        model.encoder.embedding.max_norm = 1.0


def rare_symbols(models, name, monkeypatch):
    """Gradients of a symbol are divided by how often it stands in the batch."""
    for model in models:
        model.encoder.embedding.scale_grad_by_freq = True


EVERY = tuple(MODELS)
CHANGES = {  # change -> models it can be made to, whether it is seen in training only
    forward_of_the_class: (EVERY, False),
    decorated_forward: (EVERY, False),
    forward_of_one_object: (EVERY, False),
    subclass: (EVERY, False),
    dropout: (EVERY, True),
    hook: (EVERY, False),
    pre_hook: (EVERY, False),
    embedding_hook: (EVERY, False),
    gradient_hook: (EVERY, True),
    frozen: (EVERY, True),
    tied_embeddings: (EVERY, False),
    weight_norm: (EVERY, True),
    scaling_factor: (DOTS, False),
    activation: (("additive", *TRANSFORMERS), False),
    activation_class: (("additive", *TRANSFORMERS), False),
    helper: (ATTENDING, False),
    softmax: (ATTENDING, False),
    positions: (("transformer", "block"), False),
    no_biases: (EVERY, False),
    deeper_network: (("additive",), False),
    deeper_mlp: (("transformer", "block"), False),
    padding_symbol: (EVERY, True),
    longest_embedding: (EVERY, False),
    rare_symbols: (EVERY, True),
}


def cases():
    """Every change with every model."""
    for change, (names, _) in CHANGES.items():
        for name in names:
            yield pytest.param(change, name, id=f"{change.__name__}-{name}")


@functools.cache
def untouched(name):
    """Logits of a model, and its weights once it was trained."""
    model = built(name).eval()
    logits = logits_of(model, padded_batch()).detach()
    trained(model)
    return logits, weights_of(model)


@pytest.mark.parametrize(("change", "name"), list(cases()))
def test_a_change_is_what_trains_and_what_decodes(change, name, monkeypatch):
    logits, weights = untouched(name)
    readable, fast = models = [built(name).eval() for _ in range(2)]
    change(models, name, monkeypatch)
    batch, training_only = padded_batch(), CHANGES[change][1]
    changed = logits_of(readable, batch)
    assert difference([stepwise(readable, batch)], [changed]) < EXACT
    moved = difference([changed], [logits])
    assert moved < EXACT if training_only else moved > 1e-6
    trained(readable)
    history = trained(fast, FastEngine)
    assert len(history.notes) <= 1
    found = weights_of(readable)
    assert difference([weights_of(fast)], [found]) < 1e-6
    assert found.shape != weights.shape or difference([found], [weights]) > 1e-6
    assert difference([stepwise(readable, batch)], [logits_of(readable, batch)]) < EXACT
    assert_decodes_as_it_trains(readable.float())


@torch.no_grad()
def assert_decodes_as_it_trains(model):
    """`translate_words` finds the probabilities that teacher forcing gives to its output."""
    words = ["air-conditioning", "a", "quite"]
    for word, found in zip(words, translate_words(model, words), strict=True):
        symbols = [*indices(found.text)[:-1], EOS][: len(found.probabilities)]
        prefix = torch.tensor([[SOS, *symbols[:-1]]])
        chances = model(torch.tensor([indices(word)]), prefix)[0].softmax(1)  # (T, V)
        expected = chances[range(len(symbols)), symbols].tolist()
        assert found.probabilities == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_the_precision_of_the_model_is_that_of_its_training(name):
    """Double and single precision train alike, each with either engine, but not to the bit."""
    single, double = built(name).float(), built(name)
    histories = [trained(model) for model in (single, double)]
    assert [model.decoder.out.weight.dtype for model in (single, double)] == [
        torch.float32,
        torch.float64,
    ]
    assert histories[0].train != histories[1].train
    assert histories[0].train == pytest.approx(histories[1].train, abs=1e-4)
    fast = built(name).float()
    assert trained(fast, FastEngine).train == pytest.approx(histories[0].train, abs=1e-4)
    assert fast.decoder.out.weight.dtype == torch.float32


class OwnEncoder(nn.Module):
    """An encoder of a user, by PyTorch's bidirectional GRU."""

    def __init__(self, H):
        super().__init__()
        self.embedding = nn.Embedding(V, H)
        self.gru = nn.GRU(H, H // 2, batch_first=True, bidirectional=True)

    def forward(self, source, mask=None):
        states, last = self.gru(self.embedding(source))
        return Memory(states, last.transpose(0, 1).flatten(1), mask, source)


@pytest.mark.parametrize("name", MODELS)
def test_an_own_encoder_trains_and_decodes(name):
    models = [built(name) for _ in range(2)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = OwnEncoder(MODELS[name].hidden_size).double()
    for model in models:
        model.encoder = OwnEncoder(MODELS[name].hidden_size).double()
        model.encoder.load_state_dict(encoder.state_dict())
    readable, fast = models
    trained(readable, batches="buckets")
    history = trained(fast, FastEngine, batches="buckets")
    assert len(history.notes) == 1
    assert difference([weights_of(fast)], [weights_of(readable)]) < 1e-6
    batch = padded_batch()
    assert difference([stepwise(readable, batch)], [logits_of(readable, batch)]) < EXACT
