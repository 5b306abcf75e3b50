"""Widgets: controls and one value, which a plain function computes."""

import html

from a3lib.translation import translate

LONGEST_TEXT = 10_000  # characters translated at once


def translation_html(text, model):
    """A translated text as HTML: the result, each character of each word with its probability, and the notes."""
    cut = text[:LONGEST_TEXT]
    translation = translate(cut, model)
    words = "".join(_word_html(word, decoded) for word, decoded in list(translation.words.items())[:20])
    notes = [*translation.notes]
    if len(translation.words) > 20:
        notes.append("Characters are shown for the first 20 different words.")
    if len(text) > LONGEST_TEXT:
        notes.append(f"Only the first {LONGEST_TEXT:,} characters were translated.")
    noted = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    result = html.escape(translation.text) or "<em>nothing to translate</em>"
    style = "font-size:1.2em;max-height:12em;overflow:auto"
    return f"<div role='status' aria-live='polite'><p style='{style}'><b>{result}</b></p>{words}<ul>{noted}</ul></div>"


def _word_html(word, decoded):
    symbols = [*decoded.text, *(["end"] if len(decoded.probabilities) > len(decoded.text) else [])]
    cells = "".join(map(_symbol_html, symbols, decoded.probabilities))
    return f"<div style='margin:4px 0'>{html.escape(word)} → {cells}</div>"


def _symbol_html(symbol, probability):
    """A character on a ground from white (certain) to orange (a guess), with the probability in per cent below."""
    ground = f"rgb(255,{255 - round(90 * (1 - probability))},{255 - round(255 * (1 - probability))})"
    box = "display:inline-block;vertical-align:middle;min-width:1.9em;border:1px solid #999"
    style = f"{box};line-height:1.3;text-align:center;color:#000;background:{ground}"
    return f"<span style='{style}'>{html.escape(symbol)}<br><small>{probability:.0%}</small></span>"


def translator(models, text):
    """A text field, a choice among named models, and the translation with each character's probability."""
    import ipywidgets

    field = ipywidgets.Text(value=text, description="English", layout=ipywidgets.Layout(width="95%"))
    choice = ipywidgets.Dropdown(options=list(models), description="model")
    output = ipywidgets.HTML(translation_html(text, models[choice.value]))

    def update(_):
        output.value = translation_html(field.value, models[choice.value])

    field.observe(update, names="value")
    choice.observe(update, names="value")
    return ipywidgets.VBox([field, choice, output])


def show(widget, summary):
    """Display a widget; where widgets cannot be drawn, its one-line summary stands instead."""
    from IPython.display import display

    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    display({"application/vnd.jupyter.widget-view+json": view, "text/plain": summary}, raw=True)
