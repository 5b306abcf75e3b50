"""Training a translator: the assignment's loop, with history, early stop and checkpoints."""

import contextlib
import math
import operator
import time
from dataclasses import asdict, dataclass

import torch

from a3lib.common import one_thread
from a3lib.optimization import History, OptimizerSettings, Updates
from a3lib.translation.batches import Batches
from a3lib.translation.losses import Losses, losses, token_loss


@dataclass(frozen=True)
class TrainingSettings(OptimizerSettings):
    """The recipe of a run; the defaults are the hand-out's for the GRU on the small data."""

    patience: int = 20  # stop after more than this many epochs without a better validation loss
    batches: str = "buckets"  # as in the hand-out; or another kind of `Batches`
    updates_per_epoch: int | None = None  # None: one pass; a number makes data sets comparable
    monitor: str = "bucket_mean"  # validation loss that decides: the hand-out's, or 'per_token'

    def __post_init__(self):
        super().__post_init__()
        if self.monitor not in Losses._fields:
            known = ", ".join(Losses._fields)
            raise ValueError(f"the monitored loss is one of {known}, not {self.monitor!r}")


def fit(model, train, validation, settings, seed, on_epoch=None, checkpoint=None, engine=None):
    """Train a translator in place and return its `History`; it ends with its best weights.

    train, validation: `EncodedPairs` on the model's device. `on_epoch(history, model)` comes after
    every epoch. With a `Checkpoint` each epoch is stored, and a killed call goes on to the same
    bits. A KeyboardInterrupt ends training and returns what was reached. Raises Diverged at a loss
    that is not finite. One thread is used; the model is left in eval mode. `engine(model, notes)`
    makes what computes the logits in the model's place (`fast.engine.FastEngine`); None: the model.
    """
    history = History(epochs=settings.epochs, device=str(next(model.parameters()).device))
    batches = Batches(train, _kind(model, settings, history.notes), settings.batch_size, seed)
    per_epoch = settings.updates_per_epoch or batches.batches_per_epoch
    updates, best = Updates(model, settings, per_epoch), (-1, copy_weights(model))
    if stored := checkpoint and checkpoint.load():
        history = History(**stored["history"])
        best = history.best, stored["best"]
        model.load_state_dict(stored["model"])
        updates.load(stored["optimizers"])
    fast = engine and engine(model, history.notes)
    forward = fast or model
    start = time.perf_counter() - (history.seconds[-1] if history.seconds else 0.0)
    history.interrupted = True  # until the loop ends by itself
    with one_thread(), contextlib.suppress(KeyboardInterrupt), torch.random.fork_rng():
        while len(history) < settings.epochs and not out_of_patience(history, settings.patience):
            epoch = len(history)
            first, last = epoch * per_epoch, (epoch + 1) * per_epoch - 1
            before = fast and (copy_weights(model), updates.state(), fast.start_epoch())
            torch.manual_seed(1_000_003 * seed + epoch)  # a resumed run draws the same
            model.train()
            values, tokens = [], []
            for update, batch in enumerate(batches.updates(first, per_epoch), start=first):
                logits = forward(batch.source, batch.prefix, batch.source_mask)  # (B, T, V)
                loss = token_loss(logits, batch.target)
                updates.zero_grad()
                loss.backward()
                updates.step(update)
                values.append(loss.detach())
                tokens.append(batch.tokens)
            if fast and not fast.may_keep(batch):  # no deviating update is kept: the epoch again
                model.load_state_dict(before[0])
                updates.load(before[1])
                continue
            values = torch.stack(values).tolist()  # one transfer: a GPU does not wait every time
            updates.check(values, first, "training")
            loss = math.fsum(map(operator.mul, values, tokens)) / sum(tokens)
            measured = losses(model, validation, settings.batch_size)
            updates.check([measured.per_token], last, "validation")
            monitored = history.validation.get(settings.monitor)
            better = not monitored or getattr(measured, settings.monitor) < monitored[history.best]
            history.add(
                last + 1,
                time.perf_counter() - start,
                loss,
                measured._asdict(),
                best=epoch if better else history.best,
            )
            if better:
                best = epoch, copy_weights(model)
            if checkpoint:
                done = {**asdict(history), "interrupted": False}
                state = {"model": model.state_dict(), "optimizers": updates.state()}
                checkpoint.save({"history": done, "best": best[1], **state})
            if on_epoch:
                on_epoch(history, model)
        history.interrupted = False
    if history.best != best[0]:  # interrupted when its weights were about to be copied
        best = history.best, copy_weights(model)
    if history.best >= 0:
        model.load_state_dict(best[1])
    model.eval()
    return history


def _kind(model, settings, notes):
    """The kind of batches; padding needs masks, which a class of the hand-out does not take."""
    if settings.batches == "padded" and not model.takes_masks:
        notes.append("batches of equal source length: the attention's forward takes no mask")
        return "by-source-length"
    return settings.batches


def out_of_patience(history, patience):
    """Whether more than `patience` epochs have passed since the best one."""
    return len(history) - 1 - history.best > patience


def copy_weights(model):
    """A copy of the model's state."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
