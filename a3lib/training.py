"""Training a translator: the assignment's recipe, with history, early stop and checkpoints."""

import contextlib
import math
import time
from dataclasses import asdict, dataclass, field

import torch
from torch.nn import functional as F

from a3lib.batches import IGNORED, Batches
from a3lib.checkpoints import copy_weights, optimizer_tensors, pack, restore_optimizer, unpack
from a3lib.metrics import Losses, losses

WARM_UP = 0.1  # share of all updates over which 'one-cycle' raises the learning rate


@dataclass(frozen=True)
class TrainingSettings:
    """The recipe of a run; the defaults are the hand-out's for the GRU on the small data."""

    learning_rate: float = 0.005  # Adam's, before the first decay; the highest of 'one-cycle'
    schedule: str = "decay"  # as in the hand-out; 'one-cycle': up from and down to zero, see `learning_rate`
    decay: float = 0.99  # factor on the learning rate at the start of every epoch, the first included, of 'decay'
    epochs: int = 50
    batch_size: int = 64
    patience: int = 20  # stop after more than this many epochs without a better validation loss
    batches: str = "buckets"  # as in the hand-out; 'shuffled' or 'padded', see `Batches`
    updates_per_epoch: int | None = None  # None: one pass; a number makes data sets comparable
    monitor: str = "bucket_mean"  # validation loss that decides: the hand-out's, or 'per_token'
    weight_decay: float = 0.0  # share of each weight that an update at learning rate 1 would take (Adam's W)
    clip: float | None = None  # longest gradient; None: as long as it comes


@dataclass
class History:
    """One entry an epoch; losses in nats. The index of the kept model is `best`."""

    updates: list = field(default_factory=list)  # gradient steps so far
    seconds: list = field(default_factory=list)  # since the start, evaluation included
    train: list = field(default_factory=list)  # loss per token over the epoch's batches, while training
    per_token: list = field(default_factory=list)  # validation loss per token
    bucket_mean: list = field(default_factory=list)  # the hand-out's validation loss
    best: int = -1
    epochs: int = 0  # planned
    device: str = "cpu"
    interrupted: bool = False

    def __len__(self):
        return len(self.seconds)

    def add(self, updates, seconds, train, validation):
        """Append an epoch; `validation` are its `metrics.Losses`. An interrupt leaves no half epoch behind."""
        done = len(self)
        new = (updates, train, validation.per_token, validation.bucket_mean, seconds)
        kept = (self.updates, self.train, self.per_token, self.bucket_mean, self.seconds)  # the last one counts
        for values, value in zip(kept, new, strict=True):
            values[done:] = [value]


class Diverged(RuntimeError):
    """A loss became infinite or NaN."""


def best_device():
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def batch_loss(model, batch):
    """Mean cross entropy per token of a `Batch` under teacher forcing, in nats."""
    logits = model(batch.source, batch.prefix, batch.source_mask)  # (B, T, V)
    return F.cross_entropy(logits.flatten(0, 1), batch.target.flatten(), ignore_index=IGNORED)


def flat_parameters(model):
    """One vector with all parameters of a model, which become views into it, as their gradients do into its gradient.

    An optimizer then makes one update instead of one a parameter: the same numbers, a tenth of a small model's step.
    """
    parameters = list(model.parameters())
    flat = torch.nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in parameters]))
    flat.grad = torch.zeros_like(flat)
    sizes = [parameter.numel() for parameter in parameters]
    pieces = zip(parameters, flat.data.split(sizes), flat.grad.split(sizes), strict=True)
    for parameter, value, grad in pieces:
        parameter.data, parameter.grad = value.view_as(parameter), grad.view_as(parameter)
    return flat


