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
    """Python source without comments, docstrings, blank lines and trailing spaces."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            docstring = node.body[0]
            for row in range(docstring.lineno - 1, docstring.end_lineno):
                lines[row] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())


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
