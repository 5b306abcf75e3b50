"""The three attentions against independent references, and what every attention must do."""

import math

import numpy as np
import pytest
import torch
from handout_classes import HandoutAdditive, HandoutCausal, HandoutScaledDot
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from a3lib.translation.attention import (
    AdditiveAttention,
    CausalScaledDotAttention,
    ScaledDotAttention,
    as_sequence,
    as_weights,
    causal_mask,
    masked_softmax,
    with_mask,
)

ALL = [AdditiveAttention, ScaledDotAttention, CausalScaledDotAttention]
H = 8
sizes = st.integers(1, 6)
few = settings(max_examples=15, deadline=None, database=None, derandomize=True)
every_attention = pytest.mark.parametrize("kind", ALL)


def attention(kind, seed=0, dtype=torch.double):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind(H).to(dtype)


def inputs(B, k, S, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(B, n, H, generator=generator, dtype=torch.double) for n in (k, S, S)]


def some_mask(B, S, seed=0):
    """A random mask (B, S) whose first key is always seen, so that causal rows have one too."""
    mask = torch.rand(B, S, generator=torch.Generator().manual_seed(seed)) < 0.6
    mask[:, 0] = True
    return mask


def close(first, second, atol=1e-12):
    torch.testing.assert_close(first, second, atol=atol, rtol=0)


def additive_by_loop(module, queries, keys, values, mask):
    """The definition in numpy, one query and one key at a time."""
    first, _, last = module.attention_network
    parameters = (first.weight, first.bias, last.weight[0], last.bias)
    W, b, w, c = (parameter.detach().numpy() for parameter in parameters)
    queries, keys, values, mask = (x.numpy() for x in (queries, keys, values, mask))
    B, k, S = len(keys), queries.shape[1], keys.shape[1]
    context, weights = np.zeros((B, k, H)), np.zeros((B, S, k))
    for n in range(B):
        for i in range(k):
            scores = np.full(S, -np.inf)
            for j in range(S):
                if mask[n, j]:
                    layer = W @ np.concatenate([queries[n, i], keys[n, j]]) + b
                    scores[j] = w @ np.maximum(layer, 0) + c[0]
            exponentials = np.exp(scores - scores.max())
            weights[n, :, i] = exponentials / exponentials.sum()
            context[n, i] = sum(weights[n, j, i] * values[n, j] for j in range(S))
    return context, weights


@few
@given(B=sizes, k=sizes, S=sizes, seed=st.integers(0, 99))
def test_additive_equals_a_loop_in_numpy(B, k, S, seed):
    module, mask = attention(AdditiveAttention, seed), some_mask(B, S, seed)
    xs = inputs(B, k, S, seed)
    for found, expected in zip(module(*xs, mask), additive_by_loop(module, *xs, mask), strict=True):
        np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-12)


@few
@given(
    B=sizes, k=sizes, S=sizes, masked=st.booleans(), causal=st.booleans(), seed=st.integers(0, 99)
)
def test_dot_product_equals_pytorch(B, k, S, masked, causal, seed):
    module = attention(CausalScaledDotAttention if causal else ScaledDotAttention, seed)
    queries, keys, values = inputs(B, k, S, seed)
    mask = some_mask(B, S, seed) if masked else None
    seen = torch.ones(B, k, S, dtype=torch.bool)
    if masked:
        seen &= mask[:, None]
    if causal:
        seen &= torch.arange(S) <= torch.arange(k)[:, None]
    projected = (module.Q(queries), module.K(keys), module.V(values))
    expected = F.scaled_dot_product_attention(*projected, attn_mask=seen)
    close(module(queries, keys, values, mask)[0], expected)


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
    close(weights[0, :, 0], torch.tensor([0.4, 0.2, 0.4], dtype=torch.double))
    close(weights[0, :, 1], torch.full((3,), 1 / 3, dtype=torch.double))
    close(context[0, 0], torch.tensor([0.8, 0.6], dtype=torch.double))