def fit(model, train, validation, settings, seed, on_epoch=None, checkpoint=None):
    """Train a translator in place and return its `History`; the model ends with its best weights, in eval mode.

    train, validation: `EncodedPairs` on the model's device. `on_epoch(history)` is called after every epoch. With a
    `Checkpoint` each epoch is stored and an earlier, killed call is continued to the same bits. A KeyboardInterrupt
    ends training and returns what was reached. Raises Diverged (naming step and learning rate) at a loss that is not
    finite. Result and speed do not depend on the process's thread count: one thread is used.
    """
    if settings.monitor not in Losses._fields:
        raise ValueError(f"the monitored loss is one of {', '.join(Losses._fields)}, not {settings.monitor!r}")
    batches = Batches(train, settings.batches, settings.batch_size, seed)
    per_epoch = batches.passes if settings.updates_per_epoch is None else settings.updates_per_epoch
    device = next(model.parameters()).device
    weights = flat_parameters(model)
    optimizer = _optimizer(weights, settings)
    history, best_weights = History(epochs=settings.epochs, device=str(device)), copy_weights(model)
    stored = checkpoint.load() if checkpoint else None
    if stored:
        tensors, state = stored
        history, best_weights = History(**state), unpack(tensors, "best")
        model.load_state_dict(unpack(tensors, "model"))
        restore_optimizer(optimizer, unpack(tensors, "optimizer"))
    start = time.perf_counter() - (history.seconds[-1] if history.seconds else 0.0)
    with one_thread(), contextlib.suppress(KeyboardInterrupt), torch.random.fork_rng():
        history.interrupted = True  # until the loop ends by itself
        while len(history) < settings.epochs and not _out_of_patience(history, settings.patience):
            epoch = len(history)
            torch.manual_seed(1_000_003 * seed + epoch)  # dropout, if the model has any, resumes to the same bits
            train_loss = _train_epoch(model, weights, optimizer, batches, settings, epoch * per_epoch, per_epoch)
            validation_losses = losses(model, validation, settings.batch_size)
            _check_finite(validation_losses.per_token, "validation", (epoch + 1) * per_epoch, optimizer)
            history.add((epoch + 1) * per_epoch, time.perf_counter() - start, train_loss, validation_losses)
            monitored = getattr(history, settings.monitor)
            if history.best < 0 or monitored[-1] < monitored[history.best]:
                history.best, best_weights = epoch, copy_weights(model)
            if checkpoint:
                groups = {"model": model.state_dict(), "best": best_weights, "optimizer": optimizer_tensors(optimizer)}
                checkpoint.save(epoch, pack(groups), {**asdict(history), "interrupted": False})
            if on_epoch:
                on_epoch(history)
        history.interrupted = False
    if history.best >= 0:
        model.load_state_dict(best_weights)
    model.eval()
    return history


def learning_rate(settings, update, per_epoch):
    """The learning rate of an update, counted from 0 over all epochs.

    'decay' lowers it once an epoch. 'one-cycle' raises it in a straight line over the first tenth of all updates, then
    lowers it to zero along half a cosine (Smith and Topin 2018, with their final part left out). Raises ValueError for
    another schedule.
    """
    if settings.schedule == "decay":
        return settings.learning_rate * settings.decay ** (update // per_epoch + 1)
    if settings.schedule == "one-cycle":
        done = (update + 1) / (settings.epochs * per_epoch)
        share = done / WARM_UP if done < WARM_UP else (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2
        return settings.learning_rate * share
    raise ValueError(f"the schedule is 'decay' or 'one-cycle', not {settings.schedule!r}")


def _optimizer(weights, settings):
    if settings.weight_decay:
        decay = settings.weight_decay
        return torch.optim.AdamW([weights], lr=settings.learning_rate, weight_decay=decay, fused=True)
    return torch.optim.Adam([weights], lr=settings.learning_rate, fused=True)


def _train_epoch(model, weights, optimizer, batches, settings, first, count):
    """Make `count` updates from update `first` on -> training loss per token."""
    model.train()
    batch_losses, tokens = [], []
    for update, batch in enumerate(batches.updates(first, count), start=first):
        _set_learning_rate(optimizer, learning_rate(settings, update, count))
        weights.grad.zero_()
        loss = batch_loss(model, batch)
        loss.backward()
        if settings.clip is not None:
            torch.nn.utils.clip_grad_norm_([weights], settings.clip)
        optimizer.step()
        batch_losses.append(loss.detach())
        tokens.append(batch.tokens)
    values = torch.stack(batch_losses).tolist()  # one transfer an epoch: a GPU is not made to wait at every step
    for step, value in enumerate(values, start=first + 1):
        _check_finite(value, "training", step, optimizer)
    return math.fsum(value * n for value, n in zip(values, tokens, strict=True)) / sum(tokens)


def _check_finite(loss, kind, step, optimizer):
    if not math.isfinite(loss):
        raise Diverged(
            f"the {kind} loss became {loss} at step {step} with learning rate {optimizer.param_groups[0]['lr']:.3g}: "
            "lower the learning rate, or look for a division by zero in the model"
        )


def _set_learning_rate(optimizer, value):
    for group in optimizer.param_groups:
        group["lr"] = value


def _out_of_patience(history, patience):
    return len(history) - 1 - history.best > patience


@contextlib.contextmanager
def one_thread():
    """One thread: tiny models lose time to more, and sums keep their order whatever the process was given."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
