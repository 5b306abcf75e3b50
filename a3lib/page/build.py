"""One HTML file that asks nothing of anywhere: models, failures, hunt, figures and answers."""

import base64
import hashlib
import html
import json
import re
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
LICENCES = {
    "the project": "LICENSE",
    "word lists": "a3lib/data/words/SCOWL-LICENCE.txt",
    "Noto Emoji": "a3lib/data/pictures/LICENCE-noto.txt",
    "other emoji in figures": "a3lib/data/pictures/ATTRIBUTION.md",
    "names of emoji": "a3lib/data/pictures/LICENCE-names.txt",
    "photographs in figures": "a3lib/data/gallery/ATTRIBUTION.md",
}


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
    texts = {name: (root / file).read_text(encoding="utf8") for name, file in LICENCES.items()}
    with written_by_rename(path) as part:
        part.write_text(page(data, sections, texts), encoding="utf8")


def page(data, sections, licences):
    """The HTML; data: what the script reads; sections: title to `<section>`; licences: texts."""
    files = Path(__file__).parent.glob("*.[jch]*")  # scripts, style and the frame of the page
    read = {one.name: one.read_text(encoding="utf8") for one in files}
    script, style = read["models.js"] + read["app.js"], read["style.css"]
    named = {re.search('id="(.*?)"', one)[1]: title for title, one in sections.items()}
    links = (f'<a href="#{name}">{html.escape(title)}</a>' for name, title in named.items())
    pairs = ((html.escape(name), html.escape(text)) for name, text in licences.items())
    folded = "<details><summary>{}</summary><pre>{}</pre></details>"
    parts = {
        "policy": f"style-src {known(style)}; script-src {known(script)}",
        "style": style,
        "script": script,
        "data": json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"),
        "links": " ".join(links),
        "notebooks": "".join(sections.values()),
        "licences": "".join(folded.format(*pair) for pair in pairs),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], read["page.html"])


def known(text):
    """What a content security policy knows a text of the page by: nothing else may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
