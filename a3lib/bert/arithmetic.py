"""Verbal arithmetic: the 800 expressions of Part 3, their splits, harder sets and scores."""

import random
import re
from collections import namedtuple

LOW = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
UNITS = f"{LOW} fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
NUMBERS = UNITS + [f"{tens} {unit}".removesuffix(" zero") for tens in TENS for unit in UNITS[:10]]
SIGNS = {"plus": 1, "minus": -1}
CLASSES = ("negative", "zero", "positive")  # labels 0, 1, 2
HARDER = ("larger numbers", "three terms")
Parts = namedtuple("Parts", "train validation test")  # tables without a common row
# recall: of each class, NaN without an example; balanced: their mean; confusion: [true][predicted]
Scores = namedtuple("Scores", "accuracy balanced recall confusion")


def value(text):
    """The number that, say, 'seven minus twenty one plus two' means. ValueError for other text."""
    terms = re.split(r" (plus|minus) ", text)
    if len(terms) < 3 or any(number not in NUMBERS for number in terms[::2]):
        raise ValueError(f"{text!r} is not an expression like 'ninety nine minus seven plus two'")
    signs = [1, *(SIGNS[sign] for sign in terms[1::2])]
    return sum(s * NUMBERS.index(number) for s, number in zip(signs, terms[::2], strict=True))


def label(text):
    """0, 1 or 2 for an expression below, equal to or above zero."""
    number = value(text)
    return (number > 0) - (number < 0) + 1


def table(texts, index=None):
    """A pandas table of expressions and labels, with the columns of the course's files."""
    import pandas

    labels = [label(text) for text in texts]
    return pandas.DataFrame({"input": list(texts), "label": labels}, index=index)


def expressions():
    """All 800 expressions; the index is the published one, 400 * [minus] + 20 a + b."""
    return table([f"{a} {sign} {b}" for sign in SIGNS for a in UNITS for b in UNITS])


def load_expressions(path):
    """The table in a csv file of the course. ValueError for another header, text or label."""
    import pandas

    frame = pandas.read_csv(path, index_col=0)
    if list(frame) != ["input", "label"]:
        raise ValueError(f"{path} does not begin with ',input,label': is it a file of the course?")
    right = table(frame["input"].fillna(""), frame.index)
    wrong = frame.index[(frame["label"] != right["label"]) | frame["input"].duplicated()]
    if len(wrong):
        rows = ", ".join(map(str, wrong))
        raise ValueError(f"{path} has a wrong label or an expression again in the rows {rows}")
    return right


def split(frame, seed, unseen_numbers=False, held_out=160, validation=128):
    """Seeded `Parts`, each with the whole's shares of classes; the sizes are the published ones.

    With `unseen_numbers` the test has instead all expressions with one of four number words. These
    are neither 'zero' nor 'nineteen': the ends of the range would be extrapolation.
    """
    from sklearn.model_selection import train_test_split as divide

    if unseen_numbers:
        unseen = set(random.Random(seed).sample(UNITS[1:-1], 4))
        shown = frame["input"].map(lambda text: unseen.isdisjoint(text.split()))
        rest, test = frame[shown], frame[~shown]
    else:
        rest, test = divide(frame, test_size=held_out, random_state=seed, stratify=frame["label"])
    parts = divide(rest, test_size=validation, random_state=seed, stratify=rest["label"])
    return Parts(*parts, test)


def harder(kind, seed, size=120):
    """Other expressions, a third per class: of two numbers from 20 to 99, or a minus b plus c."""
    if kind not in HARDER:
        raise ValueError(f"the harder set is one of {', '.join(HARDER)}, not {kind!r}")
    larger, draw, found = kind == HARDER[0], random.Random(seed), ({}, {}, {})
    while min(map(len, found)) < size // 3:
        a, b, c = (draw.choice(NUMBERS[20:] if larger else UNITS) for _ in range(3))
        text = f"{a} {draw.choice(list(SIGNS))} {b}" if larger else f"{a} minus {b} plus {c}"
        found[label(text)][text] = None  # a dict is a set that keeps the order
    return table([text for texts in found for text in list(texts)[: size // 3]])


def scores(labels, predicted):
    """`Scores` of predicted classes."""
    pairs, numbers = list(zip(labels, predicted, strict=True)), range(len(CLASSES))
    confusion = tuple(tuple(pairs.count((a, b)) for b in numbers) for a in numbers)
    accuracy = sum(confusion[n][n] for n in numbers) / len(pairs)
    recall = [row[n] / sum(row) if any(row) else float("nan") for n, row in enumerate(confusion)]
    there = [share for share in recall if share == share]  # without NaN
    return Scores(accuracy, sum(there) / len(there), tuple(recall), confusion)


def baselines(train, test):
    """{name: predicted classes of `test`} of two rules that know no arithmetic."""
    signs = [2 if " plus " in text else 0 for text in test["input"]]
    return {"majority": [int(train["label"].mode()[0])] * len(test), "plus means positive": signs}
