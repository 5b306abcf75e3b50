"""Pig Latin: the rule, word lists and files as pairs, and the split into training and validation."""

import hashlib
import http.client
import random
import re
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

WORD_LISTS = ("small", "large", "test", "fresh")  # shipped with the package, made by a3lib.word_lists
TRAIN_FRACTION = 0.8  # the assignment's 80/20 split
SHORT = 7  # symbols of a word that may be one of three: longer ones would make batches wide and slow
LONGEST_DOWNLOAD = 64 * 2**20  # bytes; the course's large file has half a megabyte
_VALID = re.compile(r"[a-z-]+\Z")
_CLUSTER = re.compile(r"[^aeiouy-]*qu|[^aeiouy-]+")


def first_cluster(part):
    """The leading letters of a part that move to its end; '' where none does (first letter a vowel or y)."""
    match = _CLUSTER.match(part)
    return match.group() if match else ""


def to_pig_latin(word):
    """Translate one lower-case word of letters and hyphens.

    Each part between hyphens is translated on its own: a first vowel appends `way`, a first `y` appends `ay`,
    otherwise the whole leading consonant cluster (with the `u` of a final `qu`) moves to the end, followed by `ay`.
    An empty part stays empty. Raises ValueError for any other character.
    """
    if word and not _VALID.match(word):
        raise ValueError(f"{word!r} has characters other than a-z and '-': lower-case it and drop the others first")
    return "-".join(map(_translate_part, word.split("-")))


def _translate_part(part):
    if not part:
        return ""
    if part[0] in "aeiou":
        return part + "way"
    cluster = first_cluster(part)
    return part[len(cluster) :] + cluster + "ay"


def longest_translation(word):
    """Upper bound on the letters of a word's translation: the rule adds at most `way` to each part."""
    return len(word) + 3 * (word.count("-") + 1)


@dataclass(frozen=True)
class Pairs:
    """(word, translation) pairs with the name of their source and the lines that were dropped, by reason."""

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
        """Hash of the pairs in their order: the data's part in a run's identity."""
        return hashlib.sha256("\n".join(map(" ".join, self.pairs)).encode()).hexdigest()

    @property
    def report(self):
        """One sentence: how many pairs were kept, how many lines dropped and why."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.dropped.items())
        return f"{self.name}: {len(self):,} pairs kept, " + (
            f"lines dropped: {reasons}" if reasons else "no line dropped"
        )


def load_pairs(source, sha256=None):
    """Load pairs by list name ('small', 'large', 'test', 'fresh'), file path or http(s) URL.

    A file holds `english piglatin` a line, as the course's files do. Valid unique pairs are kept in their order (a
    word with two different targets keeps both); the rest is counted in `Pairs.dropped`. With `sha256` (hex) the bytes
    must have that hash. Nothing is written to disk. Raises OSError (FileNotFoundError for a missing file) if the
    source cannot be read and ValueError if what was read is not such a file.
    """
    source = str(source)
    if source in WORD_LISTS and sha256:
        raise ValueError(f"{source!r} is a list of this package and has no file to check: leave sha256 out")
    if source in WORD_LISTS:
        text = resources.files("a3lib").joinpath("data", f"{source}.txt").read_text(encoding="utf8")
        return Pairs(source, tuple((word, to_pig_latin(word)) for word in text.split()))
    is_url = source.startswith(("http://", "https://"))
    content = _download(source) if is_url else _read(source)
    found = hashlib.sha256(content).hexdigest()
    if sha256 and found != sha256.lower():
        raise ValueError(f"{source} has SHA-256 {found}, not the expected {sha256}: it changed, or the copy is damaged")
    return parse_pairs(content, source)


def parse_pairs(content, name):
    """Parse the bytes of a pair file; see `load_pairs`. Raises ValueError if no valid pair is in it."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not a UTF-8 text file of `english piglatin` lines ({error.reason})") from None
    if re.search(r"<(!doctype|html|head|\?xml)\b", text[:2000].lower()):
        raise ValueError(f"{name} is a web page, not a pair file: the download probably failed; fetch the file again")
    kept, dropped = {}, Counter()
    for line in text.splitlines():
        columns = tuple(line.lower().split())
        if not columns:
            dropped["blank"] += 1
        elif len(columns) != 2:
            dropped["without exactly two words"] += 1
        elif not all(map(_VALID.match, columns)):
            dropped["with characters other than letters and '-'"] += 1
        elif columns in kept:
            dropped["repeated"] += 1
        else:
            kept[columns] = None
    if not kept:
        lines = sum(dropped.values())
        raise ValueError(f"{name} holds no valid pair in {lines} lines: each line should be `english piglatin`")
    return Pairs(name, tuple(kept), dict(dropped))


