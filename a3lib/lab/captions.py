"""Words of captions: remarks on a typed one, false captions, and which words belong to a label."""

import itertools
import random
import re

import numpy as np

LONGEST = 10_000  # characters of a caption that are looked at; every model reads fewer
COLOURS = ("black", "white", "grey", "brown", "red", "orange", "yellow", "green", "blue", "purple")
COUNTS = ("two", "three", "four", "five")
RELATIONS = ("on", "in", "at", "by", "with", "under", "over", "among")
SMALL_WORDS = {"a", "an", "the", "of", "her", "its", "to", "out", "front", "next", *RELATIONS}


def tidy(caption, model):
    """A typed caption -> (caption in single spaces, list of remarks for the reader)."""
    text = " ".join(caption[:LONGEST].split())
    if not text:
        return "", ["The caption is empty: describe what the picture shows in English words."]
    notes, tokens = [], model.count_tokens(text)
    if tokens > model.context_length or len(caption) > LONGEST:
        reads = f"{model.name} reads {model.context_length} tokens (CLIP reads 77)"
        notes.append(f"{reads}, this caption has {tokens} or more: the rest is not looked at.")
    if odd := " ".join(sorted({character for character in text if not character.isascii()})[:8]):
        notes.append(f"The model learned from English text; it may make nothing of {odd}.")
    return text, notes


def content_words(caption):
    """The words of a caption that name something: articles and prepositions left out."""
    return [word for word in caption.split() if word.lower() not in SMALL_WORDS]


def some_words(caption, number, seed):
    """`number` of the content words (or all of them), drawn with a seed, in their order."""
    words = content_words(caption)
    kept = random.Random(f"{seed} {caption}").sample(range(len(words)), min(number, len(words)))
    return " ".join(words[i] for i in sorted(kept))


def with_word_replaced(caption, words):
    """All captions in which one word out of `words` has become another one of them."""
    parts = caption.split()
    places = [i for i, part in enumerate(parts) if part in words]
    changes = [(i, word) for i in places for word in words if word != parts[i]]
    return [" ".join([*parts[:i], word, *parts[i + 1 :]]) for i, word in changes]


def with_sides_exchanged(caption):
    """The caption with the sides of its first relation exchanged, in a list; else an empty list."""
    found = re.search(rf"^(.+?) (in front of|next to|{'|'.join(RELATIONS)}) (.+)$", caption)
    return [f"{found[3]} {found[2]} {found[1]}"] if found else []


def preference(gallery, foils, places):
    """Share of its false captions, `foils(caption)`, that fit a picture less well; ties count half.

    One number per picture at `places` that has foils. A caption fits by its score on the picture
    minus its mean score on all: one that every picture likes wins nothing, and a blind model gets
    one half.
    """
    captions = [gallery.photographs[place].caption for place in places]
    false = [foils(caption) for caption in captions]
    texts = [*captions, *itertools.chain(*false)]
    scores = gallery.scores(texts)  # (texts, N)
    fits = dict(zip(texts, (scores - scores.mean(1, keepdim=True)).numpy(), strict=True))
    shares = []
    for place, caption, wrong in zip(places, captions, false, strict=True):
        gaps = np.array([fits[caption][place] - fits[foil][place] for foil in wrong])
        if len(gaps):
            shares.append(((gaps > 0) + 0.5 * (gaps == 0)).mean())
    return np.array(shares)


def is_in_class_name(label, class_name):
    """Whether a label is part of a class name by whole words: *bat* is not part of *wombat*."""
    return bool(re.search(rf"(?<![\w-]){re.escape(label)}(?![\w-])", class_name, re.IGNORECASE))


def is_label_word(word, label):
    """Whether a caption's word is one of a label's, in singular or plural; small words never are.

    Both words are tried with a regular ending added; none is cut off, so *scissors* stays whole.
    """
    texts = [word, *content_words(label)]
    word, *parts = (re.sub(r"^\W+|\W+$", "", text).lower() for text in texts)
    return any(word == part or word == _plural(part) or part == _plural(word) for part in parts)


def _plural(noun):
    if re.search("[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + ("es" if re.search("(s|x|z|ch|sh)$", noun) else "s")
