"""The attention explorer: type a word, step through the symbols a model writes, and see what it reads for each."""

import html

from a3lib.attention_figures import KINDS, word_maps
from a3lib.batches import SYMBOLS
from a3lib.translation import LONGEST_WORD


def step_html(maps, kind, layer, head, step):
    """One query of one map as HTML: the row of queries with this one marked, the keys shaded by their weights.

    A layer, head or step beyond the last becomes the last. Raises ValueError for a kind of map that is not there.
    """
    maps = [one for one in maps if one.kind == kind]
    if not maps:
        raise ValueError(f"the model has no map {kind!r}: choose the kind of one of its maps")
    layer, head = min(layer, max(one.layer for one in maps)), min(head, max(one.head for one in maps))
    (one,) = (one for one in maps if (one.layer, one.head) == (layer, head))
    step = min(step, len(one.queries))  # counted from 1
    weights = one.weights[:, step - 1]
    queries = "".join(_box(label, "", "#fff", place == step) for place, label in enumerate(one.queries, start=1))
    keys = "".join(_box(k, f"{w:.0%}", _ground(w)) for k, w in zip(one.keys, weights, strict=True))
    asks = "reading" if one.kind == "encoder" else "writing"
    most = f"most weight: {html.escape(one.keys[weights.argmax()])}, {weights.max():.0%}"
    told = f"{KINDS[one.kind]}, layer {layer}, head {head}; step {step} of {len(one.queries)}; {most}"
    over = "output so far" if one.kind == "decoder" else "source"
    rows = f"<div>{asks} {queries}</div><div style='margin-top:8px'>{over} {keys}</div>"
    return f"<div role='status' aria-live='polite'><p>{told}</p>{rows}</div>"


def _ground(weight):
    """From white at zero to blue at one, light enough for black letters."""
    return f"rgb({255 - round(190 * weight)},{255 - round(120 * weight)},255)"


def _box(label, below, ground, marked=False):
    style = f"display:inline-block;min-width:2.4em;text-align:center;line-height:1.3;color:#000;background:{ground}"
    label = f"<b>{html.escape(label)}</b>" if marked else html.escape(label)
    border = "3px solid #D55E00" if marked else "1px solid #999"
    return f"<span style='{style};border:{border}'>{label}<br><small>{below}</small></span>"


def explorer(models, word):
    """A word, a model (all must attend), map, layer, head and step; the last child is the `step_html` they choose."""
    import ipywidgets

    field = ipywidgets.Text(value=word, description="word")
    model = ipywidgets.Dropdown(options=list(models), description="model")
    kind = ipywidgets.Dropdown(description="attention")
    layer, head = (ipywidgets.BoundedIntText(value=1, min=1, max=1, description=name) for name in ("layer", "head"))
    step = ipywidgets.IntSlider(value=1, min=1, max=1, description="step")
    output, maps = ipywidgets.HTML(), []

    def draw(_):
        if not maps:
            return
        step.max = next(len(one.queries) for one in maps if one.kind == kind.value)
        output.value = step_html(maps, kind.value, layer.value, head.value, step.value)

    def read(_):
        typed = field.value.strip().lower()
        maps.clear()  # nothing is drawn while the controls change
        if not typed or len(typed) > LONGEST_WORD or set(typed) - set(SYMBOLS):
            output.value = f"Type one word of at most {LONGEST_WORD} letters a to z and hyphens."
            return
        new = word_maps(models[model.value], typed)
        layer.max, head.max = max(one.layer for one in new), max(one.head for one in new)
        kinds, chosen = [k for k in KINDS if any(one.kind == k for one in new)], kind.value
        kind.options = [(KINDS[k], k) for k in kinds]
        kind.value = chosen if chosen in kinds else "cross"
        maps.extend(new)
        draw(None)

    field.observe(read, names="value")
    model.observe(read, names="value")
    for control in (kind, layer, head, step):
        control.observe(draw, names="value")
    read(None)
    return ipywidgets.VBox([field, model, kind, layer, head, step, output])
