"""The three attentions against independent references, and the properties every attention must have."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from a3lib.attention import AdditiveAttention, CausalScaledDotAttention, ScaledDotAttention

ALL = [AdditiveAttention, ScaledDotAttention, CausalScaledDotAttention]
H = 8
sizes = st.integers(1, 6)
few = settings(max_examples=15, deadline=None)


def attention(kind, seed=0, dtype=torch.double):
    torch.manual_seed(seed)
    return kind(H).to(dtype)


def inputs(B, k, seq, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(B, n, H, generator=generator, dtype=torch.double) for n in (k, seq, seq)]


def some_mask(B, seq, seed=0):
    """A random mask (B, seq) whose first key is always seen, so that causal rows have one too."""
    mask = torch.rand(B, seq, generator=torch.Generator().manual_seed(seed)) < 0.6
    mask[:, 0] = True
    return mask


def additive_by_loop(module, queries, keys, values, mask):
    """The definition in numpy, one query and one key at a time."""
    first, _, last = module.attention_network
    W, b, w, c = (x.detach().numpy() for x in (first.weight, first.bias, last.weight[0], last.bias))
    queries, keys, values, mask = (x.numpy() for x in (queries, keys, values, mask))
    B, k, seq = len(keys), queries.shape[1], keys.shape[1]
    context, weights = np.zeros((B, k, H)), np.zeros((B, seq, k))
    for n in range(B):
        for i in range(k):
            scores = np.full(seq, -np.inf)
            for j in range(seq):
                if mask[n, j]:
                    layer = W @ np.concatenate([queries[n, i], keys[n, j]]) + b
                    scores[j] = w @ np.maximum(layer, 0) + c[0]
            exponentials = np.exp(scores - scores.max())
            weights[n, :, i] = exponentials / exponentials.sum()
            context[n, i] = sum(weights[n, j, i] * values[n, j] for j in range(seq))
    return context, weights


@few
@given(B=sizes, k=sizes, seq=sizes, seed=st.integers(0, 99))
def test_additive_equals_a_loop_in_numpy(B, k, seq, seed):
    module, (queries, keys, values), mask = (
        attention(AdditiveAttention, seed),
        inputs(B, k, seq, seed),
        some_mask(B, seq),
    )
    context, weights = module(queries, keys, values, mask)
    expected_context, expected_weights = additive_by_loop(module, queries, keys, values, mask)
    np.testing.assert_allclose(context.detach().numpy(), expected_context, atol=1e-12)
    np.testing.assert_allclose(weights.detach().numpy(), expected_weights, atol=1e-12)


@few
@given(B=sizes, k=sizes, seq=sizes, masked=st.booleans(), causal=st.booleans(), seed=st.integers(0, 99))
def test_dot_product_equals_pytorch(B, k, seq, masked, causal, seed):
    module = attention(CausalScaledDotAttention if causal else ScaledDotAttention, seed)
    queries, keys, values = inputs(B, k, seq, seed)
    mask = some_mask(B, seq, seed) if masked else None
    seen = torch.ones(B, k, seq, dtype=torch.bool)
    if masked:
        seen &= mask[:, None]
    if causal:
        seen &= torch.arange(seq) <= torch.arange(k)[:, None]
    expected = F.scaled_dot_product_attention(module.Q(queries), module.K(keys), module.V(values), attn_mask=seen)
    torch.testing.assert_close(module(queries, keys, values, mask)[0], expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(module.context(queries, keys, values, mask), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("kind", [ScaledDotAttention, CausalScaledDotAttention])
@pytest.mark.parametrize("masked", [False, True])
def test_both_routes_have_the_same_gradients(kind, masked):
    module, xs, mask = attention(kind), inputs(3, 4, 4), some_mask(3, 4) if masked else None
    leaves = [x.requires_grad_() for x in xs] + list(module.parameters())
    upstream = torch.randn(3, 4, H, dtype=torch.double)
    with_map = torch.autograd.grad(module(*xs, mask)[0], leaves, upstream)
    without = torch.autograd.grad(module.context(*xs, mask), leaves, upstream)
    for one, other in zip(with_map, without, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


def test_a_known_answer():
    """Three keys, two queries, identity projections: weights proportional to exp(q k / sqrt 2)."""
    module = ScaledDotAttention(2).double()
    with torch.no_grad():
        for layer in (module.Q, module.K, module.V):
            layer.weight.copy_(torch.eye(2))
            layer.bias.zero_()
    keys = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]], dtype=torch.double)
    queries = torch.tensor([[[math.sqrt(2) * math.log(2), 0.0], [0.0, 0.0]]], dtype=torch.double)
    context, weights = module(queries, keys, keys)
    torch.testing.assert_close(weights[0, :, 0], torch.tensor([0.4, 0.2, 0.4], dtype=torch.double))
    torch.testing.assert_close(weights[0, :, 1], torch.full((3,), 1 / 3, dtype=torch.double))
    torch.testing.assert_close(context[0, 0], torch.tensor([0.8, 0.6], dtype=torch.double))


@pytest.mark.parametrize("kind", ALL)
@few
@given(B=sizes, k=sizes, seq=sizes, seed=st.integers(0, 99))
def test_weights_are_distributions_over_the_keys(kind, B, k, seq, seed):
    context, weights = attention(kind, seed)(*inputs(B, k, seq, seed), some_mask(B, seq, seed))
    assert context.shape == (B, k, H) and weights.shape == (B, seq, k)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(B, k, dtype=torch.double))


@pytest.mark.parametrize("kind", ALL)
def test_one_query_may_be_two_dimensional(kind):
    module, (queries, keys, values) = attention(kind), inputs(3, 1, 5)
    for flat, full in zip(module(queries[:, 0], keys, values), module(queries, keys, values), strict=True):
        assert torch.equal(flat, full)


@pytest.mark.parametrize("kind", ALL)
@few
@given(extra=sizes, seed=st.integers(0, 99))
def test_padding_changes_nothing(kind, extra, seed):
    module, (queries, keys, values) = attention(kind), inputs(2, 3, 4, seed)
    mask = torch.ones(2, 4, dtype=torch.bool)
    padding = 1e6 * torch.randn(2, extra, H, dtype=torch.double)
    longer = [torch.cat([x, padding], dim=1) for x in (keys, values)]
    context, weights = module(queries, keys, values)
    padded_context, padded_weights = module(queries, *longer, F.pad(mask, (0, extra)))
    torch.testing.assert_close(padded_context, context, atol=1e-12, rtol=0)
    torch.testing.assert_close(padded_weights[:, :4], weights, atol=1e-12, rtol=0)
    assert (padded_weights[:, 4:] == 0).all()


@pytest.mark.parametrize("kind", [AdditiveAttention, ScaledDotAttention])
@few
@given(order=st.permutations(range(5)))
def test_the_order_of_the_keys_does_not_matter(kind, order):
    module, (queries, keys, values), mask = attention(kind), inputs(2, 3, 5), some_mask(2, 5)
    context, weights = module(queries, keys, values, mask)
    moved_context, moved_weights = module(queries, keys[:, order], values[:, order], mask[:, order])
    torch.testing.assert_close(moved_context, context, atol=1e-12, rtol=0)
    torch.testing.assert_close(moved_weights, weights[:, order], atol=1e-12, rtol=0)


@pytest.mark.parametrize("route", ["map", "fused"])
def test_causal_attention_has_no_gradient_from_later_inputs(route):
    module, x = attention(CausalScaledDotAttention), inputs(2, 6, 6)[0].requires_grad_()
    context = module(x, x, x)[0] if route == "map" else module.context(x, x, x)
    for t in range(6):
        (grad,) = torch.autograd.grad(context[:, t].sum(), x, retain_graph=True)
        assert (grad[:, t + 1 :] == 0).all()
        assert (grad[:, : t + 1].abs().sum(2) > 0).all()


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_fully_masked_row_gives_zero_and_finite_gradients(kind, dtype):
    module, xs = attention(kind, dtype=dtype), [x.to(dtype).requires_grad_() for x in inputs(2, 3, 4)]
    mask = torch.tensor([[False] * 4, [True] * 4])
    context, weights = module(*xs, mask)
    assert (context[0] == 0).all() and (weights[0] == 0).all() and (weights[1].sum(0) > 0.99).all()
    outputs = [context] if kind is AdditiveAttention else [context, module.context(*xs, mask)]
    for output in outputs:
        assert (output[0] == 0).all()
        for grad in torch.autograd.grad(
            output.sum(), [*xs, *module.parameters()], allow_unused=True, retain_graph=True
        ):
            assert grad is None or grad.isfinite().all()


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_large_logits_stay_finite_in_half_precision(kind, dtype):
    module = attention(kind, dtype=dtype)
    queries, keys, values = (x.to(dtype) for x in inputs(2, 4, 4))
    context, weights = module(300 * queries, 300 * keys, values, some_mask(2, 4))
    assert context.isfinite().all() and weights.isfinite().all()
    torch.testing.assert_close(weights.float().sum(1), torch.ones(2, 4), atol=0.01, rtol=0)


@pytest.mark.parametrize("kind", ALL)
def test_projecting_first_is_the_same(kind):
    module, (queries, keys, values), mask = attention(kind), inputs(3, 4, 4), some_mask(3, 4)
    halves = module.attend(queries, *module.project(keys, values), mask)
    for one, other in zip(halves, module(queries, keys, values, mask), strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)
