"""The fast arithmetic: the readable path's logits, loss and gradients, and finite differences'."""

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_translators import EXACT, PUBLISHED, built, padded_batch
from torch import nn

from a3lib.fast.logits import fast_logits
from a3lib.translation.batches import V
from a3lib.translation.losses import token_loss
from a3lib.translation.models import ModelSettings, build
from a3lib.translation.positional_encoding import POSITIONS
from a3lib.translation.transformer import TransformerSettings

few = settings(max_examples=12, deadline=None, database=None, derandomize=True)
every_model = pytest.mark.parametrize("name", PUBLISHED)

SHAPES = {
    **PUBLISHED,
    "one unit": ModelSettings("rnn-attention", 1),
    "one unit, block": ModelSettings("transformer", 1, layers=1),
    "three layers": ModelSettings("transformer", 5, layers=3),
    **{
        f"{name}, causal {causal}": ModelSettings(
            "transformer", 6, layers=2, transformer=TransformerSettings(name, causal)
        )
        for name in POSITIONS
        for causal in (True, False)
    },
}


def computed(model, forward, source, prefix, target, mask):
    """Logits, loss, and the gradient of every parameter."""
    logits = forward(source, prefix, mask)
    loss = token_loss(logits, target)
    named = [p for p in model.parameters() if p.requires_grad]
    grads = torch.autograd.grad(loss, named, allow_unused=True)
    zeros = [torch.zeros_like(p) if g is None else g for p, g in zip(named, grads, strict=True)]
    return [logits, loss, *zeros]


def agrees(model, source, prefix, target, mask, atol):
    fast = functools.partial(fast_logits, model)
    both = (computed(model, way, source, prefix, target, mask) for way in (model, fast))
    for own, twin in zip(*both, strict=True):
        largest = max(1.0, float(own.detach().abs().max()))
        torch.testing.assert_close(twin, own, atol=atol * largest, rtol=0)


@st.composite
def batches(draw):
    """source (B, S), prefix and target (B, T), mask (B, S) or None; words may be all padding."""
    B, S, T = (draw(st.integers(1, most)) for most in (4, 6, 6))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    symbols = [torch.randint(V, (B, n), generator=generator) for n in (S, T, T)]
    lengths = draw(st.none() | st.lists(st.integers(0, S), min_size=B, max_size=B))
    mask = None if lengths is None else torch.arange(S) < torch.tensor(lengths)[:, None]
    return (*symbols, mask)


@pytest.mark.parametrize("name", SHAPES)
@few
@given(batches(), st.integers(0, 99), st.sampled_from([0.3, 1.0, 3.0]))
def test_logits_loss_and_gradients_are_those_of_the_readable_path(name, batch, seed, scale):
    model = build(SHAPES[name], seed).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
    agrees(model, *batch, atol=EXACT)


@every_model
def test_single_precision_agrees_too(name):
    batch = padded_batch()
    given_batch = (batch.source, batch.prefix, batch.target, batch.source_mask)
    agrees(build(PUBLISHED[name], 0), *given_batch, atol=1e-5)


@every_model
@few
@given(st.randoms(use_true_random=False))
def test_frozen_parameters_get_no_gradient_and_change_none(name, random):
    model, batch = built(name), padded_batch()
    parameters = list(model.parameters())[:-2]  # the last layer learns
    for parameter in random.sample(parameters, random.randint(0, len(parameters))):
        parameter.requires_grad_(False)
    agrees(model, batch.source, batch.prefix, batch.target, batch.source_mask, atol=EXACT)


@every_model
def test_shared_embeddings_agree_too(name):
    model, batch = built(name), padded_batch()
    model.decoder.embedding.weight = model.encoder.embedding.weight
    agrees(model, batch.source, batch.prefix, batch.target, batch.source_mask, atol=EXACT)


class Fast(nn.Module):
    """The fast arithmetic as a module, so that PyTorch can put other weights into it."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *given_batch):
        return fast_logits(self.model, *given_batch)


@every_model
@pytest.mark.parametrize("masked", [True, False])
def test_written_out_gradients_are_the_slope(name, masked):
    """Against finite differences rather than the readable path, for every parameter."""
    model, batch = built(name), padded_batch()
    given_batch = (batch.source, batch.prefix, batch.source_mask if masked else None)
    for parameter, value in model.named_parameters():

        def logits(value, parameter=parameter):
            weights = {f"model.{parameter}": value}
            return torch.func.functional_call(Fast(model), weights, given_batch).tanh().sum(2)

        start = value.detach().clone().requires_grad_()
        assert torch.autograd.gradcheck(logits, start, fast_mode=True)


@every_model
def test_two_backward_passes_give_the_same_gradient(name):
    """What is saved for them is not written to."""
    model, batch = built(name), padded_batch()
    total = fast_logits(model, batch.source, batch.prefix, batch.source_mask).square().sum()
    named = list(model.parameters())
    first, second = (
        torch.autograd.grad(total, named, retain_graph=True, allow_unused=True) for _ in range(2)
    )
    assert all(a is b is None or torch.equal(a, b) for a, b in zip(first, second, strict=True))