def _read(path):
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist: give 'small', 'large', a URL or the path of a pair file")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise OSError(f"{path} cannot be read ({error.strerror}): is it a file, and may you read it?") from None


def _download(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            content = response.read(LONGEST_DOWNLOAD + 1)
            expected = response.headers.get("Content-Length")
    except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: a malformed address
        raise OSError(f"{url} cannot be fetched ({error}): check the address and the network, or give a file") from None
    if len(content) > LONGEST_DOWNLOAD:
        raise ValueError(f"{url} is larger than {LONGEST_DOWNLOAD >> 20} MB: this is not a pair file")
    if expected and expected.isdigit() and int(expected) != len(content):
        raise OSError(f"{url} broke off after {len(content)} of {expected} bytes: nothing was kept; try again")
    return content


def with_joined(pairs, count, seed, threes=0):
    """`Pairs` with `count` more, each made of two pairs that are drawn by `seed`; every other one is

    - joined: two words with a hyphen between them, and so their translations;
    - run together: the second word is put behind the first, and into the first's translation where its end stands.

    Then come `threes` of three short words with hyphens between them. The rule is not asked. What is taken for granted
    is that parts are translated apart, and that a translation is the word turned, with something at the end: both can
    be seen in the pairs. Raises ValueError where none is, and for `threes` without a short word.
    """
    generator = random.Random(seed)
    turned = [(pair, turn) for pair in pairs.pairs if (turn := _turn(*pair)) is not None]
    plain = [pair[0] for pair in pairs.pairs if "-" not in pair[0]]
    if count and not turned:
        raise ValueError(f"none of the {len(pairs)} translations is the word turned: there is nothing to run together")
    more = []
    for number in range(count):
        if number % 2:
            two = generator.choice(pairs.pairs), generator.choice(pairs.pairs)
            more.append(tuple("-".join(sides) for sides in zip(*two, strict=True)))
        else:
            ((word, target), turn), behind = generator.choice(turned), generator.choice(plain)
            end = len(word) - turn  # where the word's end stands in its translation
            more.append((word + behind, target[:end] + behind + target[end:]))
    short = [pair for pair in pairs.pairs if len(pair[0]) <= SHORT]
    if threes and not short:
        raise ValueError(
            f"none of the {len(pairs)} words has at most {SHORT} symbols: there is nothing to make threes of"
        )
    for _ in range(threes):
        more.append(tuple("-".join(sides) for sides in zip(*generator.choices(short, k=3), strict=True)))
    return Pairs(f"{pairs.name}+{len(more)}", pairs.pairs + tuple(more))


def _turn(word, target):
    """How many letters of a word have moved to its end; None for hyphens, and for words that only got an `ay`."""
    if "-" in word or target == word + "ay":
        return None
    return next((k for k in range(len(word)) if target.startswith(word[k:] + word[:k])), None)


@dataclass(frozen=True)
class Split:
    """Training and validation pairs that share no source word."""

    train: Pairs
    validation: Pairs


def split(pairs, seed, held_out=None):
    """Split `Pairs` by source word, both sides in an order shuffled by `seed`; the same on every machine.

    The validation side is the last fifth of the shuffled words or, with `held_out` (words), exactly the pairs of
    those words: one validation set for several data sets. Raises ValueError if a side is empty.
    """
    words = pairs.words
    random.Random(seed).shuffle(words)
    held_out = set(words[int(TRAIN_FRACTION * len(words)) :] if held_out is None else held_out)
    position = {word: place for place, word in enumerate(words)}
    ordered = sorted(pairs, key=lambda pair: position[pair[0]])
    train = tuple(pair for pair in ordered if pair[0] not in held_out)
    validation = tuple(pair for pair in ordered if pair[0] in held_out)
    if not train or not validation:
        raise ValueError(
            f"{pairs.name} splits into {len(train)} training and {len(validation)} validation pairs: "
            "both sides need at least one; use more words"
        )
    return Split(Pairs(f"{pairs.name}/train", train), Pairs(f"{pairs.name}/validation", validation))
