"""What stands for a place: the formula, its shift, tables and what lies beyond them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_translators import properties

from a3lib.translation.positional_encoding import (
    LONGEST,
    LONGEST_LEARNED,
    POSITIONS,
    LearnedPositions,
    OneHotPositions,
    PositionalEncoding,
)

H = 8


@pytest.mark.parametrize("size", [1, 5, 6])
def test_sinusoids_follow_the_formula(size):
    encodings = PositionalEncoding(size).create_positional_encodings(max_seq_len=40)
    assert encodings.shape == (40, size)
    for pos in (0, 1, 7, 39):
        for i in range(size):
            angle = pos / 10000 ** (i // 2 * 2 / size)
            expected = math.cos(angle) if i % 2 else math.sin(angle)
            assert float(encodings[pos, i]) == pytest.approx(expected, abs=1e-6)


@properties
@given(shift=st.integers(0, 30))
def test_one_rotation_shifts_all_sinusoids(shift):
    """PE(pos + shift) = R PE(pos) with the same block-diagonal rotation R for every pos."""
    encodings = PositionalEncoding(H).create_positional_encodings(64).double()
    R = torch.zeros(H, H, dtype=torch.double)
    for i in range(0, H, 2):
        angle = shift / 10000 ** (i / H)
        c, s = math.cos(angle), math.sin(angle)
        R[i : i + 2, i : i + 2] = torch.tensor([[c, s], [-s, c]])
    moved = encodings[: 64 - shift] @ R.t()
    torch.testing.assert_close(encodings[shift:], moved, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", [name for name in POSITIONS if name != "none"])
def test_a_place_has_one_vector_however_long_the_word(name):
    module = POSITIONS[name](H)
    assert module(50).shape == (50, H)
    assert torch.equal(module(4), module(50)[:4])
    assert len({tuple(row.tolist()) for row in module(H)}) == H  # no two places alike


def test_no_positions_change_nothing():
    x = torch.randn(2, 3, H)
    assert torch.equal(x + POSITIONS["none"](H)(3), x)


def test_places_beyond_the_tables():
    assert torch.equal(OneHotPositions(H)(H + 2)[H:], torch.zeros(2, H))
    learned = LearnedPositions(H)(LONGEST_LEARNED + 3)
    assert torch.equal(learned[LONGEST_LEARNED:], learned[LONGEST_LEARNED - 1].expand(3, H))
    assert PositionalEncoding(H)(LONGEST).shape == (LONGEST, H)
    with pytest.raises(ValueError, match=f"place {LONGEST} is beyond"):
        PositionalEncoding(H)(LONGEST + 1)


def test_only_learned_positions_are_parameters_and_only_they_are_saved():
    for name, kind in POSITIONS.items():
        module = kind(H)
        assert bool(list(module.parameters())) == bool(module.state_dict()) == (name == "learned")


def test_learned_positions_get_gradients_at_the_places_of_the_word():
    module = LearnedPositions(H)
    module(5).sum().backward()
    assert (module.weight.grad[:5] == 1).all() and (module.weight.grad[5:] == 0).all()
