"""The vocabulary of the assignment, words as tensors, and batches of them."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

SYMBOLS = "-abcdefghijklmnopqrstuvwxyz"  # indices 0..26
SOS, EOS = 27, 28  # start and end of a sequence
V = 29  # vocabulary size; padding is a mask, not a symbol
IGNORED = -100  # target at a padded position: skipped by the cross entropy
KINDS = ("buckets", "shuffled", "by-source-length", "padded")  # of batches, see `Batches`
JITTER = 2.0  # symbols added at random to a length before sorting, so that batches differ from pass to pass
_INDEX = {symbol: index for index, symbol in enumerate(SYMBOLS)}


def indices(word):
    """The symbol indices of a word, with EOS at the end. Raises ValueError for a symbol outside the vocabulary."""
    try:
        return [_INDEX[symbol] for symbol in word] + [EOS]
    except KeyError as error:
        raise ValueError(f"{word!r} holds {error.args[0]!r}, which is not among the symbols {SYMBOLS}") from None


def text(symbols):
    """The word that a list of symbol indices spells, up to the first EOS."""
    symbols = list(symbols)
    return "".join(SYMBOLS[i] for i in symbols[: symbols.index(EOS) if EOS in symbols else None])


def pad(sequences):
    """Lists of indices -> (values (N, longest), lengths (N,)); padded places hold 0."""
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    values = np.zeros((len(sequences), int(lengths.max())), dtype=np.int64)
    for row, sequence in zip(values, sequences, strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(values), lengths


class Batch(NamedTuple):
    """Words of one update; B words of at most S source and T target symbols, EOS included."""

    source: torch.Tensor  # (B, S)
    source_mask: torch.Tensor | None  # (B, S) True at symbols; None where no word is padded
    prefix: torch.Tensor  # (B, T) SOS, then the target without its last symbol; EOS at padded places
    target: torch.Tensor  # (B, T) IGNORED at padded places
    tokens: int  # target symbols that count


@dataclass(frozen=True)
class EncodedPairs:
    """All N pairs of a data set, encoded once, on one device."""

    words: tuple  # N source words
    translations: tuple  # N target words
    source: torch.Tensor  # (N, S)
    source_length: torch.Tensor  # (N,)
    target: torch.Tensor  # (N, T) IGNORED at padded places
    target_length: torch.Tensor  # (N,)

    def __len__(self):
        return len(self.words)

    def to(self, device):
        """The same pairs with their four tensors on `device`."""
        names = ("source", "source_length", "target", "target_length")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def batch(self, chosen):
        """The `Batch` of the chosen positions (B,), cut to its longest words."""
        source_length, target_length = self.source_length[chosen], self.target_length[chosen]
        longest_source, longest_target = int(source_length.max()), int(target_length.max())
        target = self.target[chosen, :longest_target]  # (B, T)
        # EOS, which no prefix holds, marks its padding
        prefix = torch.cat([torch.full_like(target[:, :1], SOS), target[:, :-1]], dim=1)  # (B, T)
        prefix = prefix.masked_fill(target == IGNORED, EOS)
        places = torch.arange(longest_source, device=self.source.device)
        padded = int(source_length.min()) < longest_source
        mask = places < source_length[:, None] if padded else None  # (B, S)
        return Batch(self.source[chosen, :longest_source], mask, prefix, target, int(target_length.sum()))


def encode_pairs(pairs):
    """Encode (word, translation) pairs as `EncodedPairs` on the CPU."""
    words, translations = zip(*pairs, strict=True)
    source, source_length = pad([indices(word) for word in words])
    target, target_length = pad([indices(word) for word in translations])
    target[torch.arange(target.shape[1]) >= target_length[:, None]] = IGNORED
    return EncodedPairs(words, translations, source, source_length, target, target_length)


def buckets(encoded, batch_size):
    """The hand-out's batches: words of equal source and target length in their given order, at most `batch_size`."""
    groups = {}
    lengths = zip(encoded.source_length.tolist(), encoded.target_length.tolist(), strict=True)
    for position, key in enumerate(lengths):
        groups.setdefault(key, []).append(position)
    return [
        torch.tensor(group[start : start + batch_size])
        for group in groups.values()
        for start in range(0, len(group), batch_size)
    ]


def padded(encoded, batch_size, generator):
    """Batches of similar length in random order: sorted by length with jitter, cut, then shuffled by `generator`."""
    length = (encoded.source_length + encoded.target_length).cpu()
    order = torch.argsort(length + JITTER * torch.rand(len(encoded), generator=generator))
    batches = order.split(batch_size)
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def by_source_length(encoded, batch_size, generator):
    """Batches of equal source length but any target length, members and order drawn anew by `generator`."""
    length = encoded.source_length.cpu()
    order = torch.argsort(length + torch.rand(len(encoded), generator=generator))
    groups = order.split(torch.unique_consecutive(length[order], return_counts=True)[1].tolist())
    batches = [batch for group in groups for batch in group.split(batch_size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


class Batches:
    """The batches of every pass over a data set.

    `kind` is 'buckets' (the hand-out's, the same order in every pass), 'shuffled' (those, in a new order each pass),
    'by-source-length' or 'padded'. Pass p depends on the seed and p alone, so training resumes anywhere. Raises
    ValueError for another kind.
    """

    def __init__(self, encoded, kind, batch_size, seed):
        if kind not in KINDS:
            raise ValueError(f"batches are one of {', '.join(KINDS)}, not {kind!r}")
        self.encoded, self.kind, self.batch_size, self.seed = encoded, kind, batch_size, seed
        self._cached = (None, [])
        self.passes = len(self.of_pass(0))  # batches in one pass; the same for all passes

    def of_pass(self, number):
        """The list of batches of pass `number`."""
        cached_number, batches = self._cached
        if cached_number is None or (self.kind != "buckets" and cached_number != number):
            batches = [self.encoded.batch(chosen) for chosen in self._chosen(number)]
            self._cached = (number, batches)
        return batches

    def updates(self, first, count):
        """The batches of the updates first, ..., first + count - 1, counted over all passes."""
        for update in range(first, first + count):
            yield self.of_pass(update // self.passes)[update % self.passes]

    def _chosen(self, number):
        if self.kind == "buckets":
            return buckets(self.encoded, self.batch_size)
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + number)
        if self.kind == "by-source-length":
            return by_source_length(self.encoded, self.batch_size, generator)
        if self.kind == "padded":
            return padded(self.encoded, self.batch_size, generator)
        batches = buckets(self.encoded, self.batch_size)
        return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]
