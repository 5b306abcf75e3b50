"""The cell against its equations and PyTorch's, the encoder, the decoder, and padding."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_translators import (
    EXACT,
    built,
    difference,
    logits_of,
    padded_batch,
    properties,
    stepwise,
)

from a3lib.translation.batches import IGNORED, V
from a3lib.translation.gru import GRUEncoder, MyGRUCell, RNNDecoder, as_torch_gru
from a3lib.translation.models import ModelSettings, build
from a3lib.translation.translator import Memory


def drawn(kind, *sizes, seed=0, scale=1.0):
    """A float64 module; `scale` above one drives its gates towards saturation."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = kind(*sizes).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(scale)
    return module


def randn(*shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def right_mask(lengths, S):
    return torch.arange(S) < torch.tensor(lengths)[:, None]  # (B, S)


# the cell


def numpy_cell(weights, x, h):
    """The assignment's equations for one word, unit by unit; `weights` maps names to arrays."""

    def pre(name, vector, unit):
        weight, bias = weights[f"{name}.weight"][unit], weights[f"{name}.bias"][unit]
        return float(np.dot(weight, vector)) + float(bias)

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    H = len(h)
    z = np.array([sigmoid(pre("Wiz", x, j) + pre("Whz", h, j)) for j in range(H)])
    r = np.array([sigmoid(pre("Wir", x, j) + pre("Whr", h, j)) for j in range(H)])
    g = np.array([np.tanh(pre("Wih", x, j) + pre("Whh", r * h, j)) for j in range(H)])
    return (1 - z) * h + z * g


sizes = st.integers(1, 6)


@properties
@given(sizes, sizes, sizes, st.sampled_from([0.1, 1.0, 5.0]), st.integers(0, 10**6))
def test_the_cell_follows_the_equations(B, D, H, scale, seed):
    cell, x, h = (
        drawn(MyGRUCell, D, H, seed=seed, scale=scale),
        randn(B, D, seed=seed),
        randn(B, H, seed=seed + 1),
    )
    weights = {name: value.detach().numpy() for name, value in cell.state_dict().items()}
    rows = zip(x.numpy(), h.numpy(), strict=True)
    expected = torch.from_numpy(np.stack([numpy_cell(weights, *row) for row in rows]))
    assert difference([cell(x, h)], [expected]) < EXACT


def test_gradients_are_the_slope():
    cell = drawn(MyGRUCell, 3, 4)
    x, h = randn(2, 3, seed=1).requires_grad_(), randn(2, 4, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, h, *_: cell(x, h), (x, h, *cell.parameters()))


def test_the_cell_has_the_six_layers_of_the_assignment():
    cell = MyGRUCell(3, 5)
    shapes = {name: tuple(parameter.shape) for name, parameter in cell.named_parameters()}
    expected = {f"{layer}.weight": (5, 3) for layer in ("Wiz", "Wir", "Wih")}
    expected |= {f"{layer}.weight": (5, 5) for layer in ("Whz", "Whr", "Whh")}
    expected |= {f"{layer}.bias": (5,) for layer in ("Wiz", "Wir", "Wih", "Whz", "Whr", "Whh")}
    assert shapes == expected


@pytest.mark.parametrize(("H", "parameters"), [(32, 15_485), (64, 55_517), (1, 140)])
def test_parameter_count(H, parameters):
    """The published 15,485 at H = 32: padding is a mask and adds no symbol."""
    model = build(ModelSettings(hidden_size=H), seed=0)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize("seed", range(3))
def test_torch_gru_agrees_exactly_where_the_reset_gate_is_one(seed):
    cell, inputs, h = (
        drawn(MyGRUCell, 4, 5, seed=seed),
        randn(3, 7, 4, seed=seed),
        randn(3, 5, seed=seed),
    )

    def states():
        state, found = h, []
        for x in inputs.unbind(1):
            state = cell(x, state)
            found.append(state)
        return torch.stack(found, dim=1)

    def of_torch():
        return as_torch_gru(cell)(inputs, h[None])[0]

    assert difference([states()], [of_torch()]) > 1e-3
    with torch.no_grad():
        for gate in (cell.Wir, cell.Whr):
            gate.weight.zero_()
            gate.bias.fill_(50.0)
    assert difference([states()], [of_torch()]) < EXACT


def test_torch_gru_has_its_own_weights_and_the_precision_of_the_cell():
    cell = drawn(MyGRUCell, 3, 4)
    gru = as_torch_gru(cell)
    assert {parameter.dtype for parameter in gru.parameters()} == {torch.float64}
    with torch.no_grad():
        before = gru.weight_ih_l0.clone()
        cell.Wiz.weight.add_(1)
    assert torch.equal(gru.weight_ih_l0, before)


# encoder and decoder


@st.composite
def padded_words(draw):
    """Symbols (B, S), lengths of the words, scale of the weights, seed."""
    B, S = draw(st.integers(1, 4)), draw(st.integers(1, 8))
    lengths = draw(st.lists(st.integers(0, S), min_size=B, max_size=B))
    seed = draw(st.integers(0, 10**6))
    symbols = torch.randint(V, (B, S), generator=torch.Generator().manual_seed(seed))
    return symbols, lengths, draw(st.sampled_from([0.1, 1.0, 5.0])), seed


@properties
@given(padded_words())
def test_encoder_steps_its_cell_over_each_word_and_carries_the_state_over_padding(words):
    symbols, lengths, scale, seed = words
    encoder = drawn(GRUEncoder, V, 5, seed=seed, scale=scale)
    states, last, *_ = encoder(symbols, right_mask(lengths, symbols.shape[1]))
    assert states.shape == (*symbols.shape, 5)
    for row, length in enumerate(lengths):
        h = torch.zeros(1, 5, dtype=torch.float64)
        for t, symbol in enumerate(symbols[row]):
            h = encoder.gru(encoder.embedding(symbol)[None], h) if t < length else h
            assert difference([states[row, t]], [h[0]]) < EXACT
        assert all(torch.equal(state, last[row]) for state in states[row, max(0, length - 1) :])


@properties
@given(padded_words())
def test_symbols_at_padded_places_change_no_bit_and_get_no_gradient(words):
    symbols, lengths, scale, seed = words
    encoder, mask = (
        drawn(GRUEncoder, V, 5, seed=seed, scale=scale),
        right_mask(lengths, symbols.shape[1]),
    )
    noise = torch.randint(V, symbols.shape, generator=torch.Generator().manual_seed(seed + 1))
    other = torch.where(mask, symbols, noise)
    upstream, results = randn(len(symbols), 5, seed=seed), []
    for some in (symbols, other):
        last = encoder(some, mask)[1]
        total = (last * upstream).sum()
        results.append([last, *torch.autograd.grad(total, list(encoder.parameters()))])
    assert torch.equal(results[0][0], results[1][0])
    assert difference(*results) < EXACT


@pytest.mark.parametrize("length", [1, 7])
def test_without_padding_a_mask_changes_nothing(length):
    symbols = torch.arange(2 * length).reshape(2, length)
    encoder = drawn(GRUEncoder, V, 5)
    for plain, masked in zip(encoder(symbols)[:2], encoder(symbols, symbols >= 0)[:2], strict=True):
        assert torch.equal(plain, masked)


def test_decoder_sees_the_source_through_its_first_state_alone():
    decoder, h = RNNDecoder(V, 4).double(), randn(2, 4, seed=0)
    prefix = torch.tensor([[27, 1, 2], [27, 3, 4]])
    states = randn(2, 5, 4, seed=1)
    expected = decoder(prefix, Memory(None, h, None, None))
    found = decoder(prefix, Memory(states, h, torch.zeros(2, 5, dtype=torch.bool), prefix))
    assert torch.equal(found, expected)


def test_large_embeddings_and_long_words_stay_finite():
    for scale, S in ((1e30, 5), (1.0, 2000)):
        encoder = drawn(GRUEncoder, V, 5).float()
        with torch.no_grad():
            encoder.embedding.weight.mul_(scale)
        states, last, *_ = encoder(torch.arange(S)[None] % V)
        assert bool((states.abs() <= 1).all())
        grads = torch.autograd.grad(last.sum(), list(encoder.parameters()))
        assert all(bool(grad.isfinite().all()) for grad in grads)


def test_decoding_step_by_step_equals_the_whole_sequence():
    model, batch = built("gru"), padded_batch()
    assert difference([stepwise(model, batch)], [logits_of(model, batch)]) < EXACT


def test_symbols_at_padded_places_do_not_change_a_bit_of_the_logits():
    model, batch = build(ModelSettings(hidden_size=7), seed=0), padded_batch()
    generator = torch.Generator().manual_seed(1)
    noise = torch.randint(V, batch.source.shape, generator=generator)
    source = torch.where(batch.source_mask, batch.source, noise)
    counts = batch.target != IGNORED  # (B, T)
    others = torch.randint(V, batch.prefix.shape, generator=generator)
    prefix = torch.where(counts, batch.prefix, others)
    expected = logits_of(model, batch)[counts]
    assert torch.equal(model(source, prefix, batch.source_mask)[counts], expected)
    assert not torch.equal(model(source, prefix)[counts], expected)  # without the mask they would


# other cells


class Counting(MyGRUCell):
    """A subclass that changes nothing but counts its steps."""

    steps = 0

    def forward(self, x, h_prev):
        self.steps += 1
        return super().forward(x, h_prev)


class Swapped(MyGRUCell):
    """A wrong cell: z weighs the old state."""

    def forward(self, x, h_prev):
        h = super().forward(x, h_prev)
        z = torch.sigmoid(self.Wiz(x) + self.Whz(h_prev))
        g = h_prev + (h - h_prev) / z
        return z * h_prev + (1 - z) * g


class Own(torch.nn.Module):
    """A cell that shares nothing with the library's but its two arguments."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.map, self.steps = torch.nn.Linear(input_size + hidden_size, hidden_size), 0

    def forward(self, x, h_prev):
        self.steps += 1
        return torch.tanh(self.map(torch.cat([x, h_prev], dim=1)))


@pytest.mark.parametrize("kind", [Counting, Own])
@pytest.mark.parametrize("settings", [ModelSettings(hidden_size=5), ModelSettings("rnn-attention")])
def test_encoder_and_decoders_step_another_class(kind, settings):
    model, batch = build(settings, 0, cell=kind), padded_batch()
    logits_of(model, batch)
    steps = (model.encoder.gru.steps, model.decoder.rnn.steps)
    assert steps == (batch.source.shape[1], batch.prefix.shape[1])


def test_a_correct_rewrite_gives_the_same_logits_and_a_wrong_cell_others():
    kinds = (MyGRUCell, Counting, Swapped)
    models = [build(ModelSettings(hidden_size=6), 0, cell=kind).double() for kind in kinds]
    library, rewrite, wrong = (logits_of(model, padded_batch()) for model in models)
    assert difference([rewrite], [library]) < EXACT
    assert difference([wrong], [library]) > 1e-3
