"""Takes the definitions out of a student's notebooks or modules; nothing is executed here.

A cell that is no Python is lost alone, and said so. IPython's own lines (`!pip`, `%cd`) and
bodies that hold nothing but comments are filled with `pass`, so that line numbers stay true.
"""

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path

LONGEST = 1 << 20  # characters of a cell: the parser takes a thousand times as many bytes
IPYTHON = re.compile(r"^(\s*)(?:[!%?]|[\w., ]+=\s*[!%]|.*\?\s*$).*")
OTHER_LANGUAGE = re.compile(r"\s*%%(?!time|timeit|capture|prun)")
BLOCK = re.compile(r"(?:class |def |@|# In ?\[|# ?%%)")  # where a part of a module begins
# what a constant may call; anything else at the top of a cell is work (training, plots, files)
CONSTANT = re.compile(r"(torch|np|math|nn|AttrDict|dict|list|tuple|range|float|int)\b")
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


@dataclass(frozen=True)
class Definition:
    """One statement that binds names, or (without a node) a cell that could not be read."""

    names: tuple
    place: str  # "nmt.ipynb cell 12" or "models.py"
    line: int  # of the cell, or of the module
    source: str
    heading: str = ""  # all headings above the cell, joined by " / "
    node: ast.AST | None = None
    reason: str = ""  # why it could not be read

    @property
    def uses(self):
        """The names that the statement reads."""
        return {n.id for n in ast.walk(self.node) if isinstance(n, ast.Name)} - set(self.names)

    def __str__(self):
        return f"{self.place}, line {self.line}"


def read(path):
    """(all Definitions, those cells that could not be read) of a file or a folder of files.

    Raises ValueError where there is none or a file is no notebook, OSError where it is unreadable.
    """
    path, found, lost = Path(path), [], []
    files = [path]
    if path.is_dir():  # without the copies of Jupyter and macOS (.ipynb_checkpoints, __MACOSX)
        files = sorted([*path.rglob("*.ipynb"), *path.rglob("*.py")])
        files = [f for f in files if not re.search(r"/(\.|__)", f"/{f.relative_to(path)}")]
    if not files:
        raise ValueError(f"{path} holds no notebook and no module: give an .ipynb or .py file")
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace").removeprefix("\ufeff")
        parts = _notebook(file, text) if file.suffix == ".ipynb" else _module(file, text)
        for place, source, above, heading in parts:
            try:
                found += _definitions(source, place, above, heading)
            except UNREADABLE as error:
                names = tuple(re.findall(r"^\s*(?:class|def)\s+(\w+)", source, re.M))
                line = above + (getattr(error, "lineno", None) or 1)
                reason = getattr(error, "msg", str(error)) or type(error).__name__
                lost.append(Definition(names, place, line, source, reason=reason))
    return found, lost


def _notebook(file, text):
    """(place, source, 0, heading) of its code cells."""
    headings = []
    try:
        for number, cell in enumerate(json.loads(text)["cells"]):
            source = "".join(cell["source"])
            if cell["cell_type"] == "code":
                heading = " / ".join(title for _, title in headings)
                yield f"{file.name} cell {number}", source, 0, heading
            elif cell["cell_type"] == "markdown":
                for marks, title in re.findall(r"^(#+)\s+(.+)", source, re.M):
                    headings = [one for one in headings if one[0] < len(marks)]
                    headings.append((len(marks), title.strip()))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{file} is no notebook ({error}): export it again as .ipynb") from error


def _module(file, text):
    """(place, source, lines above, '') of the module, in parts where it is no Python as a whole."""
    lines, cuts = text.splitlines(), [0]
    try:
        parse(text)
    except UNREADABLE:  # only the part with the error shall be lost
        cuts += [n for n, line in enumerate(lines) if n and BLOCK.match(line)]
    for start, end in zip(cuts, [*cuts[1:], len(lines)], strict=True):
        yield file.name, "\n".join(lines[start:end]), start, ""


def parse(source):
    """(tree, lines) of a cell, with lines that are not Python's own filled by `pass`.

    Raises SyntaxError (or another of UNREADABLE) where it is no Python for another reason.
    """
    if len(source) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} characters")
    lines = [] if OTHER_LANGUAGE.match(source) else source.splitlines()
    while True:
        try:
            return ast.parse("\n".join(lines)), lines
        except SyntaxError as error:
            if not _mended(lines, error):
                raise


def _mended(lines, error):
    """Whether the line of a syntax error could be filled, so that another try makes sense."""
    at, form, filled = min(error.lineno or 1, len(lines)) - 1, IPYTHON, r"\1pass"
    header = re.search(r"expected an indented block after .* on line (\d+)", error.msg)
    if header:  # a body of nothing but comments
        at, form, filled = int(header[1]) - 1, re.compile(r":\s*(#.*)?$"), ": pass"
    old, lines[at] = lines[at], form.sub(filled, lines[at])
    if old.endswith("\\") and lines[at] != old and at + 1 < len(lines):  # it goes on below
        lines[at + 1] = lines[at].replace("pass", "!") + lines[at + 1]
    return lines[at] != old


def _definitions(source, place, above, heading):
    """All statements of a cell that define, import, or set a constant."""
    tree, lines = parse(source)
    for node in tree.body:
        inside, names = list(ast.walk(node)), []
        calls = [ast.unparse(n.func) for n in inside if isinstance(n, ast.Call)]
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names = [node.name]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [(one.asname or one.name).split(".")[0] for one in node.names]
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and all(map(CONSTANT.match, calls)):
            bound = [n for n in inside if isinstance(n, ast.Name)]
            names = [n.id for n in bound if isinstance(n.ctx, ast.Store)]
        if names:
            start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            text = "\n".join(lines[start - 1 : node.end_lineno])
            yield Definition(tuple(names), place, above + start, text, heading, node)
