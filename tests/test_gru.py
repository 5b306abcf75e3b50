"""The cell against its equations, the fast path against the loop, and what padding may not change."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.batches import IGNORED, V, encode_pairs
from a3lib.gru import GRUEncoder, MyGRUCell, RNNDecoder, as_torch_gru, unroll, unroll_stepwise, unroll_symbols
from a3lib.models import ModelSettings, build
from a3lib.training import batch_loss
from a3lib.translator import Translator

properties = settings(deadline=None, max_examples=40, database=None, derandomize=True)
EXACT = 1e-10  # largest difference between two float64 ways to the same number


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def new_cell(D, H, seed, scale=1.0, kind=MyGRUCell):
    """A float64 cell; `scale` above one drives its gates towards saturation."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        cell = kind(D, H).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.mul_(scale)
    return cell


def randn(*shape, seed):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def right_mask(lengths, S):
    return torch.arange(S) < torch.tensor(lengths)[:, None]  # (B, S)


def difference(first, second):
    return max(float((a - b).detach().abs().max()) for a, b in zip(first, second, strict=True))


@st.composite
def shapes(draw):
    """B, S, D, H, lengths of the words (None: no mask), scale of the weights, seed."""
    B, S, D, H = (draw(st.integers(1, most)) for most in (4, 8, 5, 6))
    lengths = draw(st.none() | st.lists(st.integers(0, S), min_size=B, max_size=B))
    return B, S, D, H, lengths, draw(st.sampled_from([0.1, 1.0, 5.0])), draw(st.integers(0, 10**6))


# --- the cell ---------------------------------------------------------------------------------------------------------


def numpy_cell(weights, x, h):
    """The assignment's equations for one word, unit by unit; `weights` maps parameter names to arrays."""

    def pre(name, vector, unit):
        return float(np.dot(weights[f"{name}.weight"][unit], vector)) + float(weights[f"{name}.bias"][unit])

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    H = len(h)
    z = np.array([sigmoid(pre("Wiz", x, j) + pre("Whz", h, j)) for j in range(H)])
    r = np.array([sigmoid(pre("Wir", x, j) + pre("Whr", h, j)) for j in range(H)])
    g = np.array([np.tanh(pre("Wih", x, j) + pre("Whh", r * h, j)) for j in range(H)])
    return (1 - z) * h + z * g


def numpy_states(cell, inputs, initial, lengths):
    weights = {name: value.detach().numpy() for name, value in cell.state_dict().items()}
    states = np.empty((*inputs.shape[:2], initial.shape[1]))
    for word, (xs, h) in enumerate(zip(inputs.detach().numpy(), initial.detach().numpy(), strict=True)):
        for t, x in enumerate(xs):
            h = numpy_cell(weights, x, h) if t < lengths[word] else h
            states[word, t] = h
    return torch.from_numpy(states)


@properties
@given(shapes())
def test_cell_and_fast_path_follow_the_equations(shape):
    B, S, D, H, lengths, scale, seed = shape
    cell, inputs, initial = new_cell(D, H, seed, scale), randn(B, S, D, seed=seed), randn(B, H, seed=seed + 1)
    mask = None if lengths is None else right_mask(lengths, S)
    expected = numpy_states(cell, inputs, initial, lengths or [S] * B)
    assert difference([unroll(cell, inputs, initial, mask)], [expected]) < EXACT
    if lengths is None:
        one_step = numpy_states(cell, inputs[:, :1], initial, [1] * B)[:, 0]
        assert difference([cell(inputs[:, 0], initial)], [one_step]) < EXACT


def test_cell_has_the_six_layers_of_the_assignment():
    cell = MyGRUCell(3, 5)
    shapes = {name: tuple(parameter.shape) for name, parameter in cell.named_parameters()}
    expected = {f"{layer}.weight": (5, 3) for layer in ("Wiz", "Wir", "Wih")}
    expected |= {f"{layer}.weight": (5, 5) for layer in ("Whz", "Whr", "Whh")}
    expected |= {f"{layer}.bias": (5,) for layer in ("Wiz", "Wir", "Wih", "Whz", "Whr", "Whh")}
    assert shapes == expected


@pytest.mark.parametrize(("H", "parameters"), [(32, 15_485), (64, 55_517), (1, 140)])
def test_parameter_count(H, parameters):
    """The published 15,485 at H=32: padding is a mask and adds no symbol."""
    model = build(ModelSettings(hidden_size=H), seed=0)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


# --- the fast path ----------------------------------------------------------------------------------------------------


def gradients(states, cotangent, tensors):
    return torch.autograd.grad((states * cotangent).sum(), tensors)


@properties
@given(shapes())
def test_fast_path_equals_the_loop_in_outputs_and_gradients(shape):
    B, S, D, H, lengths, scale, seed = shape
    cell = new_cell(D, H, seed, scale)
    inputs, initial = randn(B, S, D, seed=seed).requires_grad_(), randn(B, H, seed=seed + 1).requires_grad_()
    mask, cotangent = None if lengths is None else right_mask(lengths, S), randn(B, S, H, seed=seed + 2)
    fast, loop = (way(cell, inputs, initial, mask) for way in (unroll, unroll_stepwise))
    assert fast.shape == (B, S, H)
    assert difference([fast], [loop]) < EXACT
    tensors = [inputs, initial, *cell.parameters()]
    assert difference(*(gradients(states, cotangent, tensors) for states in (fast, loop))) < EXACT


