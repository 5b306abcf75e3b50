"""Showing a widget, and the pieces of HTML that several widgets use."""

import html


def show(widget, summary):
    """Display a widget; where widgets cannot be drawn, its one-line summary stands instead."""
    from IPython.display import display

    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    data = {"application/vnd.jupyter.widget-view+json": view, "text/plain": summary}
    display(data, raw=True)


def live_region(content, style=""):
    """HTML that a screen reader reads out when it changes."""
    return f"<div role='status' aria-live='polite' style='{style}'>{content}</div>"


def box(label, below, ground, marked=False):
    """A symbol on a coloured ground with a small text below; a marked one has a thick border."""
    style = "display:inline-block;min-width:2.2em;text-align:center;line-height:1.3;color:#000"
    border = "3px solid #D55E00" if marked else "1px solid #999"
    shown = f"<b>{html.escape(label)}</b>" if marked else html.escape(label)
    style = f"{style};vertical-align:middle;background:{ground};border:{border}"
    return f"<span style='{style}'>{shown}<br><small>{below}</small></span>"
