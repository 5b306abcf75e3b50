"""Execute notebooks as a whole and write them back: `python tests/execute_notebooks.py [--cite] notebooks/*.ipynb`.

With `--cite` the citations in the prose get the verdicts and numbers that were measured; those whose verdict changed are
printed: read the sentence around each of them again.
"""

import argparse
import os
import re
from pathlib import Path
from urllib.parse import quote

import nbformat
from nbclient import NotebookClient

from a3lib.lab.verdicts import SIGNS as MARKS

VERDICT = "yes|no, the reverse|no difference|open"
# what `Claims` print: [name: verdict; measured] text
ROW = re.compile(rf"^\[([\w.-]+): ({VERDICT}); ([^\]]*)\] ", re.MULTILINE)
# how prose cites: a mark that links to the section with the evidence; hovering over it shows the same, without
# the number where it depends on this machine or session. `[?](# "name")` asks for one.
CITATION = re.compile(
    rf"""\[([✓✗=?])\]\((\#[^\s"]*) "([\w.-]+)(?:: ({VERDICT})(?:; ([^"]+))?)?"\)"""
)


def measured_claims(notebook):
    """{name: (verdict, measured)} of all claims tables in the outputs; a name never has two values."""
    found = {}
    for cell in notebook.cells:
        for name, verdict, measured in shown_claims(cell):
            assert found.setdefault(name, (verdict, measured)) == (verdict, measured), name
    return found


def shown_claims(cell):
    """(name, verdict, measured) of each claim in a cell's outputs."""
    texts = [output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", [])]
    return [row for text in texts for row in ROW.findall(text)]


def sections(notebook):
    """{name of a claim: link to the section that shows it first}, as headings are named by Jupyter and GitHub."""
    found, heading = {}, ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE) or [heading])[-1]
        for name, *_ in shown_claims(cell):
            found.setdefault(name, "#" + quote(heading.strip().replace(" ", "-"), safe="-.,"))
    return found


def cite(notebook):
    """Put what was measured into the citations of the prose -> lines on verdicts that changed."""
    claims, links, changed = measured_claims(notebook), sections(notebook), []

    def current(match):
        name, verdict = match.group(3), match.group(4)
        if name not in claims:
            return match.group()
        if claims[name][0] != verdict:
            changed.append(f"{name}: {verdict} -> {claims[name][0]}")
        told = "; ".join(filter(None, claims[name]))
        return f'[{MARKS[claims[name][0]]}]({links[name]} "{name}: {told}")'

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = CITATION.sub(current, cell.source)
    return changed


def execute(path, with_citations=False):
    """Run all cells in order in a fresh kernel; on an error the file stays as it was."""
    path = Path(path)
    notebook = nbformat.read(path, as_version=4)
    # widget state would not be readable elsewhere, and cell times change with every run
    options = {"timeout": 2000, "store_widget_state": False, "record_timing": False}
    NotebookClient(notebook, resources={"metadata": {"path": path.parent}}, **options).execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    changed = cite(notebook) if with_citations else []
    part = path.with_suffix(".part")
    nbformat.write(notebook, part)
    os.replace(part, path)
    return changed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="+")
    parser.add_argument(
        "--cite", action="store_true", help="write what was measured into the citations"
    )
    arguments = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", A3_WEIGHTS="offline")
    for name in arguments.notebooks:
        print("executing", name, flush=True)
        print(*execute(name, arguments.cite), sep="\n", flush=True)
