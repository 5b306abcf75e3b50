"""Word lists and the course's files as (word, translation) pairs."""

import hashlib
import http.client
import re
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from a3lib.translation.pig_latin import is_word, to_pig_latin

# shipped with the package; see a3lib/data/ORIGIN.md
PRACTICE = ("practice-abbreviations", "practice-names", "practice-clusters")  # to choose by
UNUSUAL = ("abbreviations", "names", "clusters")  # to measure on
WORD_LISTS = ("small", "large", "test", "fresh", "unseen", *PRACTICE, *UNUSUAL)
LONGEST_DOWNLOAD = 64 * 2**20  # bytes; the course's large file has half a megabyte


@dataclass(frozen=True)
class Pairs:
    """(word, translation) pairs, their source, and how many lines were dropped, by reason."""

    name: str
    pairs: tuple
    dropped: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.pairs)

    def __iter__(self):
        return iter(self.pairs)

    @property
    def words(self):
        """The different source words, sorted."""
        return sorted({word for word, _ in self.pairs})

    @property
    def sha256(self):
        """Hash of the pairs in their order: the data's part in a run's key."""
        return hashlib.sha256("\n".join(map(" ".join, self.pairs)).encode()).hexdigest()

    @property
    def report(self):
        """One sentence: how many pairs were kept, how many lines dropped and why."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.dropped.items())
        lines = f"lines dropped: {reasons}" if reasons else "no line dropped"
        return f"{self.name}: {len(self):,} pairs kept, {lines}"


def load_pairs(source, sha256=None):
    """Load pairs by the name of a list (`WORD_LISTS`), file path or http(s) URL.

    A file holds `english piglatin` per line, as the course's files do. Valid unique pairs are kept
    in their order (a word with two targets keeps both); the rest is counted in `Pairs.dropped`.
    With `sha256` (hex) the bytes must have that hash. Nothing is written to disk. Raises OSError
    (FileNotFoundError for a missing file) if the source cannot be read, ValueError if what was
    read is not such a file.
    """
    source = str(source)
    if source in WORD_LISTS and sha256:
        raise ValueError(f"{source!r} is a list of this package, not a file: leave sha256 out")
    if source in WORD_LISTS:
        file = resources.files("a3lib").joinpath("data", "words", f"{source}.txt")
        words = file.read_text(encoding="utf8").split()
        return Pairs(source, tuple((word, to_pig_latin(word)) for word in words))
    is_url = source.startswith(("http://", "https://"))
    content = _download(source) if is_url else _read(source)
    found = hashlib.sha256(content).hexdigest()
    if sha256 and found != sha256.lower():
        raise ValueError(
            f"{source} has SHA-256 {found}, not the expected {sha256}: "
            "it changed, or the copy is damaged"
        )
    return parse_pairs(content, source)


def parse_pairs(content, name):
    """Parse the bytes of a pair file, see `load_pairs`. Raises ValueError without a valid pair."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} is not a UTF-8 text file of `english piglatin` lines ({error.reason})"
        ) from None
    if re.search(r"<(!doctype|html|head|\?xml)\b", text[:2000].lower()):
        raise ValueError(f"{name} is a web page, not a pair file: fetch the file itself again")
    kept, dropped = {}, Counter()
    for line in text.splitlines():
        columns = tuple(line.lower().split())
        if not columns:
            dropped["blank"] += 1
        elif len(columns) != 2:
            dropped["without exactly two words"] += 1
        elif not all(map(is_word, columns)):
            dropped["with characters other than letters and '-'"] += 1
        elif columns in kept:
            dropped["repeated"] += 1
        else:
            kept[columns] = None
    if not kept:
        lines = sum(dropped.values())
        raise ValueError(
            f"{name} holds no valid pair in {lines} lines: each should be `english piglatin`"
        )
    return Pairs(name, tuple(kept), dict(dropped))


def _read(path):
    if not Path(path).exists():
        raise FileNotFoundError(
            f"{path} does not exist: give 'small', 'large', a URL or the path of a pair file"
        )
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise OSError(
            f"{path} cannot be read ({error.strerror}): is it a file, and may you read it?"
        ) from None


def _download(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            content = response.read(LONGEST_DOWNLOAD + 1)
            expected = response.headers.get("Content-Length")
    except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: a bad address
        raise OSError(
            f"{url} cannot be fetched ({error}): check the address and the network, or give a file"
        ) from None
    if len(content) > LONGEST_DOWNLOAD:
        megabytes = LONGEST_DOWNLOAD >> 20
        raise ValueError(f"{url} is larger than {megabytes} MB: this is not a pair file")
    if expected and expected.isdigit() and int(expected) != len(content):
        raise OSError(
            f"{url} broke off after {len(content)} of {expected} bytes: nothing was kept; try again"
        )
    return content
