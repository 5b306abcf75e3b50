"""`python -m a3lib.check.blank NOTEBOOK... -o FOLDER`: the same notebooks without solutions.

A cell tagged `solution` is dropped, and a code cell that displays a folded block whose summary
begins with "Solution"; in Markdown such a block is taken out. All else stays, outputs included.
"""

import argparse
import json
import re
from pathlib import Path

from a3lib.common import written_by_rename

FOLDED = re.compile(
    r"[ \t]*<details[^>]*>\s*<summary[^>]*>\s*(?:<\w+>\s*)*solution.*?</details>[ \t]*\n?",
    re.I | re.S,
)


def without_solutions(notebook):
    """A notebook, as nbformat keeps it, without its solutions."""
    cells = []
    for cell in notebook["cells"]:
        text, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
        folded = FOLDED.search(text)
        if folded and cell["cell_type"] == "markdown":
            text = FOLDED.sub("", text).strip("\n")
            cell = {**cell, "source": text.splitlines(keepends=True)}
        dropped = "solution" in tags or (folded and (cell["cell_type"] == "code" or not text))
        if not dropped:
            cells.append(cell)
    return {**notebook, "cells": cells}


def main(arguments=None):
    """Writes the notebooks into the folder."""
    command = argparse.ArgumentParser("python -m a3lib.check.blank", description=__doc__)
    command.add_argument("notebooks", nargs="+", type=Path)
    command.add_argument("-o", "--output", required=True, type=Path, help="folder to write to")
    options = command.parse_args(arguments)
    for source in options.notebooks:
        target = options.output / source.name
        if target.resolve() == source.resolve():
            command.error(f"{target} is the source itself: give another folder")
        notebook = without_solutions(json.loads(source.read_text(encoding="utf-8")))
        with written_by_rename(target) as part:
            text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True)
            part.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
