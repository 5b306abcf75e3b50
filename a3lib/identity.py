"""What a run was made with: its identity, the machine and the versions."""

import ast
import hashlib
import io
import json
import platform
import sys
import tokenize
from importlib import resources
from pathlib import Path

import torch


def run_identity(settings, seed, data_sha256, modules):
    """Hash (hex, 16 digits) of JSON-serialisable settings, seed, data hash and the code of a3lib `modules`.

    Comments, docstrings and blank lines do not count, everything else does: a changed model never meets an old record.
    """
    code = {module: code_text(_source(module)) for module in modules}
    content = json.dumps([settings, seed, data_sha256, code], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _source(module):
    return resources.files("a3lib").joinpath(f"{module}.py").read_text(encoding="utf8")


def code_text(source):
    """Python source without comments, docstrings, blank lines and trailing spaces; strings keep all of theirs."""
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    cuts = [(token.start, token.end) for token in tokens if token.type == tokenize.COMMENT]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            docstring = node.body[0]
            end = (docstring.end_lineno, _column(source, docstring.end_lineno, docstring.end_col_offset))
            cuts.append(((docstring.lineno, _column(source, docstring.lineno, docstring.col_offset)), end))
    lines = source.splitlines()
    inside = {row for token in tokens for row in range(token.start[0], token.end[0])}  # rows that end within a string
    for (first, start), (last, end) in sorted(cuts, reverse=True):
        inside -= set(range(first, last))
        rest = lines[last - 1][end:]
        for row in range(first, last):
            lines[row] = ""
        lines[first - 1] = lines[first - 1][:start] + rest
    kept = (line if row in inside else line.rstrip() for row, line in enumerate(lines, start=1))
    return "\n".join(line for row, line in enumerate(kept, start=1) if line or row in inside or row - 1 in inside)


def _column(source, row, offset):
    """The column in characters of an offset in UTF-8 bytes, as the syntax tree gives it."""
    return len(source.splitlines()[row - 1].encode()[:offset].decode())


def machine():
    """The kind of machine: equal kinds give equal bits for equal seeds."""
    return {
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
    }


def _processor():
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        fields = dict(line.split(":", 1) for line in cpuinfo.read_text().split("\n\n")[0].splitlines() if ":" in line)
        fields = {key.strip(): value.strip() for key, value in fields.items()}
        known = [fields[key] for key in ("model name", "cpu family", "model") if key in fields]
        if known:
            return " / ".join(known)
    return platform.processor() or platform.machine()


def versions():
    """Versions of what a result may depend on."""
    import numpy

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "os": sys.platform,
    }
