"""What a mistake would have led to: sentences that say what was measured, for every mistake that trains."""

import copy
import csv
from pathlib import Path

import pytest
import torch
from consequences import ITEMS, SEEDS, TABLE, recorded, rows, sentence
from wrong_models import RNN, TRANSFORMER, classifier, measured, translator, words

from a3lib import check
from a3lib.bert import arithmetic
from a3lib.bert.classifier import BertForSentenceClassification, from_encoder
from a3lib.bert.heads import encode
from a3lib.pretrained.encoders import load_encoder
from a3lib.translation.gru import MyGRUCell
from a3lib.translation.models import ModelSettings, build

RIGHT = [
    {"ends": "", "training": 0.1, "unseen": 0.2, "right": n, "endless": 0, "repeats": 0}
    for n in (0.8, 0.9)
]


def told(**changes):
    return sentence({**RIGHT[0], **changes}, RIGHT)


def test_the_table_says_what_was_recorded():
    with TABLE.open(encoding="utf-8", newline="") as file:
        table = [(row["item"], row["mistake"], row["sentence"]) for row in csv.DictReader(file)]
    assert table == list(rows(recorded()))


def test_every_mistake_that_can_be_trained_has_a_sentence():
    there = {(item, mistake) for item, mistake, _ in rows(recorded())}
    assert there == {(title, n) for title, bank in ITEMS.values() for n in bank.mistakes()}


def test_the_readme_counts_them():
    told = [text for _, _, text in rows(recorded())]
    unseen = sum("gone unnoticed" in text or "done better" in text for text in told)
    hidden = sum("hidden it" in text for text in told)
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf8")
    assert f"of {len(told)} mistakes that were put into a small model" in readme
    assert f"trained, {unseen} would have gone unnoticed" in readme
    assert f"with {hidden} the training loss looked perfect" in readme


def test_a_sentence_tells_the_kinds_of_ends_apart():
    kinds = [
        told(ends="does not fit"),
        told(ends="diverged", update=3),
        told(right=0.76),
        told(right=0.99),
        told(right=0.0, training=0.01),
        told(right=0.5),
        told(right=0.1, training=1.53),
    ]
    parts = [
        "not have run",
        "NaN at update 3",
        "gone unnoticed",
        "done better",
        "hidden it: none of the",
    ]
    for one, part in zip(kinds, [*parts, "but worse: 50%", "stayed at 1.5"], strict=True):
        assert part in one and one.endswith(".") and sum(part in other for other in kinds) == 1
    assert "85% without it" in told(right=0.5) and "almost none" in told(right=0.003)
    assert "30% never end" in told(right=0.5, endless=0.3)
    assert "never end" not in told(right=0.5, endless=0.1)


LIBRARY = {
    "gru_cell": ModelSettings("gru", 48),
    "additive_attention": RNN,
    "rnn_attention_decoder": RNN,
    "scaled_dot_attention": TRANSFORMER,
    "causal_attention": TRANSFORMER,
    "transformer_decoder": TRANSFORMER,
    "positional_encoding": TRANSFORMER,
}


@pytest.mark.parametrize("item", LIBRARY)
def test_the_right_formulas_compute_what_the_library_s_classes_do(item):
    batch = words(0)[1].batch(torch.arange(1))
    model, library = translator(item, (), 0), build(LIBRARY[item], 0).double()
    ours, theirs = (one(batch.source, batch.prefix) for one in (model, library))
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_so_do_those_of_the_lstm_and_the_classifier():
    cell = translator("lstm_cell", (), 0).encoder.gru
    lstm = torch.nn.LSTMCell(96, 48).double()
    for side, letter in (("ih", "i"), ("hh", "h")):  # PyTorch's order of gates is i, f, g, o
        layers = [getattr(cell, f"W{letter}{gate}") for gate in "ifgo"]
        getattr(lstm, f"weight_{side}").data = torch.cat([one.weight for one in layers])
        getattr(lstm, f"bias_{side}").data = torch.cat([one.bias for one in layers])
    x, state = torch.randn(3, 96).double(), torch.randn(3, 96).double()
    torch.testing.assert_close(cell(x, state), torch.cat(lstm(x, state.chunk(2, 1)), 1))
    encoder = load_encoder(source="offline")
    inputs, labels = encode(encoder, arithmetic.expressions()[:4]).batch(slice(None), "cpu")
    pair = [
        from_encoder(one, encoder, 0).eval()
        for one in (BertForSentenceClassification, classifier(()))
    ]
    (a, loss), (b, ours) = (one(labels=labels, **copy.copy(inputs)) for one in pair)
    torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss.double(), ours, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "mistake", ["no causal mask", "triangles exchanged: only later keys are seen"]
)
def test_a_training_of_today_ends_as_the_recorded_one(mistake):
    of_item = [one for one in recorded() if one["item"] == "causal_attention"]
    right = [one for one in of_item if not one["mistake"]]
    old = next(one for one in of_item if one["mistake"] == mistake)
    new = measured("causal_attention", mistake, SEEDS[0])
    before, after = (sentence(one, right).split(":")[0].rstrip("0123456789.") for one in (old, new))
    assert before.split()[:8] == after.split()[:8]


def test_a_verdict_tells_what_the_mistake_would_have_led_to():
    class Kept(MyGRUCell):
        def forward(self, x, h_prev):
            return (1 - torch.sigmoid(self.Wiz(x) + self.Whz(h_prev))) * h_prev

    verdict = check.gru_cell(Kept)
    known = {(item, name): text for item, name, text in rows(recorded())}
    assert verdict.mistakes == ("candidate dropped",)
    assert verdict.consequence == known["GRU cell", "candidate dropped"]
    assert verdict.consequence in str(verdict) and "Had it not been caught" in verdict._repr_html_()
    assert not check.gru_cell(MyGRUCell).consequence
