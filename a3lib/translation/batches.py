"""The vocabulary of the assignment, words as tensors, and batches of them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

SYMBOLS = "-abcdefghijklmnopqrstuvwxyz"  # indices 0..26
SOS, EOS = 27, 28  # start and end of a sequence
V = 29  # vocabulary size; padding is a mask, not a symbol
IGNORED = -100  # target at a padded place: skipped by the cross entropy
KINDS = ("buckets", "shuffled", "by-source-length", "padded")  # of batches, see `Batches`
JITTER = 2.0  # symbols added at random to a length before sorting, so that batches differ
_INDEX = {symbol: index for index, symbol in enumerate(SYMBOLS)}


def indices(word):
    """The symbol indices of a word, with EOS at the end. Raises ValueError for another symbol."""
    try:
        return [_INDEX[symbol] for symbol in word] + [EOS]
    except KeyError as error:
        wrong = error.args[0]
        raise ValueError(f"{word!r} holds {wrong!r}, which is not among {SYMBOLS}") from None


def text(symbols):
    """The word that a list of symbol indices spells, up to the first EOS."""
    symbols = list(symbols)
    end = symbols.index(EOS) if EOS in symbols else None
    return "".join(SYMBOLS[index] for index in symbols[:end])


def pad(sequences, value):
    """Lists of indices -> (N, longest) with `value` at padded places, lengths (N,)."""
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    padded = np.full((len(sequences), int(lengths.max())), value)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(padded), lengths


class Batch(NamedTuple):
    """Words of one update; B words of at most S source and T target symbols, EOS included."""

    source: torch.Tensor  # (B, S)
    source_mask: torch.Tensor | None  # (B, S) True at symbols; None where no word is padded
    prefix: torch.Tensor  # (B, T) SOS, then the target but for its last symbol; EOS where padded
    target: torch.Tensor  # (B, T) IGNORED at padded places
    tokens: int  # target symbols that count


@dataclass(frozen=True)
class EncodedPairs:
    """All N pairs of a data set, encoded once. Lengths stay on the CPU: no GPU waits for them."""

    words: tuple  # N source words
    translations: tuple  # N target words
    source: torch.Tensor  # (N, S)
    target: torch.Tensor  # (N, T) IGNORED at padded places
    source_length: torch.Tensor  # (N,)
    target_length: torch.Tensor  # (N,)

    def __len__(self):
        return len(self.words)

    def to(self, device):
        """The same pairs with their symbols on `device`."""
        tensors = (self.source.to(device), self.target.to(device))
        return EncodedPairs(
            self.words, self.translations, *tensors, self.source_length, self.target_length
        )

    def first(self, number):
        """The first pairs alone, at most so many."""
        tensors = (self.source, self.target, self.source_length, self.target_length)
        some = (tensor[:number] for tensor in tensors)
        return EncodedPairs(self.words[:number], self.translations[:number], *some)

    def batch(self, chosen):
        """The `Batch` of the chosen places (B,), cut to its longest words."""
        return next(self.batches([chosen]))

    def batches(self, groups):
        """The `Batch` of each group (B,) of places; the symbols are gathered once for all."""
        order = torch.cat(list(groups))
        on_device = order.to(self.source.device)
        source, target = self.source[on_device], self.target[on_device]
        prefix = torch.cat([torch.full_like(target[:, :1], SOS), target[:, :-1]], dim=1)
        prefix = prefix.masked_fill(target == IGNORED, EOS)  # EOS, which no prefix holds
        seen = source != IGNORED
        source = source.masked_fill(~seen, 0)
        end = 0
        for group in groups:
            start, end = end, end + len(group)
            S, T = int(self.source_length[group].max()), int(self.target_length[group].max())
            padded = int(self.source_length[group].min()) < S
            yield Batch(
                source[start:end, :S],
                seen[start:end, :S] if padded else None,
                prefix[start:end, :T],
                target[start:end, :T],
                int(self.target_length[group].sum()),
            )


def encode_pairs(pairs):
    """Encode (word, translation) pairs as `EncodedPairs` on the CPU."""
    words, translations = zip(*pairs, strict=True)
    source, source_length = pad([indices(word) for word in words], IGNORED)
    target, target_length = pad([indices(word) for word in translations], IGNORED)
    return EncodedPairs(words, translations, source, target, source_length, target_length)


def buckets(encoded, batch_size):
    """The hand-out's: groups of equal source and target length, in their given order."""
    groups = {}
    lengths = zip(encoded.source_length.tolist(), encoded.target_length.tolist(), strict=True)
    for place, key in enumerate(lengths):
        groups.setdefault(key, []).append(place)
    return [part for group in groups.values() for part in torch.tensor(group).split(batch_size)]


def by_length(encoded, batch_size, generator=None):
    """Groups of equal source length, whatever the target's; members drawn by a generator."""
    length = encoded.source_length
    noise = 0 if generator is None else torch.rand(len(encoded), generator=generator)
    order = torch.argsort(length + noise, stable=True)
    counts = torch.unique_consecutive(length[order], return_counts=True)[1].tolist()
    return [part for group in order.split(counts) for part in group.split(batch_size)]


def padded(encoded, batch_size, generator):
    """Groups of similar length: sorted by length with jitter, then cut."""
    length = encoded.source_length + encoded.target_length
    order = torch.argsort(length + JITTER * torch.rand(len(encoded), generator=generator))
    return list(order.split(batch_size))


class Batches:
    """The batches of every epoch over a data set.

    `kind` is 'buckets' (the hand-out's, the same order in every epoch), 'shuffled' (those, in a new
    order every epoch), 'by-source-length' or 'padded'. An epoch's batches depend on the seed and
    its number alone, so training resumes anywhere. Raises ValueError for another kind.
    """

    def __init__(self, encoded, kind, batch_size, seed):
        if kind not in KINDS:
            raise ValueError(f"batches are one of {', '.join(KINDS)}, not {kind!r}")
        self.encoded, self.kind, self.batch_size, self.seed = encoded, kind, batch_size, seed
        self._cached = (None, [])
        self.batches_per_epoch = len(self.of_epoch(0))

    def of_epoch(self, number):
        """The list of batches of an epoch, which shows every pair once."""
        number = 0 if self.kind == "buckets" else number
        if self._cached[0] != number:
            self._cached = (number, list(self.encoded.batches(self._groups(number))))
        return self._cached[1]

    def updates(self, first, count):
        """The batches of the updates first, ..., first + count - 1, counted over all epochs."""
        for update in range(first, first + count):
            epoch, place = divmod(update, self.batches_per_epoch)
            yield self.of_epoch(epoch)[place]

    def _groups(self, number):
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + number)
        if self.kind in ("buckets", "shuffled"):
            groups = buckets(self.encoded, self.batch_size)
        elif self.kind == "by-source-length":
            groups = by_length(self.encoded, self.batch_size, generator)
        else:
            groups = padded(self.encoded, self.batch_size, generator)
        if self.kind == "buckets":
            return groups
        return [groups[i] for i in torch.randperm(len(groups), generator=generator).tolist()]
