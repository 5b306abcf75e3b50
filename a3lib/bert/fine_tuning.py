"""Fine-tuning a classifier by the published recipe; `freeze` it first to train its head alone."""

import contextlib
import math
import time
from dataclasses import dataclass

import torch

from a3lib.bert.arithmetic import scores
from a3lib.common import one_thread
from a3lib.optimization import History, OptimizerSettings, Updates


@dataclass(frozen=True)
class FineTuningSettings(OptimizerSettings):
    """How a classifier is trained; the defaults are the published ones."""

    learning_rate: float = 5e-5  # AdamW's, at the end of the warm-up
    schedule: str = "linear"  # up during the first tenth of the updates, then down to zero
    epochs: int = 3
    batch_size: int = 32
    weight_decay: float = 0.01  # of matrices; the hand-out builds these groups without using them
    clip: float | None = 1.0  # longest gradient


def freeze(model):
    """Let nothing but the classifier learn."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("classifier."))


def fine_tune(model, train, validation, settings, seed, on_epoch=None):
    """Train a classifier of `Encoded` examples in place -> its `History`; the last weights stay.

    `on_epoch(history)` is called after every epoch. A KeyboardInterrupt ends training and returns
    what was reached. Raises Diverged at a loss that is not finite.
    """
    start, device = time.perf_counter(), next(model.parameters()).device
    per_epoch = math.ceil(len(train) / settings.batch_size)
    history = History(epochs=settings.epochs, device=str(device), interrupted=True)
    stop = contextlib.suppress(KeyboardInterrupt)
    with one_thread(), torch.random.fork_rng(), only_used_rows(model, train, validation), stop:
        updates = Updates(model, settings, per_epoch)
        for epoch in range(settings.epochs):
            torch.manual_seed(1_000_003 * seed + epoch)  # of order and dropout
            chosen = torch.randperm(len(train)).split(settings.batch_size)
            batches = (train.batch(rows, device) for rows in chosen)
            losses = train_on(model, batches, updates, epoch * per_epoch)
            sizes = torch.tensor([len(rows) for rows in chosen])
            loss = sum(torch.tensor(losses) * sizes).item() / len(train)
            measured, done = evaluate(model, validation), (epoch + 1) * per_epoch
            updates.check([measured["loss"]], done - 1, "validation")
            history.add(done, time.perf_counter() - start, loss, measured, best=epoch)
            if on_epoch:
                on_epoch(history)
        history.interrupted = False
    model.eval()
    return history


def train_on(model, batches, updates, first):
    """One update, counted from `first`, per batch (inputs, labels) -> the losses before each.

    Products are those of bfloat16 on a GPU. Raises Diverged at a loss that is not finite.
    """
    model.train()
    losses = []
    for number, (inputs, labels) in enumerate(batches, start=first):
        with torch.autocast(labels.device.type, torch.bfloat16, enabled=labels.is_cuda):
            loss = model(labels=labels, **inputs)[1]
        updates.zero_grad()
        loss.backward()
        updates.step(number)
        losses.append(loss.detach())
    losses = torch.stack(losses).tolist()  # one transfer: a GPU does not wait at every update
    updates.check(losses, first, "training")
    return losses


@torch.no_grad()
def logits_of(model, data):
    """Logits (N, 3) of `Encoded` examples, on the CPU; the model is left in eval mode."""
    inputs, _ = data.batch(slice(None), next(model.parameters()).device)
    with one_thread():
        return model.eval()(**inputs)[0].float().cpu()


def evaluate(model, data):
    """{'loss' in nats, 'accuracy', 'balanced' accuracy} on `Encoded` examples."""
    logits = logits_of(model, data)
    loss = torch.nn.functional.cross_entropy(logits, data.labels).item()
    found = scores(data.labels.tolist(), logits.argmax(1).tolist())
    return {"loss": loss, "accuracy": found.accuracy, "balanced": found.balanced}


@contextlib.contextmanager
def only_used_rows(model, *sides):
    """Within it the word embedding has only the rows that the `Encoded` sides use: it is faster."""
    network = getattr(model, "trunk", model)
    if not hasattr(network, "get_input_embeddings"):
        yield
        return
    whole = network.get_input_embeddings()
    ids = torch.cat([side.inputs["input_ids"].flatten() for side in sides])
    used = ids.unique().to(whole.weight.device)
    place = used.new_full((whole.num_embeddings,), -1)  # -1: another word is an IndexError
    place[used] = torch.arange(len(used), device=used.device)
    rows = torch.nn.Embedding.from_pretrained(whole.weight.detach()[used])
    rows.requires_grad_(whole.weight.requires_grad)
    rows.register_forward_pre_hook(lambda _, inputs: place[inputs[0]])
    network.set_input_embeddings(rows)
    try:
        yield
    finally:
        whole.weight.data[used] = rows.weight.data
        network.set_input_embeddings(whole)
