"""The failure explorer: facts of each word, the chosen words, each model's share of them."""

import pandas as pd
import pytest
import torch
from html_page import Page, read_aloud
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.lab.widgets.failure_explorer import (
    FREQUENCIES,
    HYPHENS,
    SHOWN,
    accuracy,
    choose,
    chosen_html,
    failure_explorer,
    word_table,
)
from a3lib.translation.greedy_decoding import translate_words
from a3lib.translation.models import ModelSettings, build
from a3lib.translation.pig_latin import to_pig_latin

WORDS = ["the", "air-conditioning", "quite", "yes", "elinor", "zebra", "shut"]
PAIRS = [(word, to_pig_latin(word)) for word in WORDS]
MODELS = {
    name: build(ModelSettings(hidden_size=4), seed) for seed, name in enumerate(("one", "two"))
}


def known(**right):
    """A table as `word_table` gives, with known outputs: of each model the right words."""
    table = word_table(MODELS, PAIRS)
    for name, words in right.items():
        pairs = zip(table["word"], table["target"], strict=True)
        table[name] = [target if word in words else target + "x" for word, target in pairs]
    return table


TABLE = known(one={"the", "quite", "yes"}, two={"the"})


def test_a_table_tells_the_facts_of_every_word_and_what_each_model_makes_of_it():
    threads = torch.get_num_threads()
    table = word_table(MODELS, PAIRS).set_index("word")
    assert torch.get_num_threads() == threads
    assert list(table.index) == WORDS
    assert list(table["letters"]) == [3, 15, 5, 3, 6, 5, 4]
    assert list(table["cluster"]) == ["th", "", "qu", "", "", "z", "sh"]
    assert list(table["hyphen"]) == [False, True, *[False] * 5]
    # as the committed table of the novels has them
    assert table["frequency"]["the"] > 10_000 > table["frequency"]["elinor"] > 500
    assert table["frequency"]["zebra"] == table["frequency"]["air-conditioning"] == 0
    for name, model in MODELS.items():
        expected = translate_words(model, WORDS, list(table["target"]))
        assert list(table[name]) == [decoded.text for decoded in expected]


def test_what_cannot_be_explored_is_told():
    with pytest.raises(ValueError, match="no model: give"):
        word_table({}, PAIRS)
    named = {"target": MODELS["one"], "letters": MODELS["two"], "two": MODELS["two"]}
    with pytest.raises(ValueError, match="may be called letters, target"):
        word_table(named, PAIRS)
    with pytest.raises(ValueError, match="no word to choose from"):
        failure_explorer(TABLE[:0])


@settings(deadline=None, max_examples=40, database=None, derandomize=True)
@given(
    letters=st.tuples(st.integers(1, 9), st.none() | st.integers(1, 16)),
    cluster=st.none() | st.sampled_from(["", "th", "qu", "xyz"]),
    hyphen=st.sampled_from(list(HYPHENS.values())),
    frequency=st.sampled_from(list(FREQUENCIES.values())),
)
def test_the_chosen_words_are_those_that_fulfil_every_condition(
    letters, cluster, hyphen, frequency
):
    def inside(value, low, high):
        return value >= low and (high is None or value <= high)

    expected = [
        row["word"]
        for _, row in TABLE.iterrows()
        if inside(row["letters"], *letters)
        and inside(row["frequency"], *frequency)
        and cluster in (None, row["cluster"])
        and hyphen in (None, row["hyphen"])
    ]
    assert list(choose(TABLE, letters, cluster, hyphen, frequency)["word"]) == expected


def test_the_frequencies_cover_every_word_once():
    parts = [
        choose(TABLE, frequency=limits) for name, limits in FREQUENCIES.items() if name != "any"
    ]
    assert sorted(pd.concat(parts)["word"]) == sorted(WORDS)


def test_accuracy_is_the_share_of_each_model():
    table = accuracy(TABLE)
    assert list(table.index) == ["one", "two"]
    assert list(table["accuracy"]) == pytest.approx([3 / 7, 1 / 7])
    assert list(table["right"]) == [3, 1]
    assert list(table["words"]) == [7, 7]


def test_the_page_lists_the_words_that_most_models_get_wrong_first_with_a_mark():
    html = chosen_html(TABLE)
    assert "43%" in html and "14%" in html
    # wrong in two, in one, in none
    places = [html.index(f"<th>{word}</th>") for word in ("elinor", "quite", "the")]
    assert places == sorted(places)
    assert html.count("✗") == 4 + 6
    assert html.count("✓") == 3 + 1
    assert "✗ elinorwayx" in html and "✓ ethay" in html


def test_a_page_lists_a_bounded_number_of_words_and_says_how_many_there_are():
    many = pd.concat([TABLE] * 9, ignore_index=True)
    html = chosen_html(many)
    assert html.count("✗") + html.count("✓") == 2 * SHOWN
    assert f"63 words; the {SHOWN} that most models get wrong are listed" in html


def test_every_page_is_read_aloud():
    assert "No word is like that" in read_aloud(chosen_html(TABLE[:0])).text
    page = Page(chosen_html(TABLE))
    assert page.live.split() == page.text.split()
    assert "7 words" in page.live and "elinorwayx" in page.live


ALLOWED = {"div", "p", "b", "table", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.parametrize("hostile", ["<i>x</i>", "<script>alert(1)</script>", "a & <b"])
def test_markup_in_names_and_outputs_is_shown_as_text(hostile):
    table = TABLE.rename(columns={"one": hostile})
    table.loc[0, "two"] = hostile
    page = Page(chosen_html(table))
    assert set(page.tags) <= ALLOWED
    assert page.text.count(hostile) == 3  # in both tables' heads, and as an output


@pytest.mark.parametrize("column", ["word", "target"])
def test_markup_in_words_is_shown_as_text(column):
    table = TABLE.copy()
    table.loc[0, column] = "<i>x</i>"
    page = Page(chosen_html(table))
    assert set(page.tags) <= ALLOWED and "<i>x</i>" in page.text


def test_every_control_chooses():
    *controls, output = failure_explorer(TABLE).children
    letters, cluster, hyphen, frequency = controls
    assert all(control.description for control in controls)
    assert output.value == chosen_html(TABLE)
    letters.value = (4, 15)
    assert output.value == chosen_html(TABLE[TABLE["letters"] >= 4])
    hyphen.value = False
    assert output.value == chosen_html(choose(TABLE, (4, 15), hyphen=False))
    cluster.value = ""
    assert output.value == chosen_html(TABLE[TABLE["word"] == "elinor"])
    frequency.value = FREQUENCIES["once"]
    assert "No word" in output.value
    frequency.value = FREQUENCIES["any"]
    cluster.value = None
    assert output.value == chosen_html(choose(TABLE, (4, 15), hyphen=False))
    options = [label for label, _ in cluster.options]
    assert options[:2] == ["any", "none"]  # the commonest cluster first
    assert set(options) == {"any", "none", "th", "qu", "z", "sh"}
