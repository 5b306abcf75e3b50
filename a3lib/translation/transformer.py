"""The transformer of the assignment: one head, no layer norm, no dropout."""

from dataclasses import dataclass

from torch import nn

from a3lib.translation.attention import CausalScaledDotAttention, ScaledDotAttention, with_mask
from a3lib.translation.batches import EOS
from a3lib.translation.positional_encoding import POSITIONS
from a3lib.translation.translator import Memory


@dataclass(frozen=True)
class TransformerSettings:
    """Switches; the defaults are the published transformer."""

    positions: str = "sinusoid"  # a key of POSITIONS; 'none': the assignment's attention block
    causal: bool = True  # False shows what the decoder's mask is for

    def __post_init__(self):
        if self.positions not in POSITIONS:
            known = ", ".join(POSITIONS)
            raise ValueError(f"there are no positions {self.positions!r}: choose one of {known}")


PUBLISHED = TransformerSettings()
BLOCK = TransformerSettings(positions="none")  # the assignment's single attention block


class EncoderBlock(nn.Module):
    """x + self-attention, then + MLP."""

    def __init__(self, hidden_size, attention=ScaledDotAttention):
        super().__init__()
        self.attention = with_mask(attention)(hidden_size)
        self.mlp = nn.Sequential(nn.Linear(hidden_size, hidden_size), nn.ReLU())

    def forward(self, x, mask=None):
        """x (B, S, H), mask (B, S) or None -> (B, S, H)."""
        context, _ = self.attention(x, x, x, mask)
        x = x + context
        return x + self.mlp(x)


class DecoderBlock(nn.Module):
    """x + self-attention, then + attention to the source, then + MLP."""

    def __init__(self, hidden_size, attention=CausalScaledDotAttention, cross=ScaledDotAttention):
        super().__init__()
        self.attention = with_mask(attention)(hidden_size)
        self.cross = with_mask(cross)(hidden_size)
        self.mlp = nn.Sequential(nn.Linear(hidden_size, hidden_size), nn.ReLU())

    def forward(self, x, memory, mask=None):
        """x (B, T, H), memory (`Memory`), mask (B, T) of the prefix or None -> (B, T, H)."""
        context, _ = self.attention(x, x, x, mask)
        x = x + context
        context, _ = self.cross(x, memory.states, memory.states, memory.mask)
        x = x + context
        return x + self.mlp(x)


class TransformerEncoder(nn.Module):
    """Embedding, positions and `num_layers` blocks over the source."""

    def __init__(
        self, vocab_size, hidden_size, num_layers, settings=PUBLISHED, attention=ScaledDotAttention
    ):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.positions = POSITIONS[settings.positions](hidden_size)
        self.blocks = nn.ModuleList(EncoderBlock(hidden_size, attention) for _ in range(num_layers))

    def forward(self, source, mask=None):
        """source (B, S), mask (B, S) or None -> `Memory`; there is no last state."""
        x = self.embedding(source) + self.positions(source.shape[1])  # (B, S, H)
        for block in self.blocks:
            x = block(x, mask)
        return Memory(x, None, mask, source)


class TransformerDecoder(nn.Module):
    """Embedding, positions and `num_layers` blocks over the prefix, linear map to logits."""

    def __init__(
        self,
        vocab_size,
        hidden_size,
        num_layers,
        settings=PUBLISHED,
        attention=ScaledDotAttention,
        causal_attention=CausalScaledDotAttention,
    ):
        super().__init__()
        self.causal = settings.causal
        own = causal_attention if settings.causal else attention
        if not settings.causal and with_mask(attention) is not attention:
            raise ValueError(
                f"{attention.__name__}.forward takes no mask: only a causal decoder needs none"
            )
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.positions = POSITIONS[settings.positions](hidden_size)
        blocks = (DecoderBlock(hidden_size, own, attention) for _ in range(num_layers))
        self.blocks = nn.ModuleList(blocks)
        self.out = nn.Linear(hidden_size, vocab_size)

    def forward(self, prefix, memory):
        """prefix (B, T), memory (`Memory`) -> logits (B, T, V) after each prefix symbol."""
        x = self.embedding(prefix) + self.positions(prefix.shape[1])  # (B, T, H)
        mask = None if self.causal else prefix != EOS  # the padding stands behind: later is hidden
        for block in self.blocks:
            x = block(x, memory, mask)
        return self.out(x)
