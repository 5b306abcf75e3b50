"""Execute notebooks as a whole and write them back: `python tests/execute_notebooks.py notebooks/*.ipynb`."""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def execute(path):
    """Run all cells in order in a fresh kernel; on an error the file stays as it was."""
    path = Path(path)
    notebook = nbformat.read(path, as_version=4)
    # widget state would not be readable elsewhere, and cell times change with every run
    client = NotebookClient(
        notebook,
        timeout=2000,
        store_widget_state=False,
        record_timing=False,
        resources={"metadata": {"path": path.parent}},
    )
    client.execute()
    notebook.metadata.pop("widgets", None)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    part = path.with_suffix(".part")
    nbformat.write(notebook, part)
    os.replace(part, path)


if __name__ == "__main__":
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", A3_WEIGHTS="offline")
    for name in sys.argv[1:]:
        print("executing", name, flush=True)
        execute(name)
