"""Every mistake of the bank is caught and named; so are pairs of them."""

import random

import pytest
from bank_submissions import SPECS, accepted, pairs, verdict_on

MISTAKES = [(item, name) for item, spec in SPECS.items() for name in spec.bank.mistakes()]
SOME_PAIRS = [
    (item, pair)
    for item in SPECS
    for pair in random.Random(item).sample(sorted(map(sorted, pairs(item))), 5)
]


@pytest.mark.parametrize("item", SPECS)
def test_the_equations_are_right(item):
    assert verdict_on(item).right


@pytest.mark.parametrize("item", SPECS)
def test_the_bank_is_large_enough_and_has_no_two_names_for_one_formula(item):
    bank = SPECS[item].bank
    large = ("gru_cell", "additive_attention", "scaled_dot_attention", "causal_attention")
    assert len(bank.mistakes(accepted(item))) >= (15 if item in large else 8)
    formulas = [
        (one.variables, one.code.co_code, one.code.co_consts, one.reads)
        for one in bank.wrong.values()
    ]
    assert all(one.hint for one in bank.wrong.values())
    assert len(formulas) == len(bank.wrong)


@pytest.mark.parametrize(("item", "name"), MISTAKES)
def test_a_mistake_is_caught_and_named(item, name):
    verdict = verdict_on(item, [name])
    if name in accepted(item):
        assert verdict.right and verdict.remarks
    else:
        assert not verdict.right
        assert name in verdict.mistakes
        assert verdict.hint


@pytest.mark.parametrize(("item", "pair"), SOME_PAIRS)
def test_a_pair_of_mistakes_is_caught(item, pair):
    assert not verdict_on(item, pair).right
