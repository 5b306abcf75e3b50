"""Figures of Part 3, and the HTML of its explorer."""

import html

import numpy
import torch
from matplotlib.figure import Figure

from a3lib import plots
from a3lib.arithmetic import CLASSES, SIGNS, expressions, table
from a3lib.bert import encode
from a3lib.claims import interval
from a3lib.plots import COLOURS, STYLES, Picture


class LiveCurve(plots.LiveCurve):
    """Callback of `tuning.fine_tune` that draws training loss and validation accuracy in place."""

    def __init__(self, title, interval=1.0):
        super().__init__(title, interval, progress)


def progress(title, history):
    """Training loss and validation accuracy of a `TuningHistory` so far."""
    figure = Figure(figsize=(8, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = range(1, len(history) + 1)
    left.plot(epochs, history.train, "o-", color=COLOURS[0])
    right.plot(epochs, history.accuracy, "o-", color=COLOURS[0], label="accuracy")
    right.plot(epochs, history.balanced, "s--", color=COLOURS[1], label="balanced accuracy")
    plots.label_axes(left, title, f"epoch, of {history.epochs}", "training loss (nats)")
    plots.label_axes(
        right, "validation", f"epoch, {history.seconds[-1]:.0f} s on {history.device}", ""
    )
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
    right.set_ylim(0, 1.02)
    right.legend(fontsize=8)
    last = f"training loss {history.train[-1]:.3f}, validation accuracy {history.accuracy[-1]:.3f}"
    return Picture(figure, title, f"after epoch {len(history)} of {history.epochs}: {last}")


def curves(title, panels, xlabel, references=(), log=False):
    """Lines with bands from the lowest to the highest seed.

    `panels` maps a caption to {label: (x (N), values (seeds, N))}; `references` holds (name, y) of dotted lines in the
    last panel.
    """
    figure = Figure(figsize=(4.5 * len(panels) + 0.5, 3.4), layout="constrained")
    parts = []
    for axes, (caption, lines) in zip(
        numpy.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True
    ):
        for number, (label, (x, values)) in enumerate(lines.items()):
            values, look = (
                numpy.asarray(values),
                {"color": COLOURS[number % 7], "linestyle": STYLES[number % 4]},
            )
            axes.plot(
                x, values.mean(0), marker="osD^v"[number % 5], markersize=4, label=label, **look
            )
            axes.fill_between(
                x, values.min(0), values.max(0), color=COLOURS[number % 7], alpha=0.15, linewidth=0
            )
            parts.append(
                f"{label}, {caption}: {' '.join(f'{value:.2f}' for value in values.mean(0))}"
            )
        plots.label_axes(axes, caption, xlabel, "")
        if log:
            axes.set_xscale("log")
            axes.minorticks_off()
        axes.set_xticks(x, [str(one) for one in x])
    for name, y in references:
        axes.axhline(y, color=COLOURS[6], linewidth=0.8, linestyle=":")
        axes.annotate(name, (x[0], y), xytext=(0, 2), textcoords="offset points", fontsize=7)
    axes.legend(fontsize=7)
    return Picture(figure, title, "means of the seeds: " + "; ".join(parts))


def intervals(title, groups, xlabel, references=()):
    """A dot a seed, mean and 95 % interval of each named group of values; dotted lines are `references` (name, x)."""
    figure = Figure(figsize=(8, 0.38 * len(groups) + 1.2), layout="constrained")
    axes, parts = figure.subplots(), []
    for row, (name, values) in enumerate(groups.items()):
        mean, low, high = interval(values)
        axes.plot(values, [row] * len(values), ".", color=COLOURS[5])
        axes.errorbar(
            mean, row, xerr=[[mean - low], [high - mean]], fmt="o", color=COLOURS[0], capsize=3
        )
        parts.append(f"{name} {mean:.3f} ({low:.3f} to {high:.3f})")
    for name, x in references:
        axes.axvline(x, color=COLOURS[1], linestyle=":")
        axes.annotate(f" {name}", (x, len(groups) - 0.6), fontsize=8, color=COLOURS[1])
    axes.set_yticks(range(len(groups)), list(groups))
    axes.set_ylim(len(groups) - 0.4, -0.6)
    plots.label_axes(axes, title, xlabel, "")
    return Picture(figure, title, "; ".join(parts))


def error_maps(title, records):
    """Share of wrong test predictions by a (rows) and b (columns), for plus and for minus, over records."""
    wrong, seen = numpy.zeros((2, 800))
    labels = expressions()["label"].to_numpy()
    for record in records:
        index, predicted = numpy.array(record["metrics"]["predictions"]).T
        seen[index] += 1
        wrong[index] += predicted != labels[index]
    figure = Figure(figsize=(9, 4), layout="constrained")
    share, parts = (
        numpy.divide(wrong, seen, out=numpy.full(800, numpy.nan), where=seen > 0).reshape(
            2, 20, 20
        ),
        [],
    )
    for axes, sign, one in zip(figure.subplots(1, 2), SIGNS, share, strict=True):
        axes.set_facecolor("#bbbbbb")  # never in a test set
        image = axes.imshow(one, cmap="Blues", vmin=0, vmax=1)
        axes.set(
            title=f"a {sign} b",
            xlabel="b",
            ylabel="a",
            xticks=range(0, 20, 3),
            yticks=range(0, 20, 3),
        )
        half = slice(0, 400) if sign == "plus" else slice(400, 800)
        parts.append(f"{sign}: {wrong[half].sum():.0f} of {seen[half].sum():.0f} wrong")
    figure.colorbar(image, label="share wrong", ax=figure.axes)
    near = abs(numpy.subtract.outer(range(20), range(20))).ravel() <= 2
    parts.append(
        f"{wrong[400:][near].sum():.0f} of the wrong ones with minus have |a - b| of at most 2"
    )
    return Picture(figure, title, "; ".join(parts))


def attention(encoder, text):
    """(tokens, their attention (S queries, S keys)), the mean of all heads and layers.

    The encoder must have been loaded with attn_implementation="eager". Raises ValueError if it gives no maps.
    """
    data = encode(encoder, table([text]))
    inputs, _ = data.batch(torch.tensor([0]), next(encoder.model.parameters()).device)
    with torch.inference_mode():
        maps = encoder.model(
            **inputs, output_attentions=True
        ).attentions  # layers of (1, h, queries, keys)
    if not maps or maps[0] is None:
        raise ValueError(
            "the encoder gives no attention maps: load it with attn_implementation='eager'"
        )
    words = encoder.tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    return words, torch.stack(maps).mean((0, 1, 2)).cpu()


def prediction(title, text, models, encoder):
    """Class probabilities of an expression for every model, and the attention of one encoder, as a figure."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    for number, (name, model) in enumerate(models.items()):
        shares = [float(share) for share in model(table([text]))[0]]
        places = numpy.arange(len(CLASSES)) + number / (len(models) + 1)
        left.bar(places, shares, 1 / (len(models) + 1), color=COLOURS[number], label=name)
    left.set_xticks(range(len(CLASSES)), CLASSES)
    plots.label_axes(left, f"{text}: probabilities", "", "")
    left.legend(fontsize=7)
    words, maps = attention(encoder, text)
    right.imshow(maps.numpy(), cmap="Blues", vmin=0)
    right.set_xticks(range(len(words)), words, rotation=45)
    right.set_yticks(range(len(words)), words)
    right.set(title="attention: row looks at column")
    return Picture(figure, title, f"{len(models)} models on {text}")


def _table(caption, columns, rows):
    """HTML table of shares; `rows` maps a name to its shares."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ["", *columns])
    body = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>{''.join(map(_cell, shares))}</tr>"
        for name, shares in rows.items()
    )
    return f"<table><caption>{caption}</caption><tr>{head}</tr>{body}</table>"


def _cell(share):
    ground = f"rgb({255 - round(150 * share)},{255 - round(90 * share)},255)"
    return f"<td style='text-align:center;color:#000;background:{ground}'>{share:.0%}</td>"


def explorer_html(text, models, encoder):
    """Class probabilities of an expression for every model, and the attention of one encoder, as HTML.

    `models` maps a name to a function from a table of expressions to probabilities (N, 3).
    """
    text = " ".join(text.lower().split())
    try:
        expression = table([text])
    except ValueError as error:
        return f"<p role='status'>{html.escape(str(error))}</p>"
    truth = CLASSES[expression["label"][0]]
    shares = {
        name: [float(share) for share in model(expression)[0]] for name, model in models.items()
    }
    result = f"<p><b>{html.escape(text)}</b> is {truth}</p>{_table('probability of each class', CLASSES, shares)}"
    words, maps = attention(encoder, text)
    numbered = [f"{place}. {word}" for place, word in enumerate(words, start=1)]
    maps = _table(
        "attention: row looks at column", words, dict(zip(numbered, maps.tolist(), strict=True))
    )
    return f"<div role='status' aria-live='polite'>{result}{maps}</div>"


def explorer(models, encoder, text):
    """A text field and `explorer_html` of what is typed."""
    import ipywidgets

    field = ipywidgets.Text(
        value=text, description="expression", layout=ipywidgets.Layout(width="60%")
    )
    output = ipywidgets.HTML(explorer_html(text, models, encoder))
    field.observe(
        lambda change: setattr(output, "value", explorer_html(change["new"], models, encoder)),
        names="value",
    )
    return ipywidgets.VBox([field, output])
