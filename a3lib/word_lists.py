"""Make the committed word lists from their source tables: `python -m a3lib.word_lists [folder]`."""

import csv
import random
import re
import sys
from importlib import resources
from pathlib import Path

SEED = 413  # of every draw; fixed for good, since all records depend on the lists
SMALL, LARGE, TEST = 3198, 22402, 2000  # words; the sizes of the course's two files, and of the two draws to test on
LONG = 15  # letters; from here on a word counts as long and every unused one joins the test list
_WORD = re.compile(r"[a-z]+(-[a-z]+)*\Z")


def _table(name):
    with resources.files("a3lib").joinpath("data", "sources", name).open(encoding="utf8") as file:
        return [row for row in csv.DictReader(file, delimiter="\t") if _WORD.match(row["word"])]


def word_lists():
    """Return {'small', 'large', 'test', 'fresh'} -> sorted list of words, drawn from the novels' and SCOWL's tables."""
    austen, scowl = _table("austen.tsv"), _table("scowl.tsv")
    novel = {row["word"] for row in austen if int(row["count_sense_and_sensibility"]) > 0}
    common = {row["word"] for row in scowl if row["level"] in ("10", "20")}
    level_35 = {row["word"] for row in scowl if row["level"] == "35"}
    generator = random.Random(SEED)
    small = set(generator.sample(sorted(novel), SMALL))
    large = novel | common
    large |= set(generator.sample(sorted(level_35 - large), LARGE - len(large)))
    unused = {row["word"] for row in austen + scowl} - large
    long = {word for word in unused if len(word.replace("-", "")) >= LONG}
    test = long | set(generator.sample(sorted(unused - long), TEST))
    looked_at = set(generator.sample(sorted(unused - test), TEST))  # a first draw, whose mistakes were read
    fresh = generator.sample(sorted(unused - test - looked_at), TEST)
    return {"small": sorted(small), "large": sorted(large), "test": sorted(test), "fresh": sorted(fresh)}


def write(folder):
    """Write each list as `<name>.txt`, one word a line, into `folder`."""
    for name, words in word_lists().items():
        Path(folder, f"{name}.txt").write_text("\n".join(words) + "\n", encoding="utf8", newline="\n")


if __name__ == "__main__":
    write(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "data")
