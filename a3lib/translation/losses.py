"""The loss that is trained, and the two that are reported; all in nats, under teacher forcing."""

from typing import NamedTuple

import torch
from torch.nn import functional as F

from a3lib.translation.batches import IGNORED, buckets, by_length

CHUNK = 1024  # words evaluated at once: fast, and small enough for every model's memory


class Losses(NamedTuple):
    """Losses of a data set."""

    per_token: float  # mean over all target symbols
    bucket_mean: float  # the hand-out's: unweighted mean over its buckets of their losses per token


def token_loss(logits, target):
    """Mean cross entropy per token: logits (B, T, V), target (B, T) with IGNORED at padding."""
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=IGNORED)


@torch.no_grad()
def word_losses(model, encoded):
    """Summed loss of each word (N,), on the CPU in double precision; leaves eval mode on."""
    model.eval()
    total = torch.zeros(len(encoded), dtype=torch.double)
    groups = length_groups(model, encoded)
    for chosen, batch in zip(groups, encoded.batches(groups), strict=True):
        logits = model(batch.source, batch.prefix, batch.source_mask)  # (B, T, V)
        loss = F.cross_entropy(
            logits.transpose(1, 2), batch.target, ignore_index=IGNORED, reduction="none"
        )  # (B, T)
        total[chosen] = loss.sum(1).double().cpu()
    return total


def losses(model, encoded, batch_size):
    """Both `Losses`; `batch_size` is the hand-out's size of a bucket."""
    total, tokens = word_losses(model, encoded), encoded.target_length
    means = [total[group].sum() / tokens[group].sum() for group in buckets(encoded, batch_size)]
    return Losses(float(total.sum() / tokens.sum()), float(torch.stack(means).mean()))


def length_groups(model, encoded, size=CHUNK):
    """Places of an `EncodedPairs` in groups of similar length; of equal length without masks."""
    if not model.takes_masks:
        return by_length(encoded, size)
    order = torch.argsort(encoded.source_length + encoded.target_length, stable=True)
    return list(order.split(size))
