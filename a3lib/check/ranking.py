"""The check of a function that ranks pictures by a caption (Part 4)."""

import torch

from a3lib.check.bank import Bank, written
from a3lib.check.functions import FunctionCheck

RANKING = Bank("caption pictures", written("rank_by_caption"), {"torch": torch})


def _case(N, D):
    generator = torch.Generator().manual_seed(N)
    lengths = torch.rand(N, 1, generator=generator).mul(4).add(0.2)
    pictures = torch.randn(N, D, generator=generator) * lengths
    return [torch.randn(D, generator=generator), pictures]


def _places(session, name, inputs):
    """The answer; a list of numbers is one output, not several."""
    answer = session.ask("apply", name=name, inputs=inputs)
    if all(isinstance(place, int) for place in answer.get("outputs", [[]])):
        answer["outputs"] = [torch.tensor(answer["outputs"])]
    return answer


# (caption (D,), pictures (N, D)) -> places, the most similar picture's first (N,)
check_rank_by_caption = FunctionCheck(
    "ranking by a caption",
    RANKING,
    (_case(1, 2), _case(3, 2), _case(5, 3), _case(9, 4), _case(12, 6)),
    ("places",),
    _places,
)
