"""Fine-tuning a classifier: the published recipe, with history, resuming and only the word vectors that are used."""

import contextlib
import math
import time
from dataclasses import asdict, dataclass, field

import torch
from torch import nn
from torch.nn import functional as F

from a3lib.arithmetic import scores
from a3lib.checkpoints import optimizer_tensors, pack, restore_optimizer, unpack
from a3lib.training import Diverged, one_thread


@dataclass(frozen=True)
class TuningSettings:
    """How a classifier is trained; the defaults are the published ones."""

    learning_rate: float = 5e-5  # AdamW's, at the end of the warm-up
    epochs: int = 3
    batch_size: int = 32
    warm_up: float = 0.1  # share of all steps; then a straight line down to zero
    weight_decay: float = 0.01  # not of biases and layer norms: the hand-out builds these groups and does not use them
    clip: float = 1.0  # longest gradient


@dataclass
class TuningHistory:
    """One entry an epoch; losses in nats, accuracies of the validation side."""

    updates: list = field(default_factory=list)  # gradient steps so far
    seconds: list = field(default_factory=list)  # since the start, evaluation included
    train: list = field(default_factory=list)  # mean loss of the epoch's examples, while training
    loss: list = field(default_factory=list)
    accuracy: list = field(default_factory=list)
    balanced: list = field(default_factory=list)
    epochs: int = 0  # planned
    device: str = "cpu"

    def __len__(self):
        return len(self.seconds)


class UsedRows(nn.Module):
    """The rows of a word embedding that some examples use: the others have no gradient, but would cost time."""

    def __init__(self, embedding, ids):
        super().__init__()
        self.ids = ids
        self.weight = nn.Parameter(
            embedding.weight.detach()[ids].clone(), embedding.weight.requires_grad
        )
        place = torch.full(
            (embedding.num_embeddings,), -1, device=ids.device
        )  # an unknown word is an error, not a row
        place[ids] = torch.arange(len(ids), device=ids.device)
        self.register_buffer("place", place, persistent=False)

    def forward(self, ids):
        return F.embedding(self.place[ids], self.weight)


@contextlib.contextmanager
def only_used_rows(model, *sides):
    """Within it a model with word embeddings has only the rows that the `Encoded` sides use; they are put back."""
    if not hasattr(model, "get_input_embeddings"):
        yield
        return
    whole = model.get_input_embeddings()
    ids = (
        torch.cat([side.inputs["input_ids"].flatten() for side in sides])
        .unique()
        .to(whole.weight.device)
    )
    rows = UsedRows(whole, ids)
    model.set_input_embeddings(rows)
    try:
        yield
    finally:
        with torch.no_grad():
            whole.weight[ids] = rows.weight
        model.set_input_embeddings(whole)


def logits_of(model, data, batch_size=256):
    """Logits (N, 3) of `Encoded` examples, on the CPU; the model is left in eval mode."""
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode(), one_thread():
        parts = torch.arange(len(data)).split(batch_size)
        return torch.cat([model(**data.batch(rows, device)[0])[0].float().cpu() for rows in parts])


def evaluate(model, data):
    """{'loss', 'accuracy', 'balanced'} on `Encoded` examples."""
    logits = logits_of(model, data)
    found = scores(data.labels.tolist(), logits.argmax(1).tolist())
    return {
        "loss": F.cross_entropy(logits, data.labels).item(),
        "accuracy": found.accuracy,
        "balanced": found.balanced,
    }


def learning_rate(settings, update, updates):
    """Of an update, counted from 0: a straight line up from zero over the warm-up, then one down to zero."""
    warm_up = int(settings.warm_up * updates)
    share = update / warm_up if update < warm_up else (updates - update) / max(1, updates - warm_up)
    return settings.learning_rate * share


def make_optimizer(model, settings):
    """AdamW on what learns, in two groups: the vectors, which are biases and layer norms, have no weight decay."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learning if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in learning if p.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def step(model, optimizer, inputs, labels, clip):
    """One update -> the batch's loss before it. bfloat16 products on a GPU, float32 on a CPU."""
    with torch.autocast(labels.device.type, torch.bfloat16, enabled=labels.is_cuda):
        loss = model(labels=labels, **inputs)[1]
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(
        [p for group in optimizer.param_groups for p in group["params"]], clip
    )
    optimizer.step()
    return loss.detach()


def fine_tune(model, train, validation, settings, seed, on_epoch=None, checkpoint=None):
    """Train a classifier of `Encoded` examples in place and return its `TuningHistory`; the last epoch's weights stay.

    Parameters without `requires_grad` stay frozen. `on_epoch(history)` is called after every epoch. With a `Checkpoint`
    a killed call goes on from its last epoch to the same bits; a KeyboardInterrupt ends training and returns what was
    reached. Raises Diverged at an epoch whose loss is not finite.
    """
    per_epoch = math.ceil(len(train) / settings.batch_size)
    device = next(model.parameters()).device
    history = TuningHistory(epochs=settings.epochs, device=str(device))
    stopped = contextlib.suppress(KeyboardInterrupt)
    with one_thread(), torch.random.fork_rng(), only_used_rows(model, train, validation), stopped:
        optimizer = make_optimizer(model, settings)
        if stored := checkpoint and checkpoint.load():
            history = TuningHistory(**stored[1])
            model.load_state_dict(unpack(stored[0], "model"))
            restore_optimizer(optimizer, unpack(stored[0], "optimizer"))
        start = time.perf_counter() - (history.seconds[-1] if history.seconds else 0.0)
        for epoch in range(len(history), settings.epochs):
            torch.manual_seed(
                1_000_003 * seed + epoch
            )  # order and dropout: a resumed run draws the same
            model.train()
            total = torch.zeros((), device=device)
            for number, rows in enumerate(torch.randperm(len(train)).split(settings.batch_size)):
                rate = learning_rate(
                    settings, epoch * per_epoch + number, settings.epochs * per_epoch
                )
                for group in optimizer.param_groups:
                    group["lr"] = rate
                total += step(model, optimizer, *train.batch(rows, device), settings.clip) * len(
                    rows
                )
            loss = total.item() / len(train)
            if not math.isfinite(loss):
                raise Diverged(
                    f"the training loss became {loss} in epoch {epoch + 1}: lower the learning rate"
                )
            found = evaluate(model, validation)
            new = {
                "updates": (epoch + 1) * per_epoch,
                "train": loss,
                **found,
                "seconds": time.perf_counter() - start,
            }
            for name, value in new.items():
                getattr(history, name).append(value)
            if checkpoint:
                tensors = {"model": model.state_dict(), "optimizer": optimizer_tensors(optimizer)}
                checkpoint.save(epoch, pack(tensors), asdict(history))
            if on_epoch:
                on_epoch(history)
    model.eval()
    return history