@properties
@given(shapes())
def test_fast_path_over_symbols_equals_the_loop_in_outputs_and_gradients(shape):
    B, S, D, H, lengths, scale, seed = shape
    cell = new_cell(D, H, seed, scale)
    embedding = torch.nn.Embedding(V, D, _weight=randn(V, D, seed=seed))
    symbols = torch.randint(V, (B, S), generator=torch.Generator().manual_seed(seed))
    initial = randn(B, H, seed=seed + 1).requires_grad_()
    mask, cotangent = None if lengths is None else right_mask(lengths, S), randn(B, S, H, seed=seed + 2)
    fast = unroll_symbols(cell, embedding, symbols, initial, mask)
    loop = unroll_stepwise(cell, embedding(symbols), initial, mask)
    assert difference([fast], [loop]) < EXACT
    tensors = [embedding.weight, initial, *cell.parameters()]
    assert difference(*(gradients(states, cotangent, tensors) for states in (fast, loop))) < EXACT


@pytest.mark.parametrize("lengths", [None, [4, 2]])
def test_written_out_gradients_pass_gradcheck(lengths):
    cell = new_cell(3, 4, seed=0)
    inputs, initial = randn(2, 4, 3, seed=1).requires_grad_(), randn(2, 4, seed=2).requires_grad_()
    mask = None if lengths is None else right_mask(lengths, 4)
    tensors = (inputs, initial, *cell.parameters())  # gradcheck moves the cell's own parameters
    assert torch.autograd.gradcheck(lambda x, h, *parameters: unroll(cell, x, h, mask), tensors)


