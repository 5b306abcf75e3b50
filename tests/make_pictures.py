"""Make the emoji pictures again: `python tests/make_pictures.py FOLDER`.

FOLDER holds the six archives of `ARCHIVES`, each fetched by `npm pack NAME@VERSION`. Two drawn
styles are SVG: they need resvg-py 0.5.0 beside Pillow and NumPy, which the project does not ship.
"""

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

TARGET = Path(__file__).parents[1] / "a3lib/data/pictures"
ARCHIVES = {  # file -> sha256
    "emoji-datasource-twitter-16.0.0.tgz": (
        "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877"
    ),
    "emoji-datasource-google-16.0.0.tgz": (
        "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438"
    ),
    "openmoji-17.0.0.tgz": "55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68",
    "iconify-json-fluent-emoji-flat-1.2.6.tgz": (
        "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175"
    ),
    "cldr-annotations-full-48.2.0.tgz": (
        "28576e51225deb51e3ddd734b0f824a0079682cb5d8c27faa9f68149317a14d1"
    ),
    "twemoji-14.0.2.tgz": "5350eac1be60cb68ae48b60f1a53f5978bba0dc40da63e97e9bc9896aa392213",  # for the text of the licence
}
LEFT_OUT = ("People & Body", "Flags", "Component")
SIDE, MARGIN, COLUMNS = 32, 1, 40  # pixels of a picture and around what is drawn; tiles per line
DRAWN = 128  # pixels at which SVG is drawn before it is made small
MIT = """MIT License

Copyright (c) Microsoft Corporation.

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


def archives(folder):
    """{first word of an archive's name: function from a path within it to bytes, or to None}."""
    readers = {}
    for name, sha256 in ARCHIVES.items():
        data = (Path(folder) / name).read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ValueError(f"{name} is not the file that the pictures were made from")
        archive = tarfile.open(fileobj=io.BytesIO(data))  # noqa: SIM115 (read all along)
        members = {member.name.removeprefix("package/"): member for member in archive}

        def read(path, archive=archive, members=members):
            return archive.extractfile(members[path]).read() if path in members else None

        readers[name.rpartition("-")[0]] = read
    return readers


def plain(code):
    """A code sequence without the mark that asks for the coloured form."""
    return "-".join(part for part in code.split("-") if part != "FE0F")


def text_of(code):
    """The characters of a code sequence."""
    return "".join(chr(int(part, 16)) for part in code.split("-"))


def drawn(svg):
    """An SVG text as an RGBA picture."""
    import resvg_py

    data = resvg_py.svg_to_bytes(svg_string=svg, width=DRAWN, height=DRAWN)
    return Image.open(io.BytesIO(bytes(data))).convert("RGBA")


def stored(data):
    """A PNG file's bytes as an RGBA picture; None stays None."""
    return data and Image.open(io.BytesIO(data)).convert("RGBA")


def from_openmoji(read, code):
    """The coloured drawing of a code sequence, or None."""
    found = (read(f"color/svg/{name}.svg") for name in (code, plain(code)))
    return next((drawn(data.decode()) for data in found if data), None)


def from_fluent(icons, characters, code):
    """The flat drawing of a code sequence, or None."""
    name = characters.get(code.lower()) or characters.get(plain(code).lower())
    if name is None:
        return None
    icon = icons["icons"].get(name) or icons["icons"][icons["aliases"][name]["parent"]]
    box = f"0 0 {icon.get('width', icons['width'])} {icon.get('height', icons['height'])}"
    return drawn(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{icon["body"]}</svg>')


def tile(image):
    """RGBA -> (32, 32, 3): cut to what is drawn, in the middle of a white square."""
    box = image.getchannel("A").point(lambda value: 255 * (value > 16)).getbbox()
    white = Image.new("RGBA", image.size, "white")
    image = Image.alpha_composite(white, image).convert("RGB").crop(box)
    side = round(max(image.size) * SIDE / (SIDE - 2 * MARGIN))
    square = Image.new("RGB", (side, side), "white")
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def make(folder):
    """(lines of the table, {vendor: (N, 32, 32, 3)}) of all emoji that four vendors have drawn."""
    read = archives(folder)
    listed = json.loads(read["emoji-datasource-twitter"]("emoji.json"))
    texts = json.loads(read["cldr-annotations-full"]("annotations/en/annotations.json"))
    texts = texts["annotations"]["annotations"]
    icons = json.loads(read["iconify-json-fluent-emoji-flat"]("icons.json"))
    characters = json.loads(read["iconify-json-fluent-emoji-flat"]("chars.json"))
    lines = ["code\tname\tkeywords\tgroup"]
    pictures = {"twemoji": [], "noto": [], "openmoji": [], "fluent": []}
    for entry in sorted(listed, key=lambda entry: entry["sort_order"]):
        code = entry["unified"]
        known = texts.get(text_of(plain(code))) or texts.get(text_of(code))
        if entry["category"] in LEFT_OUT or not known:
            continue
        image = entry["image"]
        found = [
            stored(read["emoji-datasource-twitter"](f"img/twitter/64/{image}")),
            stored(read["emoji-datasource-google"](f"img/google/64/{image}")),
            from_openmoji(read["openmoji"], code),
            from_fluent(icons, characters, code),
        ]
        if None in found:
            continue
        for vendor, picture in zip(pictures, found, strict=True):
            pictures[vendor].append(tile(picture))
        name, keywords = known["tts"][0], ", ".join(known["default"])
        lines.append("\t".join([code, name, keywords, entry["category"]]))
    return lines, {vendor: np.stack(tiles) for vendor, tiles in pictures.items()}


def sheet(tiles):
    """(N, 32, 32, 3) as one picture, 40 in a line."""
    rows = -(-len(tiles) // COLUMNS)
    full = np.full((rows * COLUMNS, SIDE, SIDE, 3), 255, np.uint8)
    full[: len(tiles)] = tiles
    full = full.reshape(rows, COLUMNS, SIDE, SIDE, 3).transpose(0, 2, 1, 3, 4)
    return Image.fromarray(full.reshape(rows * SIDE, COLUMNS * SIDE, 3))


def licences(folder):
    """{file: text} of the licences, as the archives have them."""
    read = archives(folder)
    return {
        "LICENCE-twemoji.txt": read["twemoji"]("LICENSE-GRAPHICS").decode(),
        "LICENCE-noto.txt": Path("/usr/share/common-licenses/Apache-2.0").read_text(),
        "LICENCE-openmoji.txt": read["openmoji"]("LICENSE.txt").decode(),
        "LICENCE-fluent.txt": MIT,
        "LICENCE-names.txt": read["cldr-annotations-full"]("LICENSE").decode(),
    }


if __name__ == "__main__":
    TARGET.mkdir(parents=True, exist_ok=True)
    lines, pictures = make(sys.argv[1])
    (TARGET / "emoji.tsv").write_text("\n".join(lines) + "\n", encoding="utf8")
    for vendor, tiles in pictures.items():
        sheet(tiles).save(TARGET / f"{vendor}.webp", lossless=True, quality=100, method=6)
    for name, text in licences(sys.argv[1]).items():
        (TARGET / name).write_text(text, encoding="utf8")
    for path in sorted(TARGET.iterdir()):
        print(hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size, path.name)
