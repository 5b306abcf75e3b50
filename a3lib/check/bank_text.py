"""The Pig Latin rule, and the tensors of a decoder-only translator (2023)."""

import re

import torch

from a3lib.check.bank import Bank


def moved(part, form, ending="ay"):
    """The part with a beginning of this form moved to its end."""
    first = re.match(form, part)[0]
    return part[len(first) :] + first + ending


def usual(part, ending="ay"):
    """The rule for a part that begins with a consonant."""
    return moved(part, "[^aeiouy]*qu|[^aeiouy]*", ending)


def translated(parts, vowel, y, other, empty):
    """Each part by what it begins with."""
    rules = {**dict.fromkeys("aeiou", vowel), "y": y, "": empty}
    return [rules.get(part[:1], other)(part) for part in parts]


def first_alone(translated, parts, *rules):
    """Only the first part translated."""
    return translated(parts[:1], *rules, lambda part: "") + parts[1:]


PIG_LATIN = Bank(
    "word",
    """
parts = word.split("-")  # How is 'well-known' translated?
  hyphens ignored: the word is one part | [word]
  only the first part is translated | word.split("-")[:1]
vowel = lambda p: p + "way"  # What happens to a part that begins with a vowel?
  'ay', not 'way', after a first vowel | lambda p: p + "ay"
  'yay', not 'way', after a first vowel | lambda p: p + "yay"
  'hay', not 'way', after a first vowel | lambda p: p + "hay"
  a first vowel is moved | lambda p: moved(p, ".")
  a part with a first vowel is left as it is | lambda p: p
y = lambda p: p + "ay"  # Is y a vowel or a consonant at the beginning of 'young'?
  a first y taken for a vowel: 'way' | lambda p: p + "way"
  a first y moved alone | lambda p: moved(p, ".")
  a first y moved, with the consonants after it | lambda p: moved(p, "y[^aeiou]*")
other = usual  # Which letters move, and what stops them?
  only the first letter is moved | lambda p: moved(p, ".")
  only the first letter is moved, or 'qu' | lambda p: moved(p, "qu|.")
  'qu' is not kept together | lambda p: moved(p, "[^aeiouy]*")
  'qu' is kept together only at the very beginning | lambda p: moved(p, "qu|[^aeiouy]*")
  y does not stop the moving | lambda p: moved(p, "[^aeiou]*qu|[^aeiou]*")
  y does not stop the moving, and 'qu' is not kept together | lambda p: moved(p, "[^aeiou]*")
  at most two letters are moved | lambda p: moved(p, "[^aeiouy]?qu|[^aeiouy]{1,2}")
  a part without a vowel is left as it is | lambda p: usual(p) if set(p) & set("aeiouy") else p
  'way' at the end of every part | lambda p: usual(p, "way")
  'ay' is missing | lambda p: usual(p, "")
empty = lambda p: ""  # What is left of '-' alone?
  an empty part gets 'ay' | lambda p: "ay"
  an empty part gets 'way' | lambda p: "way"
done = translated(parts, vowel, y, other, empty)  # How is 'well-known' translated?
  the first part alone is translated, the others stay | first(translated, parts, vowel, y, other)
outputs = ["-".join(done)]  # How are the parts put together again?
  parts joined without the hyphen | ["".join(done)]
  parts joined with a space | [" ".join(done)]
  parts in reverse order | ["-".join(done[::-1])]
""",
    {"first": first_alone, "moved": moved, "translated": translated, "usual": usual},
)

DECODER_TENSORS = Bank(
    "src_EOP tgt_EOS start_token",
    """
s, t = src_EOP, tgt_EOS  # Which of the two comes first?
  source and target exchanged | tgt_EOS, src_EOP
sos = full(s[:, :1], start_token)  # Which type have token numbers, and which shape has a column?
  SOS as a float | full(s[:, :1].float(), start_token)
  ones in place of SOS | full(s[:, :1], 1)
  zeros in place of SOS | full(s[:, :1], 0)
fed = cat([sos, s, t[:, :-1]], 1)  # Which symbol does the decoder see first, which one never?
  EOS kept in the input | cat([sos, s, t], 1)
  input not shifted: it equals the target | cat([s, t], 1)
  SOS missing | cat([s, t[:, :-1]], 1)
  SOS between source and target | cat([s, sos, t[:, :-1]], 1)
  SOS at the end | cat([s, t[:, :-1], sos], 1)
  SOS written over the first symbol, and EOS kept | cat([sos, s[:, 1:], t], 1)
  SOS written over the first symbol | cat([sos, s[:, 1:], t[:, :-1]], 1)
  EOP missing in the input | cat([sos, s[:, :-1], t[:, :-1]], 1)
  EOP missing and EOS kept in the input | cat([sos, s[:, :-1], t], 1)
  source missing in the input | cat([sos, t[:, :-1]], 1)
  target missing in the input | cat([sos, s], 1)
  the target's first symbol dropped, not its last | cat([sos, s, t[:, 1:]], 1)
  target before the source in the input | cat([sos, t, s[:, :-1]], 1)
  target before the source in the input, EOS kept | cat([sos, t, s], 1)
  two SOS | cat([sos, s, sos, t[:, :-1]], 1)
wanted = cat([s, t], 1)  # Under each symbol of the input, which one is to be predicted?
  target before the source | cat([t, s], 1)
  source missing in the target | t
  EOS missing in the target | cat([s, t[:, :-1]], 1)
  EOP missing in the target | cat([s[:, :-1], t], 1)
  first symbol missing in the target | cat([s[:, 1:], t], 1)
  SOS in the target | cat([sos, s, t], 1)
  SOS in the target, EOS dropped | cat([sos, s, t[:, :-1]], 1)
outputs = [fed, wanted]  # Which one goes into the decoder?
  input and target returned in the wrong order | [wanted, fed]
  input and target transposed | [fed.T, wanted.T]
""",
    {"cat": torch.cat, "full": torch.full_like},
)
