"""The check of a function that ranks pictures by a caption (Part 4)."""

import torch

from a3lib.check.bank import Bank
from a3lib.check.functions import FunctionCheck

RANKING = Bank(
    "caption pictures",
    """
asked = caption  # Which vector is the question?
  the caption is not used | torch.ones_like(caption)
scores = pictures @ asked / pictures.norm(dim=1)  # May a long vector win by its length?
  pictures are not normalised | pictures @ asked
  features are normalised over the pictures | (pictures / pictures.norm(dim=0)) @ asked
  pictures are divided by their squared length | pictures @ asked / pictures.square().sum(1)
  distance of vectors that are not normalised | -(pictures - asked).square().sum(1)
  features are added, not multiplied | (pictures + asked).sum(1)
  only the first feature counts | pictures[:, 0] * asked[0]
  the sign of the cosine is lost | (pictures @ asked).abs() / pictures.norm(dim=1)
order = scores.argsort(descending=True)  # Is the first number the best picture's place?
  the worst picture comes first | scores.argsort()
  ranks of the pictures, not places by rank | scores.argsort(descending=True).argsort()
  scores, not places | scores.sort(descending=True).values
  the best place alone | scores.argmax(keepdim=True)
  places that count from one | scores.argsort(descending=True) + 1
outputs = [order]  # What is to be returned?
""",
    {"torch": torch},
)


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
