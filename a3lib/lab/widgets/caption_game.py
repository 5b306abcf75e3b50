"""The scavenger hunt: type captions until one puts the target picture first."""

import base64
import functools
import html
import io
import math
from typing import NamedTuple

from a3lib.clip.ranking import explain
from a3lib.lab.captions import content_words, tidy
from a3lib.lab.widgets.display import items, live_region


class Attempt(NamedTuple):
    """A caption that was tried: the target's rank and margin, the five best pictures."""

    caption: str
    rank: int
    margin: float
    top: list
    words: list  # of `Word`: what each word of the caption does
    notes: list  # remarks for the reader


def attempt(gallery, caption, target):
    """Try a typed caption -> `Attempt`; an empty one has rank 0 and a note on what to do."""
    text, notes = tidy(caption, gallery.model)
    if not text:
        return Attempt("", 0, 0.0, [], [], notes)
    ranking, words = explain(gallery, text, target)
    return Attempt(text, ranking.rank(target), ranking.margin(target), ranking.top(), words, notes)


def hint(gallery, target, number):
    """The hint after `number` earlier ones: one more word of the picture's own caption each."""
    words = content_words(gallery.photographs[target].caption)
    if not words:
        return "Say what the picture shows, then what the pictures before it do not have."
    shown = words[: number + 1]
    noun = "word" if len(shown) == 1 else "words"
    return f"A caption that was written for it has the {noun} {', '.join(shown)}."


def game_html(gallery, target, attempts, notes=()):
    """The state of a hunt: target, ranks so far, words and best pictures of the last caption."""
    size, photograph, words, results = len(gallery), gallery.photographs[target], "", ""
    outcome = f"<p>Find this picture among {size}: type a caption and press Enter, or ?.</p>"
    if attempts:
        last, ranks = attempts[-1], [tried.rank for tried in attempts]
        count = ranks.index(1) + 1 if 1 in ranks else len(ranks)
        found = "Found" if 1 in ranks else "Not found yet"
        tried = f"{found} in {count} caption{'s' if count > 1 else ''}."
        now = f"The last one: rank <b>{last.rank}</b> of {size}, margin {last.margin:+.3f}"
        outcome = f"<p><b>{tried}</b></p><p>{now}</p>{_curve(ranks, size)}"
        more = len(last.caption.split()) > len(last.words)
        words = "".join(map(_word, last.words)) + (" ..." if more else "")
        places = enumerate(last.top, start=1)
        results = "".join(_result(gallery, place, rank, target) for rank, place in places)
        notes = [*last.notes, *notes]
    picture = f"{_image(photograph, 300)}<br><small>{html.escape(photograph.credit)}</small>"
    remarks, layout = items((gallery.model.label, *notes)), "display:flex;gap:1em;flex-wrap:wrap"
    top = f"<div style='{layout}'><div>{picture}</div><div>{outcome}</div></div>"
    return live_region(f"{top}<p>{words}</p><div>{results}</div>{remarks}")


def _curve(ranks, size):
    """The rank after each caption on a log scale, rank 1 at the top, and the ranks as text."""
    step, unit = 280 / max(1, len(ranks) - 1), 60 / math.log(max(size, 2))
    points = [(10 + step * i, 10 + unit * math.log(rank)) for i, rank in enumerate(ranks)]
    dots = "".join(f"<circle cx='{x:.0f}' cy='{y:.0f}' r='4' fill='#0072B2'/>" for x, y in points)
    path = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
    line = f"<polyline points='{path}' fill='none' stroke='#0072B2' stroke-width='2'/>{dots}"
    told = f"Rank after each caption: {', '.join(map(str, ranks))}"
    drawn = f"<svg role='img' aria-label='{told}' width='300' height='80'>{line}</svg>"
    return f"{drawn}<br><small>{told}</small>"


def _word(word):
    """A word on blue if the target's score falls without it, on orange if it rises."""
    rgb = "86,180,233" if word.drop > 0 else "230,159,0"
    colour = f"rgba({rgb},{min(1.0, abs(word.drop) / 0.1):.2f})"
    ground = f"background:linear-gradient({colour},{colour}),#fff"
    style = f"display:inline-block;text-align:center;color:#000;padding:2px;margin:1px;{ground}"
    told = f"{word.drop:+.2f}<br>rank {word.rank_without} without"
    return f"<span style='{style}'>{html.escape(word.text[:40])}<br><small>{told}</small></span>"


def _result(gallery, place, rank, target):
    found = place == target
    border = "4px solid #D55E00" if found else "1px solid #999"
    style = f"display:inline-block;vertical-align:top;margin:2px;border:{border}"
    name = f"{rank} the target" if found else str(rank)
    return f"<div style='{style}'>{_image(gallery.photographs[place], 110)}<br>{name}</div>"


def _image(photograph, side):
    return f"<img alt='{html.escape(photograph.alt)}' src='{_data_address(photograph, side)}'>"


@functools.lru_cache(maxsize=3000)
def _data_address(photograph, side):
    image, buffer = photograph.image(), io.BytesIO()
    image.thumbnail((side, side))
    image.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


class CaptionGame:
    """The hunt as a widget: controls `field`, `choice`, `button`, and the page `output`.

    Fields that one types into, since JupyterLab takes arrow keys on a list as its own commands: the
    target is chosen by its file name, and the caption `?` asks for a hint as the button does.
    """

    def __init__(self, gallery, target):
        import ipywidgets

        self.gallery, self.target, self.attempts, self.hints = gallery, target, [], []
        names = [photograph.name for photograph in gallery.photographs]
        options = {"continuous_update": False, "layout": ipywidgets.Layout(width="95%")}
        told = "a caption, then Enter; ? for a hint"
        self.field = ipywidgets.Text(description="caption", placeholder=told, **options)
        self.choice = ipywidgets.Combobox(
            description="target", value=names[target], options=names, continuous_update=False
        )
        self.button = ipywidgets.Button(description="hint")
        self.output = ipywidgets.HTML()
        row = ipywidgets.HBox([self.choice, self.button])
        self.box = ipywidgets.VBox([self.field, row, self.output])
        self.field.observe(self._try, names="value")
        self.choice.observe(self._choose, names="value")
        self.button.on_click(self._hint)
        self._show()

    def _try(self, change):
        if change["new"].strip() == "?":
            return self._hint(change)
        tried = attempt(self.gallery, change["new"], self.target)
        if tried.caption:
            self.attempts.append(tried)
        self._show(() if tried.caption else tried.notes)

    def _choose(self, change):
        try:
            self.target = self.gallery.index(change["new"])
        except KeyError as problem:
            return self._show(problem.args)
        self.attempts, self.hints = [], []
        self._show()

    def _hint(self, _):
        self.hints.append(hint(self.gallery, self.target, len(self.hints)))
        self._show()

    def _show(self, notes=()):
        notes = [*notes, *self.hints[-1:]]
        self.output.value = game_html(self.gallery, self.target, self.attempts, notes)
