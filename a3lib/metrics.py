"""How good a translator is: losses under teacher forcing, exact words under greedy decoding."""

from typing import NamedTuple

import torch
from torch.nn import functional as F

from a3lib.batches import IGNORED, buckets
from a3lib.decoding import translate_words
from a3lib.pig_latin import first_cluster

CHUNK = 1024  # words evaluated at once: large enough to be fast, small enough for every model's memory


class Losses(NamedTuple):
    """Validation losses in nats."""

    per_token: float  # mean over all target symbols
    bucket_mean: float  # the hand-out's: unweighted mean over its bucket batches of their losses per token


@torch.no_grad()
def word_losses(model, encoded):
    """Summed loss of each word under teacher forcing (N,), in nats."""
    model.eval()
    total = torch.zeros(len(encoded), device=encoded.source.device, dtype=next(model.parameters()).dtype)
    order = torch.argsort(encoded.source_length + encoded.target_length, stable=True)
    for chosen in order.split(CHUNK):
        batch = encoded.batch(chosen)
        logits = model(batch.source, batch.prefix, batch.source_mask)  # (B, T, V)
        loss = F.cross_entropy(logits.transpose(1, 2), batch.target, ignore_index=IGNORED, reduction="none")  # (B, T)
        total[chosen] = loss.sum(1)
    return total


def losses(model, encoded, batch_size):
    """Both `Losses` of a data set; `batch_size` is the hand-out's size of a bucket batch."""
    total, tokens = word_losses(model, encoded).double().cpu(), encoded.target_length.cpu()
    means = [float(total[chosen].sum() / tokens[chosen].sum()) for chosen in buckets(encoded, batch_size)]
    return Losses(float(total.sum() / tokens.sum()), sum(means) / len(means))


def predictions(model, encoded):
    """A pandas table, one row a word: word, target, output, correct, letters, cluster, onset, hyphen, confidence.

    `cluster` is the first part's leading consonants, `onset` their number.
    """
    import pandas  # here, so that importing a3lib stays light

    translations = translate_words(model, encoded.words, encoded.translations)
    frame = pandas.DataFrame({"word": encoded.words, "target": encoded.translations})
    frame["output"] = [translation.text for translation in translations]
    frame["correct"] = frame["output"] == frame["target"]
    frame["letters"] = frame["word"].str.count("[a-z]")
    frame["cluster"] = frame["word"].map(first_cluster)
    frame["onset"] = frame["cluster"].str.len()
    frame["hyphen"] = frame["word"].str.contains("-")
    frame["confidence"] = [translation.confidence for translation in translations]
    return frame


def word_accuracy(frame, by=None):
    """Share of exactly right words in a `predictions` table; by a column: a table of share and count a value."""
    if by is None:
        return float(frame["correct"].mean())
    return frame.groupby(by)["correct"].agg(accuracy="mean", words="size")
