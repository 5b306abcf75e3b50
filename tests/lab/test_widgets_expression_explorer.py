"""The expression explorer: what models say of a typed expression, and what one looks at."""

import re

import ipywidgets
import pytest
from html_page import Page, read_aloud
from tiny_bert import tiny_encoder

from a3lib.bert.arithmetic import CLASSES, expressions
from a3lib.bert.fine_tuning import logits_of
from a3lib.bert.heads import SentenceClassifier, encode
from a3lib.lab.widgets.expression_explorer import expression_explorer, expression_html

ENCODER = tiny_encoder()
ENCODER.model.set_attn_implementation("eager")
MODEL = SentenceClassifier(ENCODER, 0)
MODELS = {"fine-tuned": lambda table: logits_of(MODEL, encode(ENCODER, table)).softmax(1)}


def shares(page, row):
    """The percentages in a row of an HTML table."""
    line = re.search(rf"<tr><th[^>]*>{re.escape(row)}</th>(.*?)</tr>", page).group(1)
    return [int(value) for value in re.findall(r"(\d+)%", line)]


def test_an_expression_is_shown_with_probabilities_and_attention():
    html = expression_html("  Seven minus NINE ", MODELS, ENCODER)
    page = read_aloud(html)
    assert page.bold == "seven minus nine" and "seven minus nine is negative" in page.text
    assert all(name in page.text for name in CLASSES)
    assert abs(sum(shares(html, "fine-tuned")) - 100) <= 1
    probabilities = MODELS["fine-tuned"](expressions().loc[[549]])[0].tolist()
    expected = [round(100 * share) for share in probabilities]
    assert shares(html, "fine-tuned") == pytest.approx(expected, abs=1)
    for row in ("1. [CLS]", "3. minus"):
        assert len(shares(html, row)) == 5 and abs(sum(shares(html, row)) - 100) <= 3


@pytest.mark.parametrize("text", ["", "seven times nine", "<script>", "one plus <b>two</b>"])
def test_what_cannot_be_read_is_explained_and_escaped(text):
    page = read_aloud(expression_html(text, MODELS, ENCODER))
    assert "is not an expression" in page.text and set(page.tags) == {"div"}


def test_a_name_of_a_model_is_shown_as_text():
    page = Page(expression_html("one plus two", {"<i>": MODELS["fine-tuned"]}, ENCODER))
    assert "<i>" in page.text and "i" not in page.tags


def test_typing_changes_what_is_shown():
    field, output = expression_explorer(MODELS, ENCODER, "one plus two").children
    assert isinstance(field, ipywidgets.Text) and field.description
    assert "is positive" in output.value
    for text, told in (("one minus two", "is negative"), ("one", "is not"), ("", "is not")):
        field.value = text
        assert told in output.value
        assert output.value == expression_html(text, MODELS, ENCODER)
