"""The figures and answers of executed notebooks as HTML: whatever they hold is escaped."""

import base64
import html
import io
import json
import re

from PIL import Image

from a3lib.page.packing import address

ANSWER = re.compile(r"\*\*(?!Time)")  # a text cell that begins so sums up a section
WIDEST = 1400  # pixels of a figure


def section(path):
    """A notebook's title, and its `<section>`: per heading the answer and the figures."""
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    parts, heading, title = [], "", path.stem
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            if found := re.match(r"# (.+)", source):
                title = found[1]
            for text in re.split(r"\n(?=## )", source):
                if found := re.match(r"##+ (.+)\n?", text):
                    heading = f"<h3>{inline(found[1])}</h3>"
                elif ANSWER.match(text):
                    parts.append(heading + blocks(text))
                    heading = ""
        for output in cell.get("outputs", ()):
            if shown := figure(output):
                parts.append(heading + shown)
                heading = ""
    name = path.stem
    inside = f'<h2 id="{name}-title">{inline(title)}</h2>{"".join(parts)}'
    return title, (
        f'<section id="{name}" aria-labelledby="{name}-title"><article>{inside}</article></section>'
    )


def figure(output):
    """A picture among outputs as `<figure>` with its text alternative as caption, or ''."""
    data = output.get("data", {})
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            image = Image.open(io.BytesIO(base64.b64decode("".join(data[kind])))).convert("RGB")
            image.thumbnail((WIDEST, 4 * WIDEST))
            told = html.escape(output.get("metadata", {}).get(kind, {}).get("alt", "a figure"))
            size = f'width="{image.width}" height="{image.height}" loading="lazy"'
            source = address(image, quality=80, method=4)
            return (
                f'<figure><img alt="{told}" {size} src="{source}">'
                f"<figcaption>{told}</figcaption></figure>"
            )
    return ""


def blocks(text):
    """Paragraphs and lists of Markdown as HTML."""
    shown = []
    for block in re.split(r"\n\s*\n", text.strip()):
        items = re.split(r"^[*-] ", block, flags=re.M)
        paragraph, listed = items[0].strip(), "".join(f"<li>{inline(i)}</li>" for i in items[1:])
        shown.append(f"<p>{inline(paragraph)}</p>" * bool(paragraph))
        shown.append(f"<ul>{listed}</ul>" * bool(listed))
    return "".join(shown)


def inline(text):
    """Bold, italics, code and the marks of claims; of other links only the text stays."""
    text = html.escape(" ".join(text.split()))
    text = re.sub(r"\[([^\]]+)\]\([^\s)]*(?: &quot;(.*?)&quot;)?\)", _link, text)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*(\S.*?)\*\*", r"<b>\1</b>", text)
    return re.sub(r"\*(\S[^*]*?)\*", r"<i>\1</i>", text)


def _link(found):
    mark, told = found.groups()
    return f'<abbr title="{told}">{mark}</abbr>' if told else mark
