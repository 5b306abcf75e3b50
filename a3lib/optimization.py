"""What training a translator and fine-tuning share: rates, updates, history, checkpoint."""

import copy
import glob
import math
import pickle
from dataclasses import dataclass, field
from pathlib import Path

import torch

from a3lib.common import Diverged, written_by_rename
from a3lib.optimizers import AdamW, Muon

# what torch.load raises for files that are cut, overwritten, or no checkpoints at all
DAMAGED = (RuntimeError, OSError, EOFError, IndexError, KeyError, ValueError, AttributeError)


@dataclass(frozen=True)
class OptimizerSettings:
    """How weights follow their gradients; the defaults are the hand-out's for translation."""

    learning_rate: float = 0.005  # of Adam: before the first decay, or the schedule's highest
    schedule: str = "decay"  # the hand-out's; 'one-cycle' and 'linear' rise first, see `rate_share`
    epochs: int = 50
    batch_size: int = 64
    decay: float = 0.99  # of 'decay': factor at the start of every epoch, the first included
    warm_up: float = 0.1  # of the others: share of all updates over which the rate rises
    weight_decay: float = 0.0  # share of a weight per unit of learning rate; not biases and norms
    clip: float | None = None  # longest gradient; None: as it comes
    muon: float | None = None  # Muon's rate for hidden matrices; None: Adam learns all

    def __post_init__(self):
        if self.schedule not in ("decay", "one-cycle", "linear"):
            raise ValueError(
                f"the schedule is 'decay', 'one-cycle' or 'linear', not {self.schedule!r}"
            )


@dataclass
class History:
    """One entry per epoch; losses in nats. The index of the kept model is `best`."""

    updates: list = field(default_factory=list)  # gradient steps so far
    seconds: list = field(default_factory=list)  # since the start, evaluation included
    train: list = field(default_factory=list)  # training loss, while training
    validation: dict = field(default_factory=dict)  # name of a measure -> list
    best: int = -1
    epochs: int = 0  # planned
    device: str = "cpu"
    interrupted: bool = False
    notes: list = field(default_factory=list)  # what was done otherwise than asked, a line each

    def __len__(self):
        return len(self.seconds)

    def add(self, updates, seconds, train, validation, best):
        """Append an epoch, in one step: an interrupt leaves no half epoch behind."""
        longer = {
            "updates": [*self.updates, updates],
            "seconds": [*self.seconds, seconds],
            "train": [*self.train, train],
            "validation": {
                name: [*self.validation.get(name, ()), value] for name, value in validation.items()
            },
            "best": best,
        }
        vars(self).update(longer)


def rate_share(settings, update, per_epoch):
    """The factor on the learning rate at an update, counted from 0 over all epochs.

    'decay' falls once per epoch. 'one-cycle' rises along a line, then falls to zero along half a
    cosine (Smith and Topin 2018 without their last part). 'linear' falls along a line instead, and
    its first update has rate zero (Devlin et al. 2019, A.2).
    """
    if settings.schedule == "decay":
        return settings.decay ** (update // per_epoch + 1)
    total = settings.epochs * per_epoch
    if settings.schedule == "linear":
        rise = int(settings.warm_up * total)
        return update / rise if update < rise else (total - update) / max(1, total - rise)
    done, rise = (update + 1) / total, settings.warm_up
    if done <= rise:
        return done / rise
    return (1 + math.cos(math.pi * (done - rise) / (1 - rise))) / 2


class Updates:
    """The optimizers of a model's learning parameters, and the rate of every update.

    Matrices are decayed, vectors (biases and norms) are not. With `muon`, Muon learns the matrices
    of the blocks and AdamW the rest: embeddings and what maps to symbols.
    """

    def __init__(self, model, settings, per_epoch):
        self.settings, self.per_epoch = settings, per_epoch
        self.parameters = list(model.parameters())
        learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
        hidden = [n for n, p in learning.items() if settings.muon and p.ndim > 1 and "blocks" in n]
        rest = [p for name, p in learning.items() if name not in hidden]
        groups = [{"params": rest, "weight_decay": 0.0}]
        if settings.weight_decay:
            matrices, vectors = (
                [p for p in rest if (p.ndim > 1) == wide] for wide in (True, False)
            )
            groups = [
                {"params": matrices, "weight_decay": settings.weight_decay},
                {"params": vectors, "weight_decay": 0.0},
            ]
        self.optimizers = [AdamW(groups, settings.learning_rate)]
        if hidden:
            matrices = [learning[name] for name in hidden]
            self.optimizers.append(Muon(matrices, settings.muon, settings.weight_decay))
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        for group in groups:
            group["highest"] = group["lr"]
        self.learning = [p for group in groups for p in group["params"]]

    def zero_grad(self):
        """Forget all gradients, also those of a callback."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self, update):
        """Clip the gradients and make one update, counted from 0, at its rate."""
        share = self._share(update)
        if self.settings.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.learning, self.settings.clip)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["highest"] * share
            optimizer.step()
        torch.clear_autocast_cache()  # around a whole training it would keep the first weights

    def check(self, losses, first, kind):
        """Raise Diverged, naming step and rate, at the first loss that is not finite."""
        for update, loss in enumerate(losses, start=first):
            if not math.isfinite(loss):
                rate = self.settings.learning_rate * self._share(update)
                raise Diverged(
                    f"the {kind} loss became {loss} at step {update + 1} with learning rate "
                    f"{rate:.3g}: lower the learning rate, or look for a division by zero"
                )

    def state(self):
        """A copy of what the optimizers remember."""
        return copy.deepcopy([optimizer.state_dict() for optimizer in self.optimizers])

    def load(self, state):
        """Put back what `state` gave."""
        for optimizer, one in zip(self.optimizers, state, strict=True):
            optimizer.load_state_dict(one)

    def _share(self, update):
        return rate_share(self.settings, update, self.per_epoch)


class Checkpoint:
    """The state of one run in a file; a kill at any moment leaves the last complete state."""

    def __init__(self, path):
        self.path = Path(path)

    def save(self, state):
        """Store a dict of tensors, numbers, strings, lists and dicts."""
        with written_by_rename(self.path) as part:
            torch.save(state, part)

    def load(self):
        """What was saved last, or None. Raises ValueError for a damaged file."""
        if not self.path.exists():
            return None
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
        except PermissionError:
            raise
        except (*DAMAGED, pickle.UnpicklingError) as error:
            state = type(error).__name__
        if not isinstance(state, dict):
            raise ValueError(
                f"{self.path} is damaged ({state}): delete it, and the run starts anew"
            )
        return state

    def delete(self):
        """Remove the file and what killed writers left: the run is complete and recorded."""
        for path in (self.path, *self.path.parent.glob(f"{glob.escape(self.path.name)}.*.part")):
            path.unlink(missing_ok=True)
