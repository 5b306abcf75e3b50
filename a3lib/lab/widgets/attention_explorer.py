"""The attention explorer: step through the symbols a model writes, and see what it reads."""

import html

from a3lib.lab.figures.attention import KINDS, word_maps
from a3lib.lab.widgets.display import box, live_region, shade
from a3lib.translation.batches import SYMBOLS
from a3lib.translation.sentences import LONGEST_WORD

READ = (65, 135, 255)  # the ground of a key with all the weight, light enough for black letters


def step_html(maps, kind, layer, head, step):
    """One query of one map: the row of queries with this one marked, keys shaded by weight.

    A layer, head or step beyond the last becomes the last. Raises ValueError for a kind of map that
    is not there.
    """
    maps = [one for one in maps if one.kind == kind and one.layer <= layer and one.head <= head]
    if not maps:
        raise ValueError(f"the model has no map {kind!r}: choose the kind of one of its maps")
    one = maps[-1]
    step = min(step, len(one.queries))  # counted from 1
    weights = one.weights[:, step - 1]
    places = enumerate(one.queries, start=1)
    queries = "".join(box(label, "", "#fff", place == step) for place, label in places)
    pairs = zip(one.keys, weights, strict=True)
    keys = "".join(box(key, f"{weight:.0%}", shade(weight, READ)) for key, weight in pairs)
    most = f"most weight: {html.escape(one.keys[weights.argmax()])}, {weights.max():.0%}"
    told = f"{one.name}; step {step} of {len(one.queries)}; {most}"
    written = "reading" if kind == "encoder" else "writing"
    over = "output so far" if kind == "decoder" else "source"
    rows = f"<div>{written} {queries}</div><div style='margin-top:8px'>{over} {keys}</div>"
    return live_region(f"<p>{told}</p>{rows}")


def attention_explorer(models, word):
    """A word, a model (all must attend), map, layer, head and step; last the `step_html`."""
    import ipywidgets

    field = ipywidgets.Text(value=word, description="word")
    model = ipywidgets.Dropdown(options=list(models), description="model")
    kind = ipywidgets.Dropdown(description="attention")
    first = {"value": 1, "min": 1, "max": 1}
    layer = ipywidgets.BoundedIntText(**first, description="layer")
    head = ipywidgets.BoundedIntText(**first, description="head")
    step = ipywidgets.IntSlider(**first, description="step")
    output, maps = ipywidgets.HTML(), []

    def draw(_):
        if maps:
            step.max = next(len(one.queries) for one in maps if one.kind == kind.value)
            output.value = step_html(maps, kind.value, layer.value, head.value, step.value)

    def read(_):
        typed = field.value.strip().lower()
        maps.clear()  # nothing is drawn while the controls change
        if not typed or len(typed) > LONGEST_WORD or set(typed) - set(SYMBOLS):
            told = f"Type one word of at most {LONGEST_WORD} letters a to z and hyphens."
            output.value = live_region(told)
            return
        new = word_maps(models[model.value], typed)
        layer.max, head.max = max(one.layer for one in new), max(one.head for one in new)
        kinds = dict.fromkeys(one.kind for one in new)
        chosen = kind.value if kind.value in kinds else "cross"
        kind.options = [(KINDS[name], name) for name in kinds]
        kind.value = chosen
        maps.extend(new)
        draw(None)

    for control in (field, model, kind, layer, head, step):
        control.observe(read if control in (field, model) else draw, names="value")
    read(None)
    return ipywidgets.VBox([field, model, kind, layer, head, step, output])
