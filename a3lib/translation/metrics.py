"""How good a translator is at whole words, under greedy decoding."""

from a3lib.translation.greedy_decoding import translate_words
from a3lib.translation.pig_latin import first_cluster


def predictions(model, encoded, may_be_empty=False):
    """A pandas table, one row per word of an `EncodedPairs`.

    Columns: word, target, output, correct, letters, cluster (the first part's leading consonants),
    onset (their number), hyphen, confidence.
    """
    import pandas  # here, so that importing a3lib stays light

    decoded = translate_words(model, encoded.words, encoded.translations, may_be_empty)
    frame = pandas.DataFrame({"word": encoded.words, "target": encoded.translations})
    frame["output"] = [word.text for word in decoded]
    frame["correct"] = frame["output"] == frame["target"]
    frame["letters"] = frame["word"].str.count("[a-z]")
    frame["cluster"] = frame["word"].map(first_cluster)
    frame["onset"] = frame["cluster"].str.len()
    frame["hyphen"] = frame["word"].str.contains("-")
    frame["confidence"] = [word.confidence for word in decoded]
    return frame


def word_accuracy(frame, by=None):
    """Share of exactly right words of a `predictions` table; by a column: share and count each."""
    if by is None:
        return float(frame["correct"].mean())
    return frame.groupby(by)["correct"].agg(accuracy="mean", words="size")
