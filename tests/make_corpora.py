"""Make the two corpora again: `python tests/make_corpora.py FOLDER`, where the two Debian packages are unpacked.

The packages are r-cran-janeaustenr 1.0.0-1 and metamath-databases 0.0.0~20210101.git55fe226-2 (`dpkg-deb -x`).
"""

import lzma
import random
import re
import struct
import sys
import zlib
from pathlib import Path

CHARACTERS = 500_000  # of each corpus: twice what the longest recorded arm reads
TARGET = Path(__file__).parents[1] / "a3lib/data/corpora"


def novels(path):
    """The strings of R's lazy-load database: objects of a 4-byte length and a zlib stream each, strings of type 9."""
    data, place = path.read_bytes(), 0
    while place < len(data):
        stream = zlib.decompressobj()
        content = stream.decompress(data[place + 4 :])
        place = len(data) - len(stream.unused_data)
        lines, at = [], 14
        while at < len(content) - 8:
            (length,) = struct.unpack(">i", content[at + 4 : at + 8])
            if content[at] == 0 and content[at + 3] == 9 and 0 <= length <= len(content) - at - 8:
                lines.append(content[at + 8 : at + 8 + length].decode("utf8"))
                at += length + 4
            at += 4
        yield "\n".join(lines)


def paragraphs(text):
    """Paragraphs of at least 60 characters, each as one line."""
    lines = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    return [line for line in lines if len(line) >= 60]


def comments(text):
    """Comments of a Metamath database that are plain prose: without formulas, references and credits, each once."""
    found = {}
    for comment in re.findall(r"\$\((.*?)\$\)", text, re.DOTALL):
        plain = re.sub(r"\((Contributed|Revised|Proof|New usage|Unnecessary)[^)]*\)", "", comment)
        plain = " ".join(plain.replace("_", "").split())
        if len(plain) >= 60 and not re.search(r"[`~$]|[=*#.-]{4}|https?:", plain):
            found[plain] = None
    return list(found)


def draw(lines, seed):
    """Whole lines in a seeded order, as many as fit into CHARACTERS."""
    random.Random(seed).shuffle(lines)
    kept, left = [], CHARACTERS
    for line in lines:
        if len(line) < left:
            kept.append(line)
            left -= len(line) + 1
    return "\n".join(kept) + "\n"


if __name__ == "__main__":
    share = Path(sys.argv[1], "usr")
    austen = [
        line
        for text in novels(share / "lib/R/site-library/janeaustenr/data/Rdata.rdb")
        for line in paragraphs(text)
    ]
    metamath = comments((share / "share/metamath/databases/set.mm").read_text(encoding="utf8"))
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, lines in (("austen", austen), ("mathematics", metamath)):
        text = draw(lines, seed=0).encode()
        (TARGET / f"{name}.txt.xz").write_bytes(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))
        print(name, len(lines), "lines to draw from,", len(text), "bytes kept")