@every_attention
@few
@given(B=sizes, k=sizes, S=sizes, seed=st.integers(0, 99))
def test_weights_are_distributions_over_the_keys(kind, B, k, S, seed):
    context, weights = attention(kind, seed)(*inputs(B, k, S, seed), some_mask(B, S, seed))
    assert context.shape == (B, k, H) and weights.shape == (B, S, k)
    assert (weights >= 0).all()
    close(weights.sum(1), torch.ones(B, k, dtype=torch.double))


@every_attention
def test_one_query_may_be_two_dimensional(kind):
    module, (queries, keys, values) = attention(kind), inputs(3, 1, 5)
    flat, full = module(queries[:, 0], keys, values), module(queries, keys, values)
    assert all(map(torch.equal, flat, full))


@every_attention
@few
@given(extra=sizes, seed=st.integers(0, 99))
def test_padding_changes_nothing(kind, extra, seed):
    module, (queries, keys, values) = attention(kind), inputs(2, 3, 4, seed)
    mask = torch.ones(2, 4, dtype=torch.bool)
    padding = 1e6 * inputs(2, extra, 1, seed + 1)[0]
    longer = [torch.cat([x, padding], dim=1) for x in (keys, values)]
    context, weights = module(queries, keys, values)
    padded_context, padded_weights = module(queries, *longer, F.pad(mask, (0, extra)))
    close(padded_context, context)
    close(padded_weights[:, :4], weights)
    assert (padded_weights[:, 4:] == 0).all()


@pytest.mark.parametrize("kind", [AdditiveAttention, ScaledDotAttention])
@few
@given(order=st.permutations(range(5)))
def test_the_order_of_the_keys_does_not_matter(kind, order):
    module, (queries, keys, values), mask = attention(kind), inputs(2, 3, 5), some_mask(2, 5)
    context, weights = module(queries, keys, values, mask)
    moved = module(queries, keys[:, order], values[:, order], mask[:, order])
    close(moved[0], context)
    close(moved[1], weights[:, order])


@every_attention
@few
@given(B=sizes, k=sizes, S=sizes, seed=st.integers(0, 99))
def test_a_mask_per_query_is_that_of_each_query_asked_alone(kind, B, k, S, seed):
    module, (queries, keys, values) = attention(kind, seed), inputs(B, k, S, seed)
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(B, S, k, generator=generator) < 0.6  # some queries see nothing
    context, weights = module(queries, keys, values, mask)
    for i in range(k):  # a causal one, asked at its place, with what stands before hidden elsewhere
        alone = module(queries, keys, values, mask[:, :, i])
        close(context[:, i], alone[0][:, i])
        close(weights[:, :, i], alone[1][:, :, i])


def test_causal_attention_has_no_gradient_from_later_inputs():
    module, x = attention(CausalScaledDotAttention), inputs(2, 6, 6)[0].requires_grad_()
    context = module(x, x, x)[0]
    for t in range(6):
        (grad,) = torch.autograd.grad(context[:, t].sum(), x, retain_graph=True)
        assert (grad[:, t + 1 :] == 0).all()
        assert (grad[:, : t + 1].abs().sum(2) > 0).all()


@few
@given(S=sizes, k=sizes)
def test_causal_mask_shows_the_place_and_those_before(S, k):
    assert causal_mask(S, k)[0].tolist() == [[key <= i for i in range(k)] for key in range(S)]


