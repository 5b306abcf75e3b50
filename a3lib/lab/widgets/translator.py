"""The translator: a text, its translation, and the probability of each output character."""

import html

from a3lib.lab.widgets.display import box, explorer, items, live_region, shade
from a3lib.translation.sentences import translate

LONGEST_TEXT = 10_000  # characters translated at once
SHOWN = 20  # different words whose characters are shown
UNSURE = (255, 165, 0)  # the ground of a guess; what is certain stands on white


def translation_html(text, model):
    """A translated text as HTML: the result, each character with its probability, the notes."""
    translation = translate(text[:LONGEST_TEXT], model)
    words = "".join(_word(*item) for item in list(translation.words.items())[:SHOWN])
    notes = [*translation.notes]
    if len(translation.words) > SHOWN:
        notes.append(f"Characters are shown for the first {SHOWN} different words.")
    if len(text) > LONGEST_TEXT:
        notes.append(f"Only the first {LONGEST_TEXT:,} characters were translated.")
    result = html.escape(translation.text) or "<em>nothing to translate</em>"
    style = "font-size:1.2em;max-height:12em;overflow:auto"
    return live_region(f"<p style='{style}'><b>{result}</b></p>{words}{items(notes)}")


def _word(word, decoded):
    ended = len(decoded.probabilities) > len(decoded.text)
    symbols = [*decoded.text, *(["end"] if ended else [])]
    pairs = zip(symbols, decoded.probabilities, strict=True)
    boxes = (box(symbol, f"{p:.0%}", shade(1 - p, UNSURE)) for symbol, p in pairs)
    return f"<div style='margin:4px 0'>{html.escape(word)} → {''.join(boxes)}</div>"


def translator(models, text):
    """A text field, a choice among named models, and the `translation_html` of both."""
    import ipywidgets

    wide = ipywidgets.Layout(width="95%")
    field = ipywidgets.Text(value=text, description="English", layout=wide)
    choice = ipywidgets.Dropdown(options=list(models), description="model")
    return explorer([field, choice], lambda text, name: translation_html(text, models[name]))
