"""Translating text: words go through a translator, what stands between them is kept."""

import re
import unicodedata
from typing import NamedTuple

from a3lib.translation.greedy_decoding import translate_words
from a3lib.translation.pig_latin import is_word

LONGEST_WORD = 64  # letters; the longest training word has 20, longer "words" are copied
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


class Translation(NamedTuple):
    """A translated text."""

    text: str
    words: dict  # each translated word, lower case, in order of appearance -> its `Decoded`
    untranslated: tuple  # characters that the model has no symbol for, in order of appearance
    notes: tuple  # a sentence for everything that was not translated


def translate(sentence, model):
    """Translate a text -> `Translation`. Capitals are kept, as is everything between words.

    A word's apostrophes are dropped (the vocabulary has none); words with digits or letters outside
    a-z, and words of more than 64 letters, are copied. `notes` tells all three. Raises TypeError if
    `sentence` is not a string.
    """
    if not isinstance(sentence, str):
        kind = type(sentence).__name__
        raise TypeError(f"the text to translate is a string, not {kind}: pass text, '' for none")
    sentence = unicodedata.normalize("NFC", sentence)  # é as one character, however it was typed
    pieces, end = [], 0
    for match in _WORD.finditer(sentence):
        pieces += [sentence[end : match.start()], match.group()]
        end = match.end()
    gaps, words = [*pieces[::2], sentence[end:]], pieces[1::2]
    plain = {word: re.sub("['’]", "", word).lower() for word in words}
    known = {low for low in plain.values() if is_word(low) and len(low) <= LONGEST_WORD}
    ordered = [low for low in dict.fromkeys(plain[word] for word in words) if low in known]
    decoded = dict(zip(ordered, translate_words(model, ordered), strict=True)) if ordered else {}
    out = [_cased(decoded[plain[w]].text, w) if plain[w] in known else w for w in words]
    result = "".join(gap + word for gap, word in zip(gaps, [*out, ""], strict=True))
    in_order = [piece for pair in zip(gaps, [*words, ""], strict=True) for piece in pair]
    foreign = [c for piece in in_order for c in piece if _is_foreign(c)]
    return Translation(
        result, decoded, tuple(dict.fromkeys(foreign)), _notes(gaps, words, plain, known)
    )


def _is_foreign(character):
    """Whether a character is a letter, digit or sign that the vocabulary lacks."""
    if is_word(character.lower()):
        return False
    kind = unicodedata.category(character)[0]
    return kind in "LMN" or character in "_'’" or (kind == "S" and not character.isascii())


def _cased(translated, original):
    if len(original) > 1 and original.isupper():
        return translated.upper()
    return translated.capitalize() if original[0].isupper() else translated


def _notes(gaps, words, plain, known):
    notes = []
    for word in words:
        foreign = " ".join(dict.fromkeys(c for c in word if _is_foreign(c) and c not in "'’"))
        shown = word if len(word) <= LONGEST_WORD else word[:20] + "…"
        if plain[word] not in known:
            reason = foreign or f"more than {LONGEST_WORD} letters"
            notes.append(f"“{shown}” was copied: it has {reason}.")
        elif re.search("['’]", word):
            notes.append(f"“{shown}” was translated without its apostrophe.")
    symbols = " ".join(
        dict.fromkeys(c for gap in gaps for c in gap if _is_foreign(c) and c not in "'’")
    )
    if symbols:
        notes.append(f"Copied as they are: {symbols}.")
    return tuple(dict.fromkeys(notes))
