"""What tells a transformer where a symbol stands: position vectors to add, or the rotation of queries and keys."""

import torch
from torch import nn

LONGEST = 1000  # positions with a sinusoid or a rotation
LONGEST_LEARNED = 32  # rows of the learned table; the longest training target has 24 symbols
ROTARY_BASE = 20.0  # longest wavelength over 2 pi, in symbols: words are short, 10000 would leave most planes idle


class PositionalEncoding(nn.Module):
    """Sinusoids, PE(pos, 2i) = sin(pos / 10000^(2i/H)) and PE(pos, 2i+1) = cos(...) (Vaswani et al. 2017, section 3.5).

    PE(pos + k) is PE(pos) with the plane of each frequency turned by an angle that depends on k alone.
    """

    def __init__(self, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.register_buffer("encodings", self.create_positional_encodings(), persistent=False)

    def create_positional_encodings(self, max_seq_len=LONGEST):
        """The encodings of the first positions (max_seq_len, H)."""
        position = torch.arange(max_seq_len, dtype=torch.double)[:, None]
        even = torch.arange(0, self.hidden_size, 2, dtype=torch.double)
        angle = position / 10000 ** (even / self.hidden_size)  # (max_seq_len, H/2)
        both = torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)
        return both[:, : self.hidden_size].to(torch.get_default_dtype())

    def forward(self, length, first=0):
        """Vectors of the positions first, ..., first + length - 1 (length, H). Raises ValueError beyond the last."""
        _check(first + length)
        return self.encodings[first : first + length]


class LearnedPositions(nn.Embedding):
    """A learned vector a position; positions beyond the table share its last, which training hardly reaches."""

    def __init__(self, hidden_size):
        super().__init__(LONGEST_LEARNED, hidden_size)

    def forward(self, length, first=0):
        """As `PositionalEncoding.forward`."""
        place = torch.arange(first, first + length, device=self.weight.device)
        return super().forward(place.clamp(max=LONGEST_LEARNED - 1))


class OneHotPositions(nn.Module):
    """A one at the place of the position; positions from H on have no place and get zeros."""

    def __init__(self, hidden_size):
        super().__init__()
        self.register_buffer("identity", torch.eye(hidden_size), persistent=False)

    def forward(self, length, first=0):
        """As `PositionalEncoding.forward`."""
        beyond = max(0, first + length - len(self.identity))
        return nn.functional.pad(self.identity, (0, 0, 0, beyond))[first : first + length]


ADDED = {"sinusoid": PositionalEncoding, "learned": LearnedPositions, "one-hot": OneHotPositions}
KINDS = ("none", *ADDED, "rotary")  # rotary: none is added, `Rotation` acts on queries and keys


class Rotation(nn.Module):
    """Turn each pair of features (2i, 2i + 1) by an angle proportional to the position (Su et al. 2021, section 3.2.2).

    Products of turned queries and keys depend on the distance of their positions alone. Raises ValueError for odd d.
    """

    def __init__(self, d):
        super().__init__()
        if d % 2:
            raise ValueError(f"rotary positions turn pairs of features, and {d} is odd: choose another size or heads")
        frequency = ROTARY_BASE ** (-torch.arange(0, d, 2) / d)  # (d/2,) radians a symbol
        angle = torch.arange(LONGEST)[:, None] * frequency  # (LONGEST, d/2)
        self.register_buffer("table", torch.stack([angle.cos(), angle.sin()], dim=2), persistent=False)

    def forward(self, x, first=0):
        """x (B, length, h, d), from position `first` on -> the same shape. Raises ValueError beyond the last."""
        _check(first + x.shape[1])
        turn = torch.view_as_complex(self.table[first : first + x.shape[1], None])  # (length, 1, d/2)
        return torch.view_as_real(torch.view_as_complex(x.unflatten(3, (-1, 2))) * turn).flatten(3)


def _check(end):
    if end > LONGEST:
        raise ValueError(f"position {end - 1} is beyond the {LONGEST} there are: split the text into words")
