"""What tells a transformer where a symbol stands: position vectors to add, or the rotation of queries and keys."""

import torch
from torch import nn

LONGEST_LEARNED = 32  # rows of the learned table; the longest training target has 24 symbols
ROTARY_BASE = 100.0  # longest wavelength over 2 pi, in symbols: words are short, so 10000 would leave most idle


class PositionalEncoding(nn.Module):
    """Sinusoids, PE(pos, 2i) = sin(pos / 10000^(2i/H)) and PE(pos, 2i+1) = cos(...) (Vaswani et al. 2017, section 3.5).

    PE(pos + k) is PE(pos) with the plane of each frequency turned by an angle that depends on k alone.
    """

    def __init__(self, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.register_buffer("encodings", self.create_positional_encodings(), persistent=False)

    def create_positional_encodings(self, max_seq_len=1000):
        """The encodings of the first positions (max_seq_len, H)."""
        position = torch.arange(max_seq_len, dtype=torch.double)[:, None]
        even = torch.arange(0, self.hidden_size, 2, dtype=torch.double)
        angle = position / 10000 ** (even / self.hidden_size)  # (max_seq_len, H/2)
        both = torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)
        return both[:, : self.hidden_size].to(torch.get_default_dtype())

    def forward(self, length, first=0):
        """Vectors of the positions first, ..., first + length - 1 (length, H). Raises ValueError beyond the last."""
        if first + length > len(self.encodings):
            raise ValueError(
                f"position {first + length - 1} is beyond the {len(self.encodings)} encoded: split the text"
            )
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
KINDS = ("none", *ADDED, "rotary")  # rotary: none is added, `rotate` is applied to queries and keys


def rotate(x, first=0):
    """Turn each pair of features of x (..., length, d) by an angle proportional to its position (Su et al. 2021).

    Products of rotated queries and keys depend on the distance of their positions, not on the positions. d is even.
    """
    length, d = x.shape[-2:]
    place = torch.arange(first, first + length, device=x.device, dtype=x.dtype)[:, None]
    angle = place * ROTARY_BASE ** (-torch.arange(0, d, 2, device=x.device, dtype=x.dtype) / d)  # (length, d/2)
    sin, cos = angle.sin(), angle.cos()
    one, two = x.split(d // 2, dim=-1)
    return torch.cat([one * cos - two * sin, one * sin + two * cos], dim=-1)
