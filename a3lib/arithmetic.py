"""Verbal arithmetic: the 800 expressions of Part 3, splits, the course's files, scores, base lines and harder sets."""

import random
import re
from pathlib import Path
from typing import NamedTuple

LOW = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
UNITS = f"{LOW} fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905 (to be read)
SIGNS = {"plus": 1, "minus": -1}
CLASSES = ("negative", "zero", "positive")  # labels 0, 1, 2
HARDER = ("larger numbers", "three terms")


class Parts(NamedTuple):
    """Three tables of expressions without a common row."""

    train: object
    validation: object
    test: object


class Loaded(NamedTuple):
    """The good rows of a file as a table, and (line number, reason) of each bad one."""

    table: object
    bad: tuple

    @property
    def report(self):
        """How many rows were kept, and where the others are."""
        dropped = "".join(f"; line {line}: {reason}" for line, reason in self.bad)
        return f"{len(self.table)} expressions kept, {len(self.bad)} rows dropped{dropped}"


class Scores(NamedTuple):
    """How good predictions are; a class without an expression has no recall (NaN) and no part in `balanced`."""

    accuracy: float
    balanced: float  # mean recall
    recall: tuple  # of each class
    confusion: tuple  # rows: true class; columns: predicted class


def in_words(number):
    """0..99 in words, without hyphens."""
    if number < 20:
        return UNITS[number]
    return TENS[number // 10 - 2] + (f" {UNITS[number % 10]}" if number % 10 else "")


NUMBERS = {in_words(number): number for number in range(100)}


def value(text):
    """The number that an expression like 'seven minus twenty one plus two' means. Raises ValueError for other text."""
    numbers = re.split(r" (plus|minus) ", text)
    if len(numbers) < 3 or any(number not in NUMBERS for number in numbers[::2]):
        raise ValueError(
            f"{text!r} is not an expression: write number words (zero to ninety nine), plus and minus"
        )
    signs = [1, *(SIGNS[sign] for sign in numbers[1::2])]
    return sum(sign * NUMBERS[number] for sign, number in zip(signs, numbers[::2], strict=True))


def label(text):
    """0, 1 or 2 for an expression below, equal to or above zero."""
    number = value(text)
    return (number > 0) - (number < 0) + 1


def table(texts, index=None):
    """A pandas table of expressions with their labels, as the course's files have them."""
    import pandas

    return pandas.DataFrame(
        {"input": list(texts), "label": [label(text) for text in texts]}, index=index
    )


def expressions():
    """All 800 expressions; the index is the published one, 400 * [minus] + 20 a + b."""
    return table([f"{a} {sign} {b}" for sign in SIGNS for a in UNITS for b in UNITS])


def split(frame, seed, held_out=160, validation=128):
    """Seeded `Parts`, each with the classes in the proportions of the whole (the sizes are the published ones)."""
    from sklearn.model_selection import train_test_split

    rest, test = train_test_split(
        frame, test_size=held_out, random_state=seed, stratify=frame["label"]
    )
    train, valid = train_test_split(
        rest, test_size=validation, random_state=seed, stratify=rest["label"]
    )
    return Parts(train, valid, test)


def split_numbers(frame, seed, held_out=4, validation=128):
    """Seeded `Parts` whose test expressions all contain one of some number words that the other two never show.

    The held-out words are neither 'zero' nor the ends of the range: those would be extrapolation.
    """
    from sklearn.model_selection import train_test_split

    unseen = set(random.Random(seed).sample(UNITS[1:-1], held_out))
    test = frame["input"].map(lambda text: not unseen.isdisjoint(text.split()))
    train, valid = train_test_split(
        frame[~test], test_size=validation, random_state=seed, stratify=frame[~test]["label"]
    )
    return Parts(train, valid, frame[test])


def harder(kind, seed, size=120):
    """Different seeded expressions, a third of each class: of two numbers from 20 to 99, or `a minus b plus c`."""
    if kind not in HARDER:
        raise ValueError(f"the harder set is one of {', '.join(HARDER)}, not {kind!r}")
    draw, found = random.Random(seed), {0: {}, 1: {}, 2: {}}
    while min(map(len, found.values())) < size // 3:
        a, b, c = (
            in_words(draw.randint(*((20, 99) if kind == "larger numbers" else (0, 19))))
            for _ in range(3)
        )
        text = (
            f"{a} {draw.choice(list(SIGNS))} {b}"
            if kind == "larger numbers"
            else f"{a} minus {b} plus {c}"
        )
        found[label(text)][text] = None
    return table([text for texts in found.values() for text in list(texts)[: size // 3]])


def load_expressions(path):
    """Read a file of the course (header `,input,label`) -> `Loaded`.

    A row is bad without three fields, with a text that is no expression or came before, or with a label that
    contradicts the arithmetic. Raises ValueError for another header, FileNotFoundError without a file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"{path} does not exist: give the path of one of the course's csv files"
        )
    header, *lines = Path(path).read_text(encoding="utf-8-sig").splitlines() or [""]
    if header.replace('"', "").strip() != ",input,label":
        raise ValueError(
            f"{path} begins with {header!r}, not with ',input,label': is it a file of the course?"
        )
    good, bad = {}, []
    for number, line in enumerate(lines, start=2):
        try:
            index, text = _row(line)
            if text in good:
                raise ValueError(f"{text!r} came before")
            good[text] = index
        except ValueError as error:
            bad.append((number, str(error)))
    return Loaded(table(good, list(good.values())), tuple(bad))


def _row(line):
    fields = [field.strip().strip('"') for field in line.split(",")]
    if len(fields) != 3 or not fields[0].isdigit():
        raise ValueError(f"{line!r} is not 'index,expression,label'")
    index, text, written = fields
    if written != str(label(text)):
        raise ValueError(f"{text!r} has the label {label(text)}, not {written}")
    return int(index), text


def scores(labels, predicted):
    """`Scores` of predicted classes."""
    from sklearn.metrics import confusion_matrix

    confusion = confusion_matrix(labels, predicted, labels=range(len(CLASSES)))
    counts = confusion.sum(1)
    recall = [
        right / n if n else float("nan")
        for right, n in zip(confusion.diagonal(), counts, strict=True)
    ]
    there = [value for value in recall if value == value]
    accuracy = float(confusion.diagonal().sum() / counts.sum())
    return Scores(
        accuracy,
        float(sum(there) / len(there)),
        tuple(map(float, recall)),
        tuple(map(tuple, confusion.tolist())),
    )


def base_lines(train, test):
    """{name: predicted classes of `test`} of two rules that know no arithmetic."""
    return {
        "majority": [int(train["label"].mode()[0])] * len(test),
        "plus means positive": [2 if " plus " in text else 0 for text in test["input"]],
    }
