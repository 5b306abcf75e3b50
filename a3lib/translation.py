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
    pieces, end = [], 0
    for match in _WORD.finditer(sentence):
        pieces += [sentence[end : match.start()], match.group()]
        end = match.end()
    gaps, words = [*pieces[::2], sentence[end:]], pieces[1::2]
    plain = [re.sub("['’]", "", word).lower() for word in words]
    known = {word for word in plain if _KNOWN.match(word) and len(word) <= LONGEST_WORD}
    ordered = [low for low in dict.fromkeys(plain) if low in known]
    decoded = dict(zip(ordered, translate_words(model, ordered), strict=True)) if ordered else {}
    out = [_cased(decoded[low].text, word) if low in known else word for word, low in zip(words, plain, strict=True)]
    result = "".join(gap + word for gap, word in zip(gaps, [*out, ""], strict=True))
    return Translation(result, decoded, *_untranslated(gaps, words, plain, known))


def _cased(translated, original):
    if len(original) > 1 and original.isupper():
        return translated.upper()
    return translated.capitalize() if original[0].isupper() else translated


def _untranslated(gaps, words, plain, known):
    unknown, notes = {}, {}
    for word, low in zip(words, plain, strict=True):
        foreign = [c for c in word if not re.match("[A-Za-z-]", c)]
        unknown.update(dict.fromkeys(foreign))
        shown = word if len(word) <= LONGEST_WORD else word[:20] + "…"
        if low not in known:
            reason = (
                f"it has {' '.join(dict.fromkeys(foreign))}" if foreign else f"it has more than {LONGEST_WORD} letters"
            )
            notes[f"“{shown}” was copied: {reason}."] = None
        elif foreign:
            notes[f"“{shown}” was translated without its apostrophe."] = None
    symbols = [c for gap in gaps for c in gap if ord(c) > 127 and unicodedata.category(c)[0] in "SLMN"]
    unknown.update(dict.fromkeys(symbols))
    if symbols:
        notes[f"Copied as they are: {' '.join(dict.fromkeys(symbols))}."] = None
    return tuple(unknown), tuple(notes)
