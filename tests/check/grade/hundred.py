"""Grades 100 generated submissions, all attacks among them, and says what came of them.

`python tests/check/grade/hundred.py [NUMBER]`; exit code 1 where a point is wrong or a row is lost.
"""

import socket
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from attacks import ATTACKS
from hand_ins import BERT, CELLS, GRU, STUB, write_notebook
from tqdm import tqdm

from a3lib.check.grade.__main__ import grade_all
from a3lib.check.grade.sandbox import LIMITS
from a3lib.check.grade.selection import load_items

OTHERS = {  # besides the attacks: the GRU cell of a submission, and its points
    "good": (GRU, 1),
    "z swapped": (GRU.replace("(1 - z) * h_prev + z * g", "z * h_prev + (1 - z) * g"), 0),
    "no tanh": (GRU.replace("torch.tanh", ""), 0),
    "stub": (STUB.format(body="        ..."), 0),
    "syntax error": (GRU.replace("def forward(", "def forward(("), 0),
}


def main(number):
    """Grades, compares with what is expected, prints the tables."""
    server = socket.create_server(("127.0.0.1", 0))
    kinds = {n: (text.replace(n, "MyGRUCell"), 0) for n, text in ATTACKS.items()} | OTHERS
    cells = [cell for cell in CELLS if cell[1] != BERT]
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        results.write_text("{}")
        results.chmod(0o666)
        names = [list(kinds)[n % len(kinds)] for n in range(number)]
        constants = f"RESULTS, PORT = ['{results}'], {server.getsockname()[1]}\n"
        paths = []
        for n, name in enumerate(names):
            handed_in = [("code", constants)] + [
                (kind, kinds[name][0] if text == GRU else text) for kind, text in cells
            ]
            paths.append(write_notebook(Path(folder) / f"{n:03} {name}.ipynb", handed_in))
        start, done = time.monotonic(), {}
        limits = replace(LIMITS, seconds=5)
        for place, rows in tqdm(grade_all(paths, load_items(), limits), total=number):
            done[place] = rows
        seconds = time.monotonic() - start
        untouched = results.read_text() == "{}"
    wrong, seen = 0, {}
    for n, name in enumerate(names):
        rows = [row for row in done.get(n, []) if row["verdict"] != "left out"]
        points = [row["points"] for row in rows]
        wrong += points != [kinds[name][1], 0.5, 0.5, 0]
        if rows:
            seen[name] = f"{rows[0]['verdict']:18} {points}  {rows[0]['message'][:90]}"
    for name, told in seen.items():
        print(f"{name:16} {told}")
    count = sum(map(len, done.values()))
    print(f"{len(done)} of {number} submissions, {count} rows, {seconds:.0f} s")
    print(f"with other points than expected: {wrong}; result file untouched: {untouched}")
    return int(wrong > 0 or len(done) < number or not untouched)


if __name__ == "__main__":
    raise SystemExit(main(int((sys.argv[1:] or [100])[0])))
