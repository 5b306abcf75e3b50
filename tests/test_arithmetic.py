"""The 800 expressions, their splits, the course's files, scores and harder sets."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from a3lib import arithmetic
from a3lib.arithmetic import UNITS, expressions, in_words, label, load_expressions, scores, split, split_numbers

ALL = expressions()


def test_the_enumeration_has_the_published_counts_and_index():
    assert len(ALL) == 800 and ALL["input"].is_unique
    assert ALL["label"].value_counts().sort_index().tolist() == [190, 21, 589]
    assert ALL["input"][400 + 20 * 7 + 9] == "seven minus nine" and ALL["label"][549] == 0
    assert ALL["input"][20 * 19 + 19] == "nineteen plus nineteen"


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
@settings(deadline=None, max_examples=50)
def test_value_reads_what_in_words_writes(a, b, c):
    text = f"{in_words(a)} minus {in_words(b)} plus {in_words(c)}"
    assert arithmetic.value(text) == a - b + c
    assert label(text) - 1 == (0 if a - b + c == 0 else math.copysign(1, a - b + c))


@pytest.mark.parametrize("text", ["", "seven", "seven times nine", "seven minus", "7 minus 9", "ninety ten plus one"])
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


def test_held_out_numbers_never_occur_in_training():
    parts = split_numbers(ALL, seed=1)
    shown = {word for part in parts[:2] for text in part["input"] for word in text.split()}
    unseen = set(UNITS) - shown
    assert len(unseen) == 4 and not {"zero", "nineteen"} & unseen
    assert all(unseen & set(text.split()) for text in parts.test["input"])
    assert sum(map(len, parts)) == 800


@pytest.mark.parametrize("kind", arithmetic.HARDER)
def test_harder_sets_are_balanced_seeded_and_new(kind):
    frame = arithmetic.harder(kind, seed=3)
    assert frame["label"].value_counts().tolist() == [40, 40, 40] and frame["input"].is_unique
    assert not set(frame["input"]) & set(ALL["input"])
    assert frame.equals(arithmetic.harder(kind, seed=3)) and not frame.equals(arithmetic.harder(kind, seed=4))


def test_an_unknown_harder_set_is_refused():
    with pytest.raises(ValueError, match="larger numbers, three terms"):
        arithmetic.harder("fractions", seed=0)


def test_a_file_of_the_course_comes_back(tmp_path):
    path = tmp_path / "train.csv"
    part = split(ALL, 42).train
    part.to_csv(path)
    loaded = load_expressions(path)
    assert loaded.table.equals(part) and loaded.report == "512 expressions kept, 0 rows dropped"


def test_bad_rows_are_told_with_their_lines(tmp_path):
    rows = [",input,label", "0,zero plus zero,1", "1,zero plus one,0", "2,zero plus two", "x,zero plus three,2"]
    rows += ["4,zero times four,2", "0,zero plus zero,1", '5,"five minus six",0', ""]
    path = tmp_path / "bad.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf8")
    loaded = load_expressions(path)
    assert loaded.table.index.tolist() == [0, 5] and loaded.table["label"].tolist() == [1, 0]
    assert [line for line, _ in loaded.bad] == [3, 4, 5, 6, 7, 9]
    assert "line 3: 'zero plus one' has the label 2, not 0" in loaded.report and "came before" in loaded.report


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_expressions(tmp_path / "none.csv")
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n", encoding="utf8")
    with pytest.raises(ValueError, match=",input,label"):
        load_expressions(path)
    path.write_text("", encoding="utf8")
    with pytest.raises(ValueError, match=",input,label"):
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


def test_base_lines_look_good_on_accuracy_only():
    rules = {name: scores(ALL["label"], rule) for name, rule in arithmetic.base_lines(ALL, ALL).items()}
    assert rules["majority"].accuracy == rules["plus means positive"].accuracy == 589 / 800
    assert rules["majority"].balanced == pytest.approx(1 / 3)
    assert rules["plus means positive"].recall == (1.0, 0.0, 399 / 589)
