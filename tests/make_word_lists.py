"""Make the committed word lists from their tables: `python tests/make_word_lists.py [FOLDER]`."""

import csv
import random
import re
import sys
import zlib
from importlib import resources
from pathlib import Path

SEED = 413  # of every draw; fixed for good, since all records depend on the lists
SMALL, LARGE, TEST = 3198, 22402, 2000  # words: the course's two files, and each draw to test on
UNUSUAL = 500  # abbreviations, names, and words with made clusters, each
LONG = 15  # letters; from here on a word is long, and every unused one joins the test list
CONSONANTS = "bcdfghjklmnprstvwxz"  # of made clusters; q is left out, for it may take a u along
_WORD = re.compile(r"[a-z]+(-[a-z]+)*\Z")
_DATA = resources.files("a3lib").joinpath("data", "words")


def _table(name):
    with _DATA.joinpath("sources", name).open(encoding="utf8") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [row for row in rows if _WORD.match(row["word"])]


def word_lists():
    """{name: sorted list of words}, drawn from the tables of the novels and of SCOWL."""
    austen, scowl = _table("austen.tsv"), _table("scowl.tsv")
    novel = {row["word"] for row in austen if int(row["count_sense_and_sensibility"]) > 0}
    common = {row["word"] for row in scowl if row["level"] in ("10", "20")}
    level_35 = {row["word"] for row in scowl if row["level"] == "35"}
    generator = random.Random(SEED)
    small = set(generator.sample(sorted(novel), SMALL))
    large = novel | common
    large |= set(generator.sample(sorted(level_35 - large), LARGE - len(large)))
    every = {row["word"] for row in austen + scowl}
    unused = every - large
    long = {word for word in unused if len(word.replace("-", "")) >= LONG}
    test = long | set(generator.sample(sorted(unused - long), TEST))
    looked_at = set(generator.sample(sorted(unused - test), TEST))  # its mistakes were read
    fresh = set(generator.sample(sorted(unused - test - looked_at), TEST))  # and then this one's
    unseen = set(generator.sample(sorted(unused - test - looked_at - fresh), TEST))
    lists = {"small": small, "large": large, "test": test, "fresh": fresh, "unseen": unseen}
    rest = unused - test - looked_at - fresh - unseen
    for part, name in ((0, "practice-"), (1, "")):  # words to choose by, and others to measure on
        lists |= {name + kind: some for kind, some in _unusual(generator, rest, every, part)}
    return {name: sorted(words) for name, words in lists.items()}


def _unusual(generator, rest, every, part):
    """(kind, words) of one half of the unusual words; the halves have no word in common."""
    half = [row for row in _table("unusual.tsv") if _half(row["word"]) == part]
    for kind in ("abbreviation", "name"):
        known = sorted(
            row["word"] for row in half if row["kind"] == kind and row["word"] not in every
        )
        yield kind + "s", generator.sample(known, UNUSUAL)
    bases = [word for word in sorted(rest) if _half(word) == part and word[0] not in "aeiouy"]
    bodies = [re.sub(r"^[^aeiouy]*", "", word) for word in generator.sample(bases, UNUSUAL)]
    made = ["".join(generator.choices(CONSONANTS, k=generator.randint(2, 5))) for _ in bodies]
    yield "clusters", [cluster + body for cluster, body in zip(made, bodies, strict=True)]


def _half(word):
    return zlib.crc32(word.encode()) % 2


def write(folder):
    """Write each list as `<name>.txt`, one word per line, into `folder`."""
    for name, words in word_lists().items():
        text = "\n".join(words) + "\n"
        Path(folder, f"{name}.txt").write_text(text, encoding="utf8", newline="\n")


if __name__ == "__main__":
    write(sys.argv[1] if len(sys.argv) > 1 else str(_DATA))
