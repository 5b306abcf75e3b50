"""The figures and answers of executed notebooks as HTML: whatever they hold is escaped."""

import base64
import html
import io
import json
import re

from PIL import Image

from a3lib.page.packing import address

PARTS = re.compile(r"^(#+ .+)|^(\*\*(?!Time)(?:.|\n(?!#))+)", re.M)  # headings; what begins bold
WIDEST = 1400  # pixels of a figure


def section(path):
    """A notebook's title, and its `<section>`: per heading the answers and the figures."""
    title, parts = "", []
    for cell in json.loads(path.read_text(encoding="utf8"))["cells"]:
        found = PARTS.findall("".join(cell["source"])) if cell["cell_type"] == "markdown" else ()
        for heading, answer in found:
            title = title or heading.lstrip("# ")
            if heading and parts and parts[-1].startswith("<h3>"):
                parts.pop()  # nothing to show came after it
            parts.append(f"<h3>{inline(heading.lstrip('# '))}</h3>" if heading else blocks(answer))
        parts += filter(None, map(figure, cell.get("outputs", ())))
    name, kept = html.escape(path.stem), parts[: -1 if parts[-1].startswith("<h3>") else None]
    label, inside = html.escape(title), f"<h2>{inline(title)}</h2>{''.join(kept)}"
    return title, f'<section id="{name}" aria-label="{label}">{inside}</section>'


def figure(output):
    """A picture among outputs as `<figure>` with its text alternative as caption, or ''."""
    kind = next((kind for kind in output.get("data", ()) if re.match("image/(png|jpeg)", kind)), 0)
    if not kind:
        return ""
    told = html.escape(output["metadata"].get(kind, {}).get("alt", "a figure"))
    image = Image.open(io.BytesIO(base64.b64decode("".join(output["data"][kind])))).convert("RGB")
    image.thumbnail((WIDEST, WIDEST))
    size = f'width="{image.width}" height="{image.height}" loading="lazy"'
    shown = f'<img alt="{told}" {size} src="{address(image)}">'
    return f"<figure>{shown}<figcaption>{told}</figcaption></figure>"


def blocks(text):
    """Paragraphs, lists and tables of Markdown as HTML."""
    shown = ""
    for block in re.split(r"\n\s*\n", text.strip()):
        if block.startswith("|"):
            lines = [one.strip("|").split("|") for one in block.splitlines() if "---" not in one]
            rows = [("<td>" if i else "<th>").join(map(inline, one)) for i, one in enumerate(lines)]
            table = f'<table class="text"><tr><th>{"<tr><th>".join(rows)}</table>'
            shown += table.replace("<th><th>", "<td><th>")  # an empty corner is no heading
            continue
        first, *items = re.split(r"^[*-] ", block, flags=re.M)
        shown += f"<p>{inline(first)}</p>" * bool(first.strip())
        shown += f"<ul>{''.join(f'<li>{inline(item)}</li>' for item in items)}</ul>" * bool(items)
    return shown


def inline(text):
    """Bold, italics, code and the marks of claims; of other links only the text stays."""
    text = html.escape(" ".join(text.split()))
    text = re.sub(r"\[([^\]]+)\]\(\S+ &quot;(.*?)&quot;\)", r'<abbr title="\2">\1</abbr>', text)
    text = re.sub(r"\$([\w ]+)\$", r"<i>\1</i>", text)
    text = re.sub(r"\[([^\]]+)\]\([^\s)]+\)", r"\1", text)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*(\S.*?)\*\*", r"<b>\1</b>", text)
    return re.sub(r"\*(\S[^*]*?)\*", r"<i>\1</i>", text)
