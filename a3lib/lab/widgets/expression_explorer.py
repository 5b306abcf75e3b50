"""The expression explorer: type an expression, see what each model says and what one looks at."""

import html

from a3lib.bert.arithmetic import CLASSES, table
from a3lib.lab.figures.bert import attention
from a3lib.lab.widgets.display import explorer, live_region, shade


def expression_html(text, models, encoder):
    """Class probabilities of an expression for every model, and the attention of one encoder.

    `models` maps a name to a function from a table of expressions to probabilities (N, 3).
    """
    text = " ".join(text.lower().split())
    try:
        expression = table([text])
    except ValueError as error:
        return live_region(html.escape(str(error)))
    shares = {name: [float(p) for p in model(expression)[0]] for name, model in models.items()}
    truth = f"<p><b>{html.escape(text)}</b> is {CLASSES[expression['label'][0]]}</p>"
    words, maps = attention(encoder, text)
    names = [f"{number}. {word}" for number, word in enumerate(words, start=1)]
    rows = dict(zip(names, maps.tolist(), strict=True))
    tables = _table("probability of each class", CLASSES, shares)
    tables += _table("attention: row looks at column", words, rows)
    return live_region(truth + tables)


def _table(caption, columns, rows):
    """HTML table of shares; `rows` maps a name to its shares."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ["", *columns])
    body = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>{''.join(map(_cell, row))}</tr>"
        for name, row in rows.items()
    )
    return f"<table><caption>{caption}</caption><tr>{head}</tr>{body}</table>"


def _cell(share):
    style = f"text-align:center;color:#000;background:{shade(share, (105, 165, 255))}"
    return f"<td style='{style}'>{share:.0%}</td>"


def expression_explorer(models, encoder, text):
    """A text field, and the `expression_html` of what is typed."""
    import ipywidgets

    wide = ipywidgets.Layout(width="60%")
    field = ipywidgets.Text(value=text, description="expression", layout=wide)
    return explorer([field], lambda text: expression_html(text, models, encoder))
