"""Showing a widget, controls above the HTML they decide, and pieces of such HTML."""

import html


def show(widget, summary):
    """Display a widget; where widgets cannot be drawn, its one-line summary stands instead."""
    from IPython.display import display

    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    data = {"application/vnd.jupyter.widget-view+json": view, "text/plain": summary}
    display(data, raw=True)


def explorer(controls, compute):
    """Controls above the HTML that `compute` makes of their values, whenever one changes."""
    import ipywidgets

    output = ipywidgets.HTML()

    def update(_=None):
        output.value = compute(*(control.value for control in controls))

    for control in controls:
        control.observe(update, names="value")
    update()
    return ipywidgets.VBox([*controls, output])


def live_region(content, style=""):
    """HTML that a screen reader reads out when it changes."""
    return f"<div role='status' aria-live='polite' style='{style}'>{content}</div>"


def shade(share, colour):
    """A ground from white at 0 to a colour (red, green, blue) at 1, for black letters."""
    red, green, blue = (255 - round((255 - part) * share) for part in colour)
    return f"rgb({red},{green},{blue})"


def items(texts):
    """A list of remarks."""
    return f"<ul>{''.join(f'<li>{html.escape(text)}</li>' for text in texts)}</ul>"


def box(label, below, ground, marked=False):
    """A symbol on a coloured ground with a small text below; a marked one has a thick border."""
    style = "display:inline-block;min-width:2.2em;text-align:center;line-height:1.3;color:#000"
    border = "3px solid #D55E00" if marked else "1px solid #999"
    shown = f"<b>{html.escape(label)}</b>" if marked else html.escape(label)
    style = f"{style};vertical-align:middle;background:{ground};border:{border}"
    return f"<span style='{style}'>{shown}<br><small>{below}</small></span>"
