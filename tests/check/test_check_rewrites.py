"""Right answers in other clothes pass, the library's own classes among them."""

import pytest
import rewrites

from a3lib import check
from a3lib.bert.classifier import BertForSentenceClassification
from a3lib.bert.fine_tuning import freeze
from a3lib.clip.ranking import rank_by_caption
from a3lib.translation import (
    attention,
    attention_rnn,
    gru,
    pig_latin,
    positional_encoding,
    transformer,
)

ALL = [(item, *one) for item, found in rewrites.RIGHT.items() for one in found]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    ("item", "learned", "options"), ALL, ids=[f"{item}-{one.__name__}" for item, one, _ in ALL]
)
def test_a_right_answer_passes(item, learned, options, seed):
    verdict = getattr(check, item)(learned, seed=seed, **options)
    assert verdict.right, str(verdict)


@pytest.mark.parametrize("number", range(len(rewrites.classifiers())))
def test_a_right_classifier_passes(number):
    verdict = check.sentence_classifier(rewrites.classifiers()[number])
    assert verdict.right, str(verdict)


def test_there_are_thirty_rewrites():
    assert len(ALL) + len(rewrites.classifiers()) >= 30


LIBRARY = [
    ("gru_cell", gru.MyGRUCell),
    ("additive_attention", attention.AdditiveAttention),
    ("scaled_dot_attention", attention.ScaledDotAttention),
    ("causal_attention", attention.CausalScaledDotAttention),
    ("rnn_attention_decoder", attention_rnn.RNNAttentionDecoder),
    ("transformer_decoder", transformer.TransformerDecoder),
    ("pig_latin", pig_latin.to_pig_latin),
    ("positional_encoding", positional_encoding.PositionalEncoding),
    ("sentence_classifier", BertForSentenceClassification),
    ("freezing", freeze),
    ("rank_by_caption", rank_by_caption),
]


@pytest.mark.parametrize(("item", "learned"), LIBRARY, ids=[item for item, _ in LIBRARY])
def test_the_librarys_own_class_passes(item, learned):
    verdict = getattr(check, item)(learned)
    assert verdict.right, str(verdict)


def test_the_years_decide_on_what_is_right():
    assert check.gru_cell(rewrites.PyTorchsForm, year=2019).right
    wrong = check.gru_cell(rewrites.PyTorchsForm, year=2022)
    assert wrong.mistakes == ("update gate reversed (PyTorch's z)",)
    assert not check.scaled_dot_attention(rewrites.OtherLayout, year=2022).right
    told = check.scaled_dot_attention(rewrites.OtherLayout, year=2023)
    assert "(B, queries, keys)" in told.remarks[0]


def test_the_form_of_the_reset_gate_is_told():
    assert "after the matrix product" in check.gru_cell(rewrites.FirstEdition).remarks[0]
    assert check.gru_cell(rewrites.SixLayers).remarks == ()
