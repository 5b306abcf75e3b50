"""Figures of Part 3: where predictions are wrong, and what a model says of one expression."""

import numpy as np
import torch

from a3lib.bert.arithmetic import CLASSES, SIGNS, expressions, table
from a3lib.bert.heads import encode
from a3lib.lab.figures.base import COLOURS, Picture, canvas, label_axes


def error_maps(title, records):
    """Share of wrong test predictions by a (rows) and b (columns), for plus and for minus."""
    wrong, seen = np.zeros((2, 800))
    labels = expressions()["label"].to_numpy()
    for record in records:
        index, predicted = np.array(record["metrics"]["predictions"]).T
        seen[index] += 1
        wrong[index] += predicted != labels[index]
    share = np.divide(wrong, seen, out=np.full(800, np.nan), where=seen > 0).reshape(2, 20, 20)
    (figure, panels), parts = canvas(9, 4, 1, 2), []
    for number, (axes, sign) in enumerate(zip(panels, SIGNS, strict=True)):
        axes.set_facecolor("#bbbbbb")  # never in a test set
        image = axes.imshow(share[number], cmap="Blues", vmin=0, vmax=1)
        ticks = range(0, 20, 3)
        axes.set(title=f"a {sign} b", xlabel="b", ylabel="a", xticks=ticks, yticks=ticks)
        half = slice(400 * number, 400 * number + 400)
        parts.append(f"{sign}: {wrong[half].sum():.0f} of {seen[half].sum():.0f} wrong")
    figure.colorbar(image, label="share wrong", ax=figure.axes)
    figure.suptitle(title)
    near = abs(np.subtract.outer(range(20), range(20))).ravel() <= 2
    parts.append(f"{wrong[400:][near].sum():.0f} of those with minus have |a - b| of at most 2")
    return Picture(figure, title, "; ".join(parts))


def attention(encoder, text):
    """(tokens, their attention (S queries, S keys)), the mean of all heads and layers.

    Raises ValueError for an encoder that was not loaded with attn_implementation='eager'.
    """
    inputs, _ = encode(encoder, table([text])).batch(slice(None), encoder.model.device)
    with torch.inference_mode():
        maps = encoder.model(**inputs, output_attentions=True).attentions  # L of (1, h, S, S)
    if not maps or maps[0] is None:
        raise ValueError("the encoder gives no maps: load it with attn_implementation='eager'")
    words = encoder.tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    return words, torch.stack(maps).mean((0, 1, 2)).cpu()


def prediction(title, text, models, encoder=None):
    """Class probabilities of an expression for every model, and the attention of an encoder."""
    ratios = [3, 2] if encoder else [1]
    figure, axes = canvas(9, 3.2, 1, len(ratios), width_ratios=ratios, squeeze=False)
    axes = axes[0]
    width, parts = 1 / (len(models) + 1), []
    for number, (name, model) in enumerate(models.items()):
        shares = [float(share) for share in model(table([text]))[0]]
        places = np.arange(len(CLASSES)) + number * width
        axes[0].bar(places, shares, width, color=COLOURS[number], label=name)
        parts.append(f"{name} {CLASSES[np.argmax(shares)]} {max(shares):.2f}")
    middle = np.arange(len(CLASSES)) + width * (len(models) - 1) / 2
    axes[0].set_xticks(middle, CLASSES)
    label_axes(axes[0], text, "class", "probability")
    axes[0].legend(fontsize=7)
    if encoder:
        words, maps = attention(encoder, text)
        axes[1].imshow(maps.numpy(), cmap="Blues", vmin=0)
        axes[1].set_xticks(range(len(words)), words, rotation=45)
        axes[1].set_yticks(range(len(words)), words)
        axes[1].set(title="attention", xlabel="looked at", ylabel="token")
    return Picture(figure, title, f"{len(models)} models on {text}: {', '.join(parts)}")
