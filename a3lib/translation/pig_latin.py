"""Pig Latin: the rule that reproduces the assignment's word lists."""

import re

_VALID = re.compile(r"[a-z-]+\Z")
_CLUSTER = re.compile(r"[^aeiouy-]*qu|[^aeiouy-]+")


def to_pig_latin(word):
    """Translate one lower-case word of letters and hyphens.

    Each part between hyphens is translated on its own: a first vowel appends `way`, a first `y`
    appends `ay`, otherwise the whole leading consonant cluster (with the `u` of a final `qu`) moves
    to the end, followed by `ay`. An empty part stays empty. Raises ValueError for any other
    character.
    """
    if word and not is_word(word):
        raise ValueError(
            f"{word!r} has characters other than a-z and '-': lower-case it and drop the others"
        )
    return "-".join(map(_translate_part, word.split("-")))


def _translate_part(part):
    if not part:
        return ""
    if part[0] in "aeiou":
        return part + "way"
    cluster = first_cluster(part)
    return part[len(cluster) :] + cluster + "ay"


def first_cluster(part):
    """The leading letters of a part that move to its end; '' for a first vowel or y."""
    match = _CLUSTER.match(part)
    return match.group() if match else ""


def is_word(word):
    """Whether a text has at least one character and none but a-z and '-'."""
    return bool(_VALID.match(word))


def longest_translation(word):
    """Upper bound on the letters of a word's translation: each part gets at most `way`."""
    return len(word) + 3 * (word.count("-") + 1)
