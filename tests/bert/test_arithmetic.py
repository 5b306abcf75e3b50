"""The 800 expressions, their splits, the course's files, scores and harder sets."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from a3lib.bert import arithmetic
from a3lib.bert.arithmetic import (
    NUMBERS,
    UNITS,
    expressions,
    label,
    load_expressions,
    scores,
    split,
)

ALL = expressions()


def test_the_enumeration_has_the_published_counts_and_index():
    assert len(ALL) == 800 and ALL["input"].is_unique
    assert ALL["label"].value_counts().sort_index().tolist() == [190, 21, 589]
    assert ALL["input"][400 + 20 * 7 + 9] == "seven minus nine" and ALL["label"][549] == 0
    assert ALL["input"][20 * 19 + 19] == "nineteen plus nineteen"


def test_the_number_words_are_those_of_0_to_99():
    assert len(NUMBERS) == len(set(NUMBERS)) == 100 and NUMBERS[:20] == UNITS
    assert (NUMBERS[0], NUMBERS[13], NUMBERS[20], NUMBERS[47], NUMBERS[99]) == (
        "zero",
        "thirteen",
        "twenty",
        "forty seven",
        "ninety nine",
    )


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
@settings(deadline=None, max_examples=50)
def test_value_reads_number_words(a, b, c):
    text = f"{NUMBERS[a]} minus {NUMBERS[b]} plus {NUMBERS[c]}"
    assert arithmetic.value(text) == a - b + c
    assert label(text) - 1 == (0 if a - b + c == 0 else math.copysign(1, a - b + c))


@pytest.mark.parametrize(
    "text",
    ["", "seven", "seven times nine", "seven minus", "7 minus 9", "ninety ten plus one"],
)
def test_other_text_is_no_expression(text):
    with pytest.raises(ValueError, match="not an expression"):
        arithmetic.value(text)


@pytest.mark.parametrize("seed", range(3))
def test_a_split_is_stratified_complete_and_seeded(seed):
    parts = split(ALL, seed)
    assert list(map(len, parts)) == [512, 128, 160]
    assert sorted(index for part in parts for index in part.index) == list(range(800))
    for part in parts:
        for number, share in enumerate((190 / 800, 21 / 800, 589 / 800)):
            assert abs((part["label"] == number).sum() - share * len(part)) < 1.5
    assert all(one.equals(two) for one, two in zip(parts, split(ALL, seed), strict=True))
    assert not parts.test.equals(split(ALL, seed + 1).test)


@pytest.mark.parametrize("seed", range(3))
def test_unseen_numbers_never_occur_in_training_and_always_in_the_test(seed):
    parts = split(ALL, seed, unseen_numbers=True)
    shown = {word for part in parts[:2] for text in part["input"] for word in text.split()}
    unseen = set(UNITS) - shown
    assert len(unseen) == 4 and not {"zero", "nineteen"} & unseen
    assert all(unseen & set(text.split()) for text in parts.test["input"])
    assert list(map(len, parts)) == [2 * 16**2 - 128, 128, 800 - 2 * 16**2]
    again = split(ALL, seed, unseen_numbers=True)
    assert all(one.equals(two) for one, two in zip(parts, again, strict=True))


@pytest.mark.parametrize("kind", arithmetic.HARDER)
def test_harder_sets_are_balanced_seeded_and_new(kind):
    frame = arithmetic.harder(kind, seed=3)
    assert frame["label"].value_counts().tolist() == [40, 40, 40] and frame["input"].is_unique
    assert not set(frame["input"]) & set(ALL["input"])
    assert frame.equals(arithmetic.harder(kind, seed=3))
    assert not frame.equals(arithmetic.harder(kind, seed=4))


def test_an_unknown_harder_set_is_refused():
    with pytest.raises(ValueError, match="larger numbers, three terms"):
        arithmetic.harder("fractions", seed=0)


def test_a_file_of_the_course_comes_back(tmp_path):
    part = split(ALL, 42).train
    part.to_csv(tmp_path / "train.csv")
    assert load_expressions(tmp_path / "train.csv").equals(part)


@pytest.mark.parametrize("mark", ["", "\ufeff"])  # some programs write a byte order mark
def test_a_file_may_have_quotes_and_an_empty_last_line(tmp_path, mark):
    path = tmp_path / "quoted.csv"
    path.write_text(f'{mark},input,label\n5,"five minus six",0\n\n', encoding="utf8")
    frame = load_expressions(path)
    assert frame.index.tolist() == [5] and frame["label"].tolist() == [0]


@pytest.mark.parametrize(
    "row, told",
    [
        ("7,zero plus one,0", "rows 7"),  # a wrong label
        ("7,zero plus two", "rows 7"),  # no label
        ("7,zero plus zero,1", "rows 7"),  # an expression that came before
        ("7,zero times four,2", "'zero times four'"),
        ("7,,1", "not an expression"),
        ("7,zero plus one,2,2", "line 3"),  # a field too many
    ],
)
def test_a_file_with_a_bad_row_is_refused_and_the_row_is_told(tmp_path, row, told):
    path = tmp_path / "bad.csv"
    path.write_text(f",input,label\n0,zero plus zero,1\n{row}\n", encoding="utf8")
    with pytest.raises(ValueError, match=told):
        load_expressions(path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        load_expressions(tmp_path / "none.csv")
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n", encoding="utf8")
    with pytest.raises(ValueError, match=",input,label"):
        load_expressions(path)
    path.write_text("", encoding="utf8")
    with pytest.raises(ValueError, match="No columns"):
        load_expressions(path)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
@settings(deadline=None, max_examples=50)
def test_scores_agree_with_scikit_learn_and_with_counting(pairs):
    true, predicted = zip(*pairs, strict=True)
    result = scores(true, predicted)
    assert result.accuracy == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))
    assert all(result.confusion[a][b] == pairs.count((a, b)) for a in range(3) for b in range(3))
    for number, recall in enumerate(result.recall):
        assert math.isnan(recall) == (number not in true)
    if set(predicted) <= set(true) != {true[0]}:  # elsewhere scikit-learn warns
        assert result.balanced == pytest.approx(balanced_accuracy_score(true, predicted))


def test_scores_of_tables_and_arrays_can_be_stored():
    labels = ALL["label"]
    expected = json.dumps(scores(labels.tolist(), labels.tolist()))
    assert json.dumps(scores(labels, labels.to_numpy())) == expected


def test_baselines_look_good_on_accuracy_only():
    rules = arithmetic.baselines(ALL, ALL).items()
    rules = {name: scores(ALL["label"], rule) for name, rule in rules}
    assert rules["majority"].accuracy == rules["plus means positive"].accuracy == 589 / 800
    assert rules["majority"].balanced == pytest.approx(1 / 3)
    assert rules["plus means positive"].recall == (1.0, 0.0, 399 / 589)
