"""The project's public address, written in pyproject.toml: `python tests/set_address.py URL` sets it everywhere."""

import argparse
import json
import os
import re
from pathlib import Path

UNSET = ""
_PLACE = re.compile(r'^repository = "(.*)"$', re.MULTILINE)
_CELL = re.compile(r'^REPOSITORY = ".*?"', re.MULTILINE)
_BADGE = re.compile(r"<!-- colab ([\w.]*) -->.*?<!-- /colab -->", re.DOTALL)


def address(root):
    """The address that pyproject.toml in `root` gives, '' if it is not known yet."""
    return _PLACE.search(Path(root, "pyproject.toml").read_text(encoding="utf8")).group(1)


def badge(url, notebook):
    """HTML between the markers: a Colab badge for a notebook of a GitHub repository, else what to do."""
    match = re.match(r"https://github\.com/([\w.-]+/[\w.-]+?)(\.git)?/?$", url)
    if not match:
        content = "<em>no link yet: see “On Colab” in the README</em>"
    else:
        link = f"https://colab.research.google.com/github/{match.group(1)}/blob/main/notebooks/{notebook}"
        image = "https://colab.research.google.com/assets/colab-badge.svg"
        content = f"<a href='{link}'><img src='{image}' alt='Open in Colab'></a>"
    return f"<!-- colab {notebook} -->{content}<!-- /colab -->"


def with_address(text, url):
    """A file's text with the set-up cell's REPOSITORY and all badges for an address."""
    text = _CELL.sub(lambda _: f'REPOSITORY = "{url}"', text)
    return _BADGE.sub(lambda match: badge(url, match.group(1)), text)


def set_address(root, url):
    """Write an address into pyproject.toml, the README and all notebooks below `root`; returns the files changed.

    Raises ValueError if it is not an https address without quotes and spaces ('' unsets it).
    """
    if url and not re.match(r"https://[^\s\"'\\]+$", url):
        raise ValueError(f"{url!r} is not an https address, such as https://github.com/you/a3")
    root, changed = Path(root), []
    pyproject = root / "pyproject.toml"
    new = {
        pyproject: _PLACE.sub(
            lambda _: f'repository = "{url}"', pyproject.read_text(encoding="utf8")
        )
    }
    new[root / "README.md"] = with_address((root / "README.md").read_text(encoding="utf8"), url)
    for path in sorted(root.glob("notebooks/*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf8"))
        for cell in notebook["cells"]:
            cell["source"] = with_address("".join(cell["source"]), url).splitlines(keepends=True)
        new[path] = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    for path, text in new.items():
        if text != path.read_text(encoding="utf8"):
            part = path.with_name(path.name + ".part")
            part.write_text(text, encoding="utf8", newline="\n")
            os.replace(part, path)
            changed.append(path)
    return changed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python tests/set_address.py", description="set the project's public address"
    )
    parser.add_argument("url", help="https address of the repository; '' for unknown")
    parser.add_argument("--root", default=".", help="the checkout (default: this folder)")
    options = parser.parse_args()
    for changed_path in set_address(options.root, options.url):
        print("changed", changed_path)