def test_a_gradient_of_the_gradient_is_refused_rather_than_wrong():
    cell, inputs = new_cell(2, 3, seed=0), randn(1, 4, 2, seed=1).requires_grad_()
    states = unroll(cell, inputs, randn(1, 3, seed=2))
    (grad,) = torch.autograd.grad(states.square().sum(), inputs, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.square().sum().backward()


def test_two_backward_passes_give_the_same_gradient():
    """The saved tensors are not written to."""
    cell, inputs = new_cell(2, 3, seed=0), randn(2, 4, 2, seed=1).requires_grad_()
    total = unroll(cell, inputs, randn(2, 3, seed=2), right_mask([4, 3], 4)).square().sum()
    first, second = (torch.autograd.grad(total, inputs, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_large_inputs_and_long_sequences_stay_finite():
    cell = MyGRUCell(4, 6)
    for inputs in (1e30 * torch.randn(3, 5, 4), -1e4 * torch.ones(1, 5, 4), torch.randn(1, 2000, 4)):
        inputs.requires_grad_()
        states = unroll(cell, inputs, torch.zeros(len(inputs), 6))
        assert bool((states.abs() <= 1).all())
        grads = torch.autograd.grad(states.sum(), [inputs, *cell.parameters()])
        assert all(bool(grad.isfinite().all()) for grad in grads)


# --- padding ----------------------------------------------------------------------------------------------------------


@properties
@given(shapes().filter(lambda shape: shape[4] is not None))
def test_values_at_padded_places_change_nothing(shape):
    B, S, D, H, lengths, scale, seed = shape
    cell, initial, mask = new_cell(D, H, seed, scale), randn(B, H, seed=seed), right_mask(lengths, S)
    inputs = randn(B, S, D, seed=seed + 1)
    other = torch.where(mask[:, :, None], inputs, 1e3 * randn(B, S, D, seed=seed + 2))
    results = []
    for x in (inputs.requires_grad_(), other.requires_grad_()):
        states = unroll(cell, x, initial, mask)
        results.append([states, *gradients(states, randn(B, S, H, seed=seed + 3), [x, *cell.parameters()])])
        assert not results[-1][1][~mask].any()
    assert torch.equal(results[0][0], results[1][0])
    assert difference(*results) < EXACT


@properties
@given(shapes().filter(lambda shape: shape[4] is not None))
def test_state_is_carried_over_padding_to_the_bit(shape):
    B, S, D, H, lengths, scale, seed = shape
    cell = new_cell(D, H, seed, scale).float()
    inputs, initial = 100 * randn(B, S, D, seed=seed).float(), randn(B, H, seed=seed).float()
    states = unroll(cell, inputs, initial, right_mask(lengths, S))
    for row, length in enumerate(lengths):
        last = states[row, length - 1] if length else initial[row]
        assert all(torch.equal(state, last) for state in states[row, length:])
        assert torch.equal(states[row, -1], last)


PAIRS = [("a", "away"), ("quite", "itequay"), ("air-conditioning", "airway-onditioningcay"), ("try", "ytray")]


def grads_of(model, losses):
    """Gradients of the loss per token over several (summed loss, tokens)."""
    total = sum(loss for loss, _ in losses) / sum(tokens for _, tokens in losses)
    return torch.autograd.grad(total, list(model.parameters()))


def test_logits_and_gradients_of_words_together_are_those_of_words_alone():
    model = build(ModelSettings(hidden_size=7), seed=0).double()
    encoded = encode_pairs(PAIRS)
    together = encoded.batch(torch.arange(len(PAIRS)))
    logits = model(together.source, together.prefix, together.source_mask)  # (B, T, V)
    alone = []
    for i, (_, translation) in enumerate(PAIRS):
        batch = encoded.batch(torch.tensor([i]))
        assert batch.source_mask is None
        own = model(batch.source, batch.prefix)  # (1, T, V)
        assert difference([own[0]], [logits[i, : len(translation) + 1]]) < EXACT
        alone.append((batch_loss(model, batch) * batch.tokens, batch.tokens))
    padded = [(batch_loss(model, together) * together.tokens, together.tokens)]
    assert difference(grads_of(model, padded), grads_of(model, alone)) < EXACT


def test_symbols_at_padded_places_do_not_change_a_bit_of_the_logits():
    model = build(ModelSettings(hidden_size=7), seed=0)
    batch = encode_pairs(PAIRS).batch(torch.arange(len(PAIRS)))
    generator = torch.Generator().manual_seed(1)
    noise = torch.randint(V, batch.source.shape, generator=generator)
    source = torch.where(batch.source_mask, batch.source, noise)
    counts = batch.target != IGNORED  # (B, T)
    prefix = torch.where(counts, batch.prefix, torch.randint(V, batch.prefix.shape, generator=generator))
    expected = model(batch.source, batch.prefix, batch.source_mask)[counts]
    assert torch.equal(model(source, prefix, batch.source_mask)[counts], expected)
    assert not torch.equal(model(source, prefix)[counts], expected)  # without the mask they would


# --- other cells ------------------------------------------------------------------------------------------------------


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
def test_another_class_is_stepped_through_its_own_forward(kind):
    cell = new_cell(3, 4, seed=0, kind=kind)
    unroll(cell, randn(2, 5, 3, seed=1), randn(2, 4, seed=2))
    assert cell.steps == 5
    unroll_symbols(cell, torch.nn.Embedding(V, 3).double(), torch.zeros(2, 6, dtype=torch.long), randn(2, 4, seed=2))
    assert cell.steps == 11


@pytest.mark.parametrize("kind", [Counting, Own])
def test_encoder_and_decoder_step_another_class(kind):
    model = Translator(GRUEncoder(V, 5, kind), RNNDecoder(V, 5, kind))
    batch = encode_pairs(PAIRS).batch(torch.arange(len(PAIRS)))
    model(batch.source, batch.prefix, batch.source_mask)
    assert (model.encoder.gru.steps, model.decoder.rnn.steps) == (batch.source.shape[1], batch.prefix.shape[1])


def test_a_correct_rewrite_gives_the_same_logits_and_a_wrong_cell_others():
    batch = encode_pairs(PAIRS).batch(torch.arange(len(PAIRS)))
    models = [
        build(ModelSettings(hidden_size=6), seed=0, cell=kind).double() for kind in (MyGRUCell, Counting, Swapped)
    ]
    library, rewrite, wrong = (model(batch.source, batch.prefix, batch.source_mask) for model in models)
    assert difference([rewrite], [library]) < EXACT
    assert difference([wrong], [library]) > 1e-3


def test_decoder_symbol_by_symbol_equals_the_whole_sequence():
    model = build(ModelSettings(hidden_size=6), seed=0).double()
    batch = encode_pairs(PAIRS).batch(torch.arange(len(PAIRS)))
    memory = model.encode(batch.source, batch.source_mask)
    whole = model.decode(memory, batch.prefix)  # (B, T, V)
    state = model.decoder.start(memory)
    for t in range(batch.prefix.shape[1]):
        logits, state = model.decoder.step(batch.prefix[:, t], state, memory)
        assert difference([logits], [whole[:, t]]) < EXACT


# --- PyTorch's GRU ----------------------------------------------------------------------------------------------------


def torch_states(cell, inputs, initial):
    return as_torch_gru(cell)(inputs, initial[None])[0]  # (B, S, H)


@pytest.mark.parametrize("seed", range(3))
def test_torch_gru_agrees_exactly_where_the_reset_gate_is_one(seed):
    cell, inputs, initial = new_cell(4, 5, seed), randn(3, 7, 4, seed=seed), randn(3, 5, seed=seed)
    assert difference([unroll(cell, inputs, initial)], [torch_states(cell, inputs, initial)]) > 1e-3
    with torch.no_grad():
        for gate in (cell.Wir, cell.Whr):
            gate.weight.zero_()
            gate.bias.fill_(50.0)
    assert difference([unroll(cell, inputs, initial)], [torch_states(cell, inputs, initial)]) < EXACT
