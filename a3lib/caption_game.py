"""The scavenger hunt: type captions until one puts the target picture first. Controls and one HTML value."""

import base64
import functools
import html
import io
import math
from typing import NamedTuple

from a3lib import prompting


class Attempt(NamedTuple):
    """A caption that was tried: the target's rank and margin, the five best pictures, words, remarks."""

    caption: str
    rank: int
    margin: float
    top: list
    words: list  # of prompting.Word
    notes: list


def attempt(gallery, caption, target):
    """Try a typed caption -> `Attempt`; with an empty caption its rank is 0 and its notes say what to do."""
    text, notes = prompting.tidy(caption, gallery.model)
    if not text:
        return Attempt("", 0, 0.0, [], [], notes)
    ranking, words = prompting.explain(gallery, text, target)
    return Attempt(text, ranking.rank(target), ranking.margin(target), ranking.top(), words, notes)


def hint(gallery, target, number):
    """The hint that is due after `number` earlier ones: one more word of the picture's own caption each time."""
    words = prompting.content_words(gallery.photographs[target].caption)
    if not words:
        return "Say what the picture shows, then what the pictures before it do not have."
    shown = words[: number + 1]
    return f"A caption that was written for it has the {'word' if len(shown) == 1 else 'words'} {', '.join(shown)}."


def game_html(gallery, target, attempts, notes=()):
    """The state of a hunt as HTML: target, ranks so far, words and best pictures of the last caption, remarks."""
    size, photograph, words, results = len(gallery), gallery.photographs[target], "", ""
    outcome = (
        f"<p>Find this picture among {size}: type a caption and press Enter, or ? for a hint.</p>"
    )
    if attempts:
        last, ranks = attempts[-1], [tried.rank for tried in attempts]
        count = ranks.index(1) + 1 if 1 in ranks else len(ranks)
        found = (
            f"{'Found' if 1 in ranks else 'Not found yet'} in {count} caption{'s'[: count > 1]}."
        )
        outcome = f"<p><b>{found}</b></p><p>The last one: rank <b>{last.rank}</b> of {size}, margin {last.margin:+.3f}</p>"
        outcome += _curve(ranks, size)
        words = "".join(map(_word, last.words)) + " ..." * (
            len(last.caption.split()) > len(last.words)
        )
        results = "".join(
            _result(gallery, place, rank, target) for rank, place in enumerate(last.top, start=1)
        )
        notes = [*last.notes, *notes]
    remarks = "".join(f"<li>{html.escape(note)}</li>" for note in (gallery.model.label, *notes))
    large = f"{_image(photograph, 300)}<br><small>{html.escape(photograph.credit)}</small>"
    top = f"<div style='display:flex;gap:1em;flex-wrap:wrap'><div>{large}</div><div>{outcome}</div></div>"
    return f"<div role='status' aria-live='polite'>{top}<p>{words}</p><div>{results}</div><ul>{remarks}</ul></div>"


def _curve(ranks, size):
    """The rank after each caption on a log scale, rank 1 at the top; the text alternative lists the ranks."""
    step, unit = 280 / max(1, len(ranks) - 1), 60 / math.log(max(size, 2))
    points = [
        f"{10 + step * i:.0f},{10 + unit * math.log(rank):.0f}" for i, rank in enumerate(ranks)
    ]
    dots = "".join(
        "<circle cx='{}' cy='{}' r='4' fill='#0072B2'/>".format(*point.split(","))
        for point in points
    )
    line = f"<polyline points='{' '.join(points)}' fill='none' stroke='#0072B2' stroke-width='2'/>{dots}"
    told = f"Rank after each caption: {', '.join(map(str, ranks))}"
    return f"<svg role='img' aria-label='{told}' width='300' height='80'>{line}</svg><br><small>{told}</small>"


def _word(word):
    """A word on blue if the target's score falls without it, on orange if it rises; the figures stand below."""
    colour = f"rgba({'86,180,233' if word.drop > 0 else '230,159,0'},{min(1.0, abs(word.drop) / 0.1):.2f})"
    style = f"display:inline-block;text-align:center;color:#000;background:linear-gradient({colour},{colour}),#fff"
    told = f"{word.drop:+.2f}<br>rank {word.rank_without} without"
    return f"<span style='{style};padding:2px;margin:1px'>{html.escape(word.text[:40])}<br><small>{told}</small></span>"


def _result(gallery, place, rank, target):
    frame, mark = (
        ("4px solid #D55E00", " the target") if place == target else ("1px solid #999", "")
    )
    style = f"display:inline-block;vertical-align:top;margin:2px;border:{frame}"
    return f"<div style='{style}'>{_image(gallery.photographs[place], 110)}<br>{rank}{mark}</div>"


def _image(photograph, side):
    return f"<img alt='{html.escape(photograph.alt)}' src='{_data_address(photograph, side)}'>"


@functools.lru_cache(maxsize=3000)
def _data_address(photograph, side):
    image, buffer = photograph.image(), io.BytesIO()
    image.thumbnail((side, side))
    image.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


class CaptionGame:
    """The hunt as a widget: controls `field`, `choice`, `button`, the page `output`, and the history `attempts`.

    Fields that one types into, since JupyterLab takes arrow keys on a list as its own commands: the target is chosen by
    its file name, and the caption `?` asks for a hint as the button does.
    """

    def __init__(self, gallery, target):
        import ipywidgets

        self.gallery, self.target, self.attempts, self.hints = gallery, target, [], []
        wide, names = (
            ipywidgets.Layout(width="95%"),
            [photograph.name for photograph in gallery.photographs],
        )
        told = {"description": "caption", "placeholder": "a caption, then Enter; ? for a hint"}
        self.field = ipywidgets.Text(**told, continuous_update=False, layout=wide)
        told = {"description": "target", "value": names[target], "options": names}
        self.choice = ipywidgets.Combobox(**told, continuous_update=False)
        self.button = ipywidgets.Button(description="hint")
        self.output = ipywidgets.HTML()
        self.box = ipywidgets.VBox(
            [self.field, ipywidgets.HBox([self.choice, self.button]), self.output]
        )
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
            self.target, self.attempts, self.hints = self.gallery.index(change["new"]), [], []
        except KeyError as problem:
            return self._show(problem.args)
        self._show()

    def _hint(self, _):
        self.hints.append(hint(self.gallery, self.target, len(self.hints)))
        self._show()

    def _show(self, notes=()):
        self.output.value = game_html(
            self.gallery, self.target, self.attempts, [*notes, *self.hints[-1:]]
        )
