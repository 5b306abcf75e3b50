"""One HTML file that asks nothing of anywhere: models, failures, hunt, figures and answers."""

import base64
import hashlib
import html
import json
import re
from importlib import resources
from pathlib import Path

from a3lib.common import one_thread, written_by_rename
from a3lib.page import notebooks, packing

TRANSLATORS = {  # file in records: name in the page, and what it is
    "recipe-best-small-0": ("recipe", "a modern transformer with two heads and a pointer"),
    "fair-transformer64-small-0": ("transformer", "as published, H = 64, three layers"),
    "fair-additive64-small-0": ("RNN", "with additive attention, H = 64"),
    "fair-gru-large-0": ("GRU", "like for like, large list"),
    "gru-large-0": ("GRU as published", "its batches and stop, large list"),
}
LICENCES = (
    ("the project", "LICENSE"),
    ("word lists", "a3lib/data/words/SCOWL-LICENCE.txt"),
    ("Noto Emoji", "a3lib/data/pictures/LICENCE-noto.txt"),
    ("other emoji in figures", "a3lib/data/pictures/ATTRIBUTION.md"),
    ("names of emoji", "a3lib/data/pictures/LICENCE-names.txt"),
    ("photographs in figures", "a3lib/data/gallery/ATTRIBUTION.md"),
)


@one_thread()
def build(root, path, clip=None):
    """Write the page of the project in folder `root` to `path`; clip: a `SmallClip`, or no hunt.

    Weights are rounded to half precision. Raises FileNotFoundError where a record is missing.
    """
    models, packed = {}, {}
    for file, (name, told) in TRANSLATORS.items():
        model = packing.translator(root / "notebooks/records" / f"{file}.safetensors")
        models[name], packed[name] = model[0], {"told": told, **model[1]}
    data = {"models": packed, "failures": packing.failures(models)}
    data["hunt"] = packing.hunt(clip) if clip else None
    sections = dict(map(notebooks.section, sorted((root / "notebooks").glob("*.ipynb"))))
    with written_by_rename(path) as part:
        part.write_text(page(data, sections, licences(root)), encoding="utf8")


def page(data, sections, licences):
    """The HTML; data goes to the script, sections map a title to a `<section>`."""
    folder = resources.files("a3lib") / "page"
    read = {name: (folder / name).read_text(encoding="utf8") for name in FILES}
    script, style = read["models.js"] + read["app.js"], read["style.css"]
    names = [re.search(r'id="([^"]+)"', one)[1] for one in sections.values()]
    pairs = zip(names, sections, strict=True)
    links = "".join(f'<li><a href="#{name}">{html.escape(title)}</a></li>' for name, title in pairs)
    parts = {
        "policy": f"default-src 'none'; img-src data:; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'",
        "style": style,
        "script": script,
        "data": json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"),
        "links": links,
        "notebooks": "".join(sections.values()),
        "licences": licences,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], read["page.html"])


FILES = ("page.html", "style.css", "models.js", "app.js")


def _hash(text):
    """What a content security policy knows a text of the page by: nothing else may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def licences(root):
    """The licences of all that the page holds, folded."""
    shown = ((name, (root / file).read_text(encoding="utf8")) for name, file in LICENCES)
    return "".join(
        f"<details><summary>{html.escape(name)}</summary><pre>{html.escape(text)}</pre></details>"
        for name, text in shown
    )
