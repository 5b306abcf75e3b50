"""AdamW and Muon against PyTorch's, and Muon against the published update in double precision."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.optimizers import NEWTON_SCHULZ, AdamW, Muon, orthogonal

few = settings(max_examples=20, deadline=None, database=None, derandomize=True)
SHAPES = [(4, 6), (4, 6), (6, 4), (5, 5), (3, 1)]  # wide twice, tall, square, a column


def parameters(shapes=SHAPES, seed=0, dtype=torch.double):
    generator = torch.Generator().manual_seed(seed)
    values = [torch.randn(shape, generator=generator, dtype=torch.double) for shape in shapes]
    return [torch.nn.Parameter(value.to(dtype)) for value in values]


def gradients(some, steps, seed=1):
    """One list per step of a gradient for each parameter."""
    generator = torch.Generator().manual_seed(seed)
    return [
        [torch.randn(p.shape, generator=generator, dtype=torch.double).to(p) for p in some]
        for _ in range(steps)
    ]


def follow(optimizer, some, steps, rates=None):
    """Make a step with each list of gradients; None leaves a parameter without one."""
    for number, grads in enumerate(steps):
        for parameter, grad in zip(some, grads, strict=True):
            parameter.grad = None if grad is None else grad.clone()
        for group in optimizer.param_groups if rates else []:
            group["lr"] = rates[number]
        optimizer.step()


def assert_close(first, second, atol=1e-12):
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other, atol=atol, rtol=0)


def frozen_until(steps, number, first):
    """The gradients, but that the parameter of this number has none before step `first`."""
    return [
        [None if i == number and step < first else grad for i, grad in enumerate(grads)]
        for step, grads in enumerate(steps)
    ]


# AdamW


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(("dtype", "atol"), [(torch.double, 1e-12), (torch.float, 1e-6)])
def test_adamw_is_that_of_pytorch(weight_decay, dtype, atol):
    ours, theirs = (parameters([(4, 6), (3,), ()], dtype=dtype) for _ in range(2))
    steps, rates = gradients(ours, 12), [0.1 * 0.8**n for n in range(12)]
    follow(AdamW(ours, 0.1, weight_decay), ours, steps, rates)
    follow(torch.optim.AdamW(theirs, 0.1, weight_decay=weight_decay), theirs, steps, rates)
    assert_close(ours, theirs, atol)


@pytest.mark.parametrize("first", [1, 4, 99])
def test_a_parameter_that_learns_later_counts_its_own_updates(first):
    """Also one that never learns: without a gradient nothing moves it, not even weight decay."""
    ours, theirs = parameters(), parameters()
    steps = frozen_until(gradients(ours, 8), 2, first)
    follow(AdamW(ours, 0.1, 0.1), ours, steps)
    follow(torch.optim.AdamW(theirs, 0.1, weight_decay=0.1), theirs, steps)
    assert_close(ours, theirs)
    assert torch.equal(ours[2], parameters()[2]) == (first == 99)


@few
@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=6))
def test_parameters_may_learn_in_any_turn(learning):
    ours, theirs = parameters(), parameters()
    steps = [
        [grad if now else None for grad, now in zip(grads, some, strict=True)]
        for grads, some in zip(gradients(ours, len(learning)), learning, strict=True)
    ]
    follow(AdamW(ours, 0.1, 0.01), ours, steps)
    follow(torch.optim.AdamW(theirs, 0.1, weight_decay=0.01), theirs, steps)
    assert_close(ours, theirs)


def test_groups_have_their_own_settings():
    ours, theirs = parameters(), parameters()
    steps = gradients(ours, 5)
    for some, kind in ((ours, AdamW), (theirs, torch.optim.AdamW)):
        groups = [
            {"params": some[:2], "weight_decay": 0.2},
            {"params": some[2:], "lr": 0.01, "weight_decay": 0.0},
        ]
        follow(kind(groups, lr=0.1), some, steps)
    assert_close(ours, theirs)


@pytest.mark.parametrize("kind", [AdamW, Muon])
def test_a_state_that_is_put_back_makes_the_same_steps(kind):
    one, two = parameters(), parameters()
    steps = gradients(one, 6)
    first, second = kind(one, 0.1, 0.01), kind(two, 0.1, 0.01)
    follow(first, one, steps[:3])
    follow(second, two, steps[3:])  # other steps, to be forgotten
    state = first.state_dict()
    copied = {
        "state": {
            key: {name: v.clone() if torch.is_tensor(v) else v for name, v in values.items()}
            for key, values in state["state"].items()
        },
        "param_groups": state["param_groups"],
    }
    second.load_state_dict(copied)
    with torch.no_grad():
        for a, b in zip(one, two, strict=True):
            b.copy_(a)
    follow(first, one, steps[3:])
    follow(second, two, steps[3:])
    assert all(map(torch.equal, one, two))


# Muon


def published_direction(matrix, steps=5):
    """Five iterations of Newton and Schulz for one matrix, as the algorithm is published."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / matrix.norm().clamp_min(1e-7)
    if x.shape[0] > x.shape[1]:
        return published_direction(matrix.t(), steps).t()
    for _ in range(steps):
        gram = x @ x.t()
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def published_muon(matrices, steps, rate, decay, momentum):
    """The published loop (Jordan 2024): Nesterov's momentum, made orthogonal, matrix by matrix."""
    matrices = [matrix.detach().clone() for matrix in matrices]
    averages = [torch.zeros_like(matrix) for matrix in matrices]
    for grads in steps:
        for matrix, average, grad in zip(matrices, averages, grads, strict=True):
            if grad is None:
                continue
            average.mul_(momentum).add_((1 - momentum) * grad)
            direction = published_direction((1 - momentum) * grad + momentum * average)
            matrix.mul_(1 - rate * decay)
            matrix.sub_(rate * max(1, matrix.shape[0] / matrix.shape[1]) ** 0.5 * direction)
    return matrices


