"""Every mistake of the bank is caught and named; so are pairs of them."""

import random
import re
from dataclasses import replace

import pytest
import torch
from bank_submissions import SPECS, accepted, pairs, verdict_on

from a3lib import check
from a3lib.check import functions
from a3lib.check.bank import FOLDER, Bank, written
from a3lib.check.runner import Runner

FURTHER = ("rnn_attention_decoder_lstm", "transformer_decoder_only", "exceptions")

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
    formulas = {
        (one.variables, one.code.co_code, one.code.co_consts, one.code.co_names)
        for one in bank.wrong.values()
    }
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


def test_every_file_of_mistakes_is_read_and_whole():
    """Each is a bank or a part of one; nothing is left to be filled in where it is used."""
    read, texts = set(), []

    def follow(name):
        read.add(name)
        for line in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
            if line.startswith("@"):
                follow(line[1:].split(" ")[0])

    for name in [*check.ITEMS, *FURTHER]:
        if (FOLDER / f"{name}.txt").exists():
            follow(name)
            texts.append(written(name))
    assert read == {path.stem for path in FOLDER.glob("*.txt")}
    assert not any(re.search(r"{[a-z]+}|^@", text, re.M) for text in texts)


@pytest.mark.parametrize(
    "line", ["x, h", "  no formula", "  a name | x +", "y = (x", "  twice | 1"]
)
def test_a_line_that_cannot_be_read_is_shown_with_the_two_forms(line):
    with pytest.raises(ValueError, match="name of a mistake") as told:
        Bank("x", f"outputs = [x]  # What?\n  twice | [2 * x]\n{line}")
    assert repr(line) in str(told.value)


def test_a_line_that_a_lecturer_adds_is_a_mistake_with_a_name():
    text = written("rank_by_caption").replace(
        "  the worst picture comes first",
        "  all pictures but the best one | scores.argsort(descending=True)[1:]\n"
        "  the worst picture comes first",
    )
    spec = replace(functions.RANKS, bank=Bank("caption pictures", text, {"torch": torch}))

    def rank_by_caption(caption, pictures):
        return (pictures @ caption / pictures.norm(dim=1)).argsort(descending=True)[1:]

    verdict = spec(Runner({"it": rank_by_caption}), "it")
    assert verdict.mistakes == ("all pictures but the best one",)
