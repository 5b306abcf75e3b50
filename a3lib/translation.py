"""Translating text: words go through a translator, what stands between them is kept."""

import re
import unicodedata
from typing import NamedTuple

from a3lib.decoding import translate_words

LONGEST_WORD = 64  # letters; the longest training word has 20, longer "words" are copied as they are
_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_KNOWN = re.compile(r"[a-z-]+\Z")


class Translation(NamedTuple):
    """A translated text."""

    text: str
    words: dict  # each translated word, lower case, in order of appearance -> its `Decoded`
    untranslated: tuple  # characters that the model has no symbol for, in order of appearance
    notes: tuple  # a sentence for everything that was not translated


def translate(sentence, model):
    """Translate a text -> `Translation`. Capitals are kept, as is everything between words.

    A word's apostrophes are dropped (the vocabulary has none); words with digits or letters outside a-z, and words of
    more than 64 letters, are copied. All three are told in `notes`. Raises TypeError if `sentence` is not a string.
    """
    if not isinstance(sentence, str):
        raise TypeError(f"the text to translate is a string, not {type(sentence).__name__}: pass text, '' for none")
    sentence = unicodedata.normalize("NFC", sentence)  # é as one character, however it was typed
    pieces, end = [], 0
    for match in _WORD.finditer(sentence):
        pieces += [sentence[end : match.start()], match.group()]
        end = match.end()
    gaps, words = [*pieces[::2], sentence[end:]], pieces[1::2]
    plain = [_plain(word) for word in words]
    known = {word for word in plain if _KNOWN.match(word) and len(word) <= LONGEST_WORD}
    ordered = [low for low in dict.fromkeys(plain) if low in known]
    decoded = dict(zip(ordered, translate_words(model, ordered), strict=True)) if ordered else {}
    out = [_cased(decoded[low].text, word) if low in known else word for word, low in zip(words, plain, strict=True)]
    result = "".join(gap + word for gap, word in zip(gaps, [*out, ""], strict=True))
    foreign = [c for piece in zip(gaps, [*words, ""], strict=True) for c in _foreign(*piece)]
    return Translation(result, decoded, tuple(dict.fromkeys(foreign)), _notes(gaps, words, known))


def _plain(word):
    return re.sub("['’]", "", word).lower()


def _is_foreign(character):
    """Whether a character is a letter, digit or sign that the vocabulary lacks; plain punctuation is only kept."""
    if _KNOWN.match(character.lower()):
        return False
    kind = unicodedata.category(character)[0]
    return kind in "LMN" or character == "_" or (kind == "S" and not character.isascii())


def _cased(translated, original):
    if len(original) > 1 and original.isupper():
        return translated.upper()
    return translated.capitalize() if original[0].isupper() else translated


def _foreign(gap, word):
    return [c for c in gap if _is_foreign(c)] + [c for c in word if c in "'’" or _is_foreign(c)]


def _notes(gaps, words, known):
    notes = []
    for word in words:
        foreign = " ".join(dict.fromkeys(filter(_is_foreign, word)))
        shown = word if len(word) <= LONGEST_WORD else word[:20] + "…"
        if _plain(word) not in known:
            notes.append(f"“{shown}” was copied: it has {foreign or f'more than {LONGEST_WORD} letters'}.")
        elif re.search("['’]", word):
            notes.append(f"“{shown}” was translated without its apostrophe.")
    symbols = " ".join(dict.fromkeys(c for gap in gaps for c in gap if _is_foreign(c)))
    if symbols:
        notes.append(f"Copied as they are: {symbols}.")
    return tuple(dict.fromkeys(notes))
