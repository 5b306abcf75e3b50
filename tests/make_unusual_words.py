"""Make the table of abbreviations and names again: `python tests/make_unusual_words.py FOLDER`.

FOLDER is usr/share/dict/scowl of Debian's package scowl 2020.12.07-2 (`dpkg-deb -x`). Levels up to
70 are taken, words of the letters A to Z alone, in lower case; a word of both kinds counts as an
abbreviation.
"""

import re
import sys
from pathlib import Path

TARGET = Path(__file__).parents[1] / "a3lib/data/words/sources/unusual.tsv"
KINDS = {
    "abbreviation": ("english-abbreviations", r"[A-Za-z]+"),
    "name": ("english-proper-names", r"[A-Z][a-z]+"),
}


def words(folder, prefix, pattern):
    """The words of all files of one kind, in lower case."""
    files = (path for path in Path(folder).glob(f"{prefix}.*") if int(path.suffix[1:]) <= 70)
    lines = (line for path in files for line in path.read_text(encoding="latin1").splitlines())
    return {line.lower() for line in lines if re.fullmatch(pattern, line)}


def main():
    found = {}
    for kind, (prefix, pattern) in KINDS.items():
        for word in words(sys.argv[1], prefix, pattern):
            found.setdefault(word, kind)
    rows = [f"{word}\t{kind}" for word, kind in sorted(found.items())]
    TARGET.write_text("\n".join(["word\tkind", *rows]) + "\n", encoding="utf8", newline="\n")


if __name__ == "__main__":
    main()
