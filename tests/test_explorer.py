"""The failure explorer: facts of each word, the words that are asked for, and each model's share of them."""

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.decoding import translate_words
from a3lib.explorer import FREQUENCIES, HYPHENS, SHOWN, accuracy, choose, chosen_html, failure_explorer, word_table
from a3lib.models import ModelSettings, build
from a3lib.pig_latin import to_pig_latin

WORDS = ["the", "air-conditioning", "quite", "yes", "elinor", "zebra", "shut"]
PAIRS = [(word, to_pig_latin(word)) for word in WORDS]
MODELS = {name: build(ModelSettings(hidden_size=4), seed) for seed, name in enumerate(("one", "two"))}


def known(right_one, right_two):
    """A table as `word_table` gives, with known outputs."""
    table = word_table(MODELS, PAIRS)
    for name, right in (("one", right_one), ("two", right_two)):
        table[name] = [t if w in right else t + "x" for w, t in zip(table["word"], table["target"], strict=True)]
    return table


TABLE = known({"the", "quite", "yes"}, {"the"})


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
    with pytest.raises(ValueError, match="no model to look at"):
        word_table({}, PAIRS)
    with pytest.raises(ValueError, match="may be called letters, target"):
        word_table({"target": MODELS["one"], "letters": MODELS["two"], "two": MODELS["two"]}, PAIRS)
    with pytest.raises(ValueError, match="no word to choose from"):
        failure_explorer(TABLE[:0])


@settings(deadline=None, max_examples=40)
@given(
    letters=st.tuples(st.integers(1, 9), st.none() | st.integers(1, 16)),
    cluster=st.none() | st.sampled_from(["", "th", "qu", "xyz"]),
    hyphen=st.sampled_from(list(HYPHENS.values())),
    frequency=st.sampled_from(list(FREQUENCIES.values())),
)
def test_the_chosen_words_are_those_that_fulfil_every_condition(letters, cluster, hyphen, frequency):
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
    parts = [choose(TABLE, frequency=limits) for name, limits in FREQUENCIES.items() if name != "any"]
    assert sorted(pd.concat(parts)["word"]) == sorted(WORDS)


def test_accuracy_is_the_share_of_each_model():
    table = accuracy(TABLE)
    assert list(table.index) == ["one", "two"]
    assert list(table["accuracy"]) == pytest.approx([3 / 7, 1 / 7])
    assert list(table["right"]) == [3, 1]
    assert list(table["words"]) == [7, 7]


def test_the_page_lists_the_words_that_most_models_get_wrong_first_with_a_mark():
    page = chosen_html(TABLE)
    assert "43%" in page and "14%" in page
    places = [page.index(f"<th>{word}</th>") for word in ("elinor", "quite", "the")]  # wrong in two, in one, in none
    assert places == sorted(places)
    assert page.count("✗") == 4 + 6
    assert page.count("✓") == 3 + 1
    assert "✗ elinorwayx" in page and "✓ ethay" in page


def test_a_page_lists_a_bounded_number_of_words_and_says_how_many_there_are():
    many = pd.concat([TABLE] * 9, ignore_index=True)
    page = chosen_html(many)
    assert page.count("✗") + page.count("✓") == 2 * SHOWN
    assert f"63 words; listed are {SHOWN}" in page


def test_no_word_and_markup_in_a_name_are_told_as_text():
    assert "No word is like that" in chosen_html(TABLE[:0])
    page = chosen_html(TABLE.rename(columns={"one": "<i>one</i>"}))
    assert "<i>" not in page and page.count("&lt;i&gt;one&lt;/i&gt;") == 2


def test_every_control_chooses():
    letters, cluster, hyphen, frequency, output = failure_explorer(TABLE).children
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
    assert [label for label, _ in cluster.options][:2] == ["any", "none"]  # the commonest cluster first
