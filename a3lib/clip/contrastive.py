"""Contrastive learning (Radford et al. 2021): N pictures, N captions, N x N cosines, one loss."""

import contextlib
import time
from dataclasses import dataclass

import torch
from torch.nn import functional

from a3lib.common import one_thread
from a3lib.optimization import History, OptimizerSettings, Updates

LARGEST_SCALE = 4.6052  # of the cosines, the logarithm of 100: the published limit


@dataclass(frozen=True)
class ContrastiveSettings(OptimizerSettings):
    """How a small CLIP is built and trained; chosen with Noto held out, see the records."""

    learning_rate: float = 2e-3  # AdamW's: embeddings, projections and the temperature
    muon: float | None = 0.02  # of convolutions and the text block: 6 points more than AdamW alone
    schedule: str = "one-cycle"
    epochs: int = 36  # each picture once per epoch: about 80 seconds of one core
    batch_size: int = 256  # each caption is told from 255 others
    weight_decay: float = 0.1
    widths: tuple = (32, 64, 128)  # channels of the three convolutions
    text_width: int = 128  # of a transformer block
    text_layers: int = 1  # enough for names; whose colour is whose takes two
    dimension: int = 128  # D, of the common space
    temperature: float = 0.07  # softmax temperature at the start, as published
    learned_temperature: bool = True


def contrastive_logits(pictures, texts, scale):
    """scale * cosine of each picture (N, D) with each text (M, D): (N, M)."""
    pictures, texts = (functional.normalize(rows, dim=-1) for rows in (pictures, texts))
    return scale * pictures @ texts.T  # (N, M)


def contrastive_loss(logits):
    """Mean cross entropy in nats of choosing each row's and each column's partner: (N, N) -> ().

    The partner of picture i is text i; all other texts of the batch are wrong answers.
    """
    partners = torch.arange(len(logits), device=logits.device)  # (N,)
    of_pictures = functional.cross_entropy(logits, partners)
    of_texts = functional.cross_entropy(logits.T, partners)
    return (of_pictures + of_texts) / 2


def train_step(model, pictures, tokens, updates, number):
    """One update, counted from 0, on pictures (N, 3, H, W) and tokens (N, S) -> loss before it."""
    rows, columns = model.encode_image(pictures), model.encode_text(tokens)  # (N, D) each
    logits = contrastive_logits(rows, columns, model.logit_scale.exp())  # (N, N)
    loss = contrastive_loss(logits)
    updates.zero_grad()
    loss.backward()
    updates.step(number)
    with torch.no_grad():
        model.logit_scale.clamp_(max=LARGEST_SCALE)
    return loss.detach()


def train(model, data, settings, seed, on_epoch=None):
    """Train an open_clip `CLIP` in place on one thread -> its `History`; the last weights stay.

    `data.epoch(size)` yields the batches of an epoch, (pictures, tokens), drawn from torch's
    seeded generator; `data.batches(size)` is their number. `on_epoch(history, model)` is called
    after every epoch. A KeyboardInterrupt ends training; Diverged is raised at an infinite loss.
    """
    start, device = time.perf_counter(), model.logit_scale.device
    per_epoch = data.batches(settings.batch_size)
    history = History(epochs=settings.epochs, device=str(device), interrupted=True)
    model.logit_scale.requires_grad_(settings.learned_temperature)
    with one_thread(), torch.random.fork_rng(), contextlib.suppress(KeyboardInterrupt):
        updates = Updates(model, settings, per_epoch)
        for epoch in range(settings.epochs):
            torch.manual_seed(1_000_003 * seed + epoch)  # of order, augmentation and scenes
            model.train()
            losses = []
            for number, batch in enumerate(data.epoch(settings.batch_size), epoch * per_epoch):
                pictures, tokens = (part.to(device) for part in batch)
                losses.append(train_step(model, pictures, tokens, updates, number))
            losses = torch.stack(losses).tolist()
            updates.check(losses, epoch * per_epoch, "training")
            seconds, done = time.perf_counter() - start, (epoch + 1) * per_epoch
            history.add(done, seconds, sum(losses) / len(losses), {}, best=epoch)
            if on_epoch:
                on_epoch(history, model)
        history.interrupted = False
    model.eval()
    return history
