"""Execute notebooks as a whole and write them back: `python tests/execute_notebooks.py [--cite] notebooks/*.ipynb`.

With `--cite` the citations in the prose get the verdicts and numbers that were measured; those whose verdict changed are
printed: read the sentence around each of them again.
"""

import argparse
import os
import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient

VERDICT = "yes|no, the reverse|no difference|open"
# what `Claims` print: [name: verdict; measured] text
ROW = re.compile(rf"^\[([\w.-]+): ({VERDICT}); ([^\]]*)\] ", re.MULTILINE)
# how prose cites: the same, without the number where it depends on this machine or session
CITATION = re.compile(rf"\[([\w.-]+): ({VERDICT})(?:; ([^\]]+))?\]")


def measured_claims(notebook):
    """{name: (verdict, measured)} of all claims tables in the outputs; a name never has two values."""
    found = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for name, verdict, measured in ROW.findall(
                output.get("data", {}).get("text/plain", "")
            ):
                assert found.setdefault(name, (verdict, measured)) == (verdict, measured), name
    return found


def cite(notebook):
    """Put what was measured into the citations of the prose -> lines on verdicts that changed."""
    claims, changed = measured_claims(notebook), []

    def current(match):
        name, verdict = match.group(1), match.group(2)
        if name not in claims:
            return match.group()
        if claims[name][0] != verdict:
            changed.append(f"{name}: {verdict} -> {claims[name][0]}")
        return f"[{name}: {'; '.join(filter(None, claims[name]))}]"

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