@every_attention
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_fully_masked_word_gives_zero_and_finite_gradients(kind, dtype):
    module = attention(kind, dtype=dtype)
    xs = [x.to(dtype).requires_grad_() for x in inputs(2, 3, 4)]
    context, weights = module(*xs, torch.tensor([[False] * 4, [True] * 4]))
    assert context.dtype == weights.dtype == dtype
    assert (context[0] == 0).all() and (weights[0] == 0).all()
    assert (weights[1].float().sum(0) > 0.98).all()
    leaves = [*xs, *module.parameters()]
    for grad in torch.autograd.grad(context.float().sum(), leaves, allow_unused=True):
        assert grad is None or grad.isfinite().all()


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        # not the dot products in float16, which ends at 65,504: the hand-out scales them afterwards
        (AdditiveAttention, torch.float16),
        *((kind, torch.bfloat16) for kind in ALL),
    ],
)
def test_large_logits_stay_finite_in_half_precision(kind, dtype):
    module = attention(kind, dtype=dtype)
    queries, keys, values = (x.to(dtype) for x in inputs(2, 4, 4))
    context, weights = module(300 * queries, 300 * keys, values, some_mask(2, 4))
    assert context.isfinite().all() and weights.isfinite().all()
    close(weights.float().sum(1), torch.ones(2, 4), atol=0.01)


@every_attention
def test_gradients_are_the_slope(kind):
    module, xs = attention(kind), inputs(2, 3, 4)
    leaves = [*(x.requires_grad_() for x in xs), *module.parameters()]
    mask = some_mask(2, 4)
    assert torch.autograd.gradcheck(lambda q, k, v, *_: module(q, k, v, mask), leaves)


def test_masked_softmax_and_shapes():
    scores = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    softmax = torch.nn.Softmax(dim=1)
    assert torch.equal(masked_softmax(softmax, scores, None), scores.softmax(1))
    everything = torch.ones(2, 4, dtype=torch.bool)
    assert torch.equal(masked_softmax(softmax, scores, everything), scores.softmax(1))
    assert as_weights(everything).shape == (2, 4, 1)
    assert as_weights(everything[:, :, None].expand(2, 4, 3)).shape == (2, 4, 3)
    assert as_sequence(scores[:, 0]).shape == (2, 1, 3)
    assert as_sequence(scores) is scores


# classes with the hand-out's own signature


class WithMask(ScaledDotAttention):
    """Takes a mask under another name."""

    def forward(self, queries, keys, values, seen=None):
        return super().forward(queries, keys, values, seen)


class WithAnything(ScaledDotAttention):
    """Takes whatever comes."""

    def forward(self, *given):
        return super().forward(*given)


@pytest.mark.parametrize("kind", [*ALL, WithMask, WithAnything])
def test_a_class_that_takes_a_mask_is_used_itself(kind):
    assert with_mask(kind) is kind


@pytest.mark.parametrize(
    ("kind", "library"),
    [
        (HandoutAdditive, AdditiveAttention),
        (HandoutScaledDot, ScaledDotAttention),
        (HandoutCausal, CausalScaledDotAttention),
    ],
)
def test_a_class_of_the_hand_out_takes_no_mask_and_says_so(kind, library):
    own, theirs = attention(with_mask(kind)), attention(library)
    assert isinstance(own, kind)
    queries, keys, values = inputs(2, 3, 3)
    for asked in (queries, queries[:, 0]):  # the hand-out's factor is in single precision
        close(own(asked, keys, values, None)[0], theirs(asked, keys, values)[0], atol=1e-6)
        close(own(asked, keys, values)[1], theirs(asked, keys, values)[1], atol=1e-6)
    with pytest.raises(ValueError, match=f"{kind.__name__}.forward takes no mask"):
        own(queries, keys, values, torch.ones(2, 3, dtype=torch.bool))
    assert with_mask(type(own)) is type(own)


def test_a_later_change_of_the_given_class_is_seen(monkeypatch):
    own = attention(with_mask(HandoutScaledDot))
    xs = inputs(2, 3, 3)
    before = own(*xs)[0]
    forward = HandoutScaledDot.forward
    monkeypatch.setattr(
        HandoutScaledDot, "forward", lambda self, q, k, v: forward(self, 2 * q, k, v)
    )
    assert not torch.allclose(own(*xs)[0], before)
