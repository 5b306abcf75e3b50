"""The shape of all translators: encoder(source) -> memory, decoder(prefix, memory) -> logits."""

from typing import NamedTuple

import torch
from torch import nn


class Memory(NamedTuple):
    """What the decoder may look at."""

    states: torch.Tensor  # (B, S, H) encoder state at each source symbol
    last: torch.Tensor | None  # (B, H) state after the last symbol; None without recurrence
    mask: torch.Tensor | None  # (B, S) True at symbols; None where no word is padded
    source: torch.Tensor  # (B, S) the symbols themselves, for a decoder that copies them

    def rows(self, chosen):
        """The memory of some of the B words."""
        return Memory(*(part if part is None else part[chosen] for part in self))


class AttentionMaps(NamedTuple):
    """Attention weights (B, h, keys, queries), one tensor per layer; columns sum to one."""

    encoder: tuple  # (B, h, S, S) source over source
    decoder: tuple  # (B, h, T, T) prefix over prefix
    cross: tuple  # (B, h, S, T) source over prefix


class Translator(nn.Module):
    """An encoder and a decoder.

    encoder(source, mask) -> `Memory`; decoder(prefix, memory) -> logits (B, T, V) of the symbol
    that follows each symbol of the prefix. Training and decoding call both, so any change of theirs
    acts on both. A module that attends is called `attention` or, from decoder to encoder, `cross`.
    """

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, source, prefix, mask=None):
        """Teacher forcing: logits (B, T, V) of a source (B, S), given the true prefix (B, T)."""
        return self.decoder(prefix, self.encoder(source, mask))

    @torch.no_grad()
    def attention_maps(self, source, prefix, mask=None):
        """`AttentionMaps` of a source (B, S) and a prefix (B, T), as they are while the model runs.

        Raises ValueError if nothing in the decoder attends.
        """
        seen = {name: [] for name, _ in self.named_modules() if _kind(name)}
        if not any(_kind(name) == "cross" for name in seen):
            name = type(self.decoder).__name__
            raise ValueError(f"a {name} does not attend: ask a translator with attention")
        hooks = [
            self.get_submodule(name).register_forward_hook(
                lambda _, given, out, to=to: to.append(out[1])
            )
            for name, to in seen.items()
        ]
        try:
            self(source, prefix, mask)
        finally:
            for hook in hooks:
                hook.remove()
        found = {"encoder": [], "decoder": [], "cross": []}
        for name, weights in seen.items():
            if len(weights) > 1:  # an RNN asks once per step
                weights = [torch.cat([one.flatten(1)[:, :, None] for one in weights], dim=2)]
            found[_kind(name)].append(weights[0] if weights[0].dim() == 4 else weights[0][:, None])
        return AttentionMaps(**{kind: tuple(maps) for kind, maps in found.items()})

    @property
    def takes_masks(self):
        """Whether padded sources can be masked: not by an attention of the hand-out's signature."""
        return not any(getattr(module, "unmasked", False) for module in self.modules())


def _kind(name):
    """Which kind of map the module of that name makes; None if it does not attend."""
    owner, _, last = name.rpartition(".")
    if last == "cross" or name == "decoder.attention":  # the RNN decoder has no self-attention
        return "cross"
    return owner.partition(".")[0] if last == "attention" else None
