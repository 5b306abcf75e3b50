"""The translator: a text, its translation, and the probability of each output character."""

import html

from a3lib.lab.widgets.display import box, live_region
from a3lib.translation.sentences import translate

LONGEST_TEXT = 10_000  # characters translated at once
SHOWN = 20  # different words whose characters are shown


def translation_html(text, model):
    """A translated text as HTML: the result, each character with its probability, the notes."""
    translation = translate(text[:LONGEST_TEXT], model)
    words = "".join(_word(*item) for item in list(translation.words.items())[:SHOWN])
    notes = [*translation.notes]
    if len(translation.words) > SHOWN:
        notes.append(f"Characters are shown for the first {SHOWN} different words.")
    if len(text) > LONGEST_TEXT:
        notes.append(f"Only the first {LONGEST_TEXT:,} characters were translated.")
    noted = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    result = html.escape(translation.text) or "<em>nothing to translate</em>"
    style = "font-size:1.2em;max-height:12em;overflow:auto"
    return live_region(f"<p style='{style}'><b>{result}</b></p>{words}<ul>{noted}</ul>")


def _word(word, decoded):
    ended = len(decoded.probabilities) > len(decoded.text)
    symbols = [*decoded.text, *(["end"] if ended else [])]
    boxes = (
        box(symbol, f"{probability:.0%}", _ground(probability))
        for symbol, probability in zip(symbols, decoded.probabilities, strict=True)
    )
    return f"<div style='margin:4px 0'>{html.escape(word)} → {''.join(boxes)}</div>"


def _ground(probability):
    """From white (certain) to orange (a guess)."""
    return f"rgb(255,{255 - round(90 * (1 - probability))},{255 - round(255 * (1 - probability))})"


def translator(models, text):
    """A text field, a choice among named models, and the `translation_html` of both."""
    import ipywidgets

    wide = ipywidgets.Layout(width="95%")
    field = ipywidgets.Text(value=text, description="English", layout=wide)
    choice = ipywidgets.Dropdown(options=list(models), description="model")
    output = ipywidgets.HTML(translation_html(text, models[choice.value]))

    def update(_):
        output.value = translation_html(field.value, models[choice.value])

    field.observe(update, names="value")
    choice.observe(update, names="value")
    return ipywidgets.VBox([field, choice, output])