@pytest.mark.parametrize("momentum", [0.8, 0.95])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_muon_is_the_published_update(momentum, decay):
    ours, steps = parameters(), gradients(parameters(), 8)
    expected = published_muon(ours, steps, 0.05, decay, momentum)
    follow(Muon(ours, 0.05, decay, momentum), ours, steps)
    assert_close(ours, expected, 1e-10)


@pytest.mark.parametrize("first", [3, 99])
def test_muon_of_a_matrix_that_learns_later(first):
    ours, steps = parameters(), frozen_until(gradients(parameters(), 6), 1, first)
    expected = published_muon(ours, steps, 0.05, 0.1, 0.8)
    follow(Muon(ours, 0.05, 0.1), ours, steps)
    assert_close(ours, expected, 1e-10)
    assert torch.equal(ours[1], parameters()[1]) == (first == 99)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="PyTorch before 2.9 has no Muon")
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_muon_is_that_of_pytorch_up_to_its_bfloat16(decay):
    ours, theirs = parameters(dtype=torch.float), parameters(dtype=torch.float)
    steps = gradients(ours, 3)
    follow(Muon(ours, 0.05, decay, momentum=0.9), ours, steps)
    other = torch.optim.Muon(theirs, 0.05, weight_decay=decay, momentum=0.9, nesterov=True)
    follow(other, theirs, steps)
    moved = [a - b for a, b in zip(ours, parameters(dtype=torch.float), strict=True)]
    for one, other, way in zip(ours, theirs, moved, strict=True):
        assert float((one - other).detach().norm()) < 0.03 * float(way.detach().norm())


@few
@given(
    st.integers(1, 4),
    st.integers(1, 6),
    st.integers(1, 6),
    st.floats(1e-3, 1e3),
    st.integers(0, 99),
)
def test_directions_have_the_singular_vectors_and_singular_values_near_one(
    number, rows, columns, scale, seed
):
    generator = torch.Generator().manual_seed(seed)
    shape = (number, rows, columns)
    matrices = scale * torch.randn(*shape, generator=generator, dtype=torch.double)
    found = orthogonal(matrices)
    for matrix, direction in zip(matrices, found, strict=True):
        torch.testing.assert_close(direction, published_direction(matrix), atol=1e-9, rtol=0)
        U, S, Vh = torch.linalg.svd(matrix, full_matrices=False)
        in_place = U.t() @ direction @ Vh.t()  # diagonal, as the singular vectors are kept
        assert (in_place - in_place.diag().diag()).abs().max() < 1e-6
        large = S.gt(0.1 * matrix.norm())
        assert ((in_place.diag()[large] > 0.6) & (in_place.diag()[large] < 1.3)).all()


def test_a_zero_gradient_has_no_direction():
    assert (orthogonal(torch.zeros(2, 3, 4)) == 0).all()


def test_matrices_of_one_shape_are_learned_as_each_alone():
    together, steps = parameters([(4, 6)] * 3), gradients(parameters([(4, 6)] * 3), 4)
    alone = parameters([(4, 6)] * 3)
    follow(Muon(together, 0.05), together, steps)
    for number, matrix in enumerate(alone):
        follow(Muon([matrix], 0.05), [matrix], [[grads[number]] for grads in steps])
    assert_close(together, alone, 1e-12)


def test_the_iteration_brings_singular_values_near_one():
    """What the coefficients are for: five steps map all of [0.02, 1] near one."""
    a, b, c = NEWTON_SCHULZ
    x = torch.linspace(0.02, 1, 500, dtype=torch.double)
    for _ in range(5):
        x = a * x + b * x**3 + c * x**5
    assert x.min() > 0.65 and x.max() < 1.25
