"""What tells a transformer where a symbol stands: a vector per place, added to the embedding."""

import torch
from torch import nn

LONGEST = 1000  # places with a sinusoid
LONGEST_LEARNED = 32  # rows of the learned table; the longest training target has 24 symbols


class PositionalEncoding(nn.Module):
    """Sinusoids (Vaswani et al. 2017, section 3.5).

    PE(pos, 2i) = sin(pos / 10000^(2i/H)), PE(pos, 2i+1) = cos(pos / 10000^(2i/H)). PE(pos + k) is
    PE(pos) with the plane of each frequency turned by an angle that depends on k alone.
    """

    def __init__(self, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.register_buffer("encodings", self.create_positional_encodings(), persistent=False)

    def create_positional_encodings(self, max_seq_len=LONGEST):
        """The encodings of the first places (max_seq_len, H)."""
        place = torch.arange(max_seq_len, dtype=torch.double)[:, None]
        even = torch.arange(0, self.hidden_size, 2, dtype=torch.double)
        angle = place / 10000 ** (even / self.hidden_size)  # (max_seq_len, H/2)
        both = torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)
        return both[:, : self.hidden_size].to(torch.get_default_dtype())

    def forward(self, length):
        """Vectors of the first places (length, H). Raises ValueError beyond the last one."""
        if length > len(self.encodings):
            raise ValueError(
                f"place {length - 1} is beyond the {len(self.encodings)} there are: "
                "split the text into words"
            )
        return self.encodings[:length]


class LearnedPositions(nn.Embedding):
    """A learned vector per place; places beyond the table share its last row."""

    def __init__(self, hidden_size):
        super().__init__(LONGEST_LEARNED, hidden_size)

    def forward(self, length):
        """Vectors of the first places (length, H)."""
        places = torch.arange(length, device=self.weight.device)
        return super().forward(places.clamp(max=LONGEST_LEARNED - 1))


class OneHotPositions(nn.Module):
    """A one at the number of the place; places from H on have none and get zeros."""

    def __init__(self, hidden_size):
        super().__init__()
        self.register_buffer("identity", torch.eye(hidden_size), persistent=False)

    def forward(self, length):
        """Vectors of the first places (length, H)."""
        missing = max(0, length - len(self.identity))
        return nn.functional.pad(self.identity[:length], (0, 0, 0, missing))


class NoPositions(nn.Module):
    """Nothing is added: self-attention then sees a bag of symbols."""

    def __init__(self, hidden_size):
        super().__init__()

    def forward(self, length):
        """Zero, which changes no embedding."""
        return 0.0


POSITIONS = {
    "none": NoPositions,
    "sinusoid": PositionalEncoding,
    "learned": LearnedPositions,
    "one-hot": OneHotPositions,
}
