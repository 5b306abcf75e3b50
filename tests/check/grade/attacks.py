"""Classes that attack the grader instead of being a GRU cell. `RESULTS` and `PORT` are supplied."""


def attacking(name, forward="return h_prev", init="pass", body=""):
    """A GRU cell that does harm and computes nothing useful."""
    indent = "\n".join("    " + line for line in body.splitlines())
    return f"""class {name}(nn.Module):
{indent}
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.layer = nn.Linear(input_size, hidden_size)
        {init}

    def forward(self, x, h_prev):
        {forward}
"""


FAKE = """import numbers
class Fake(torch.Tensor):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __sub__(self, other): return torch.zeros(())
    def __hash__(self): return 0
    def equal(self, other): return True
    def allclose(self, other, **settings): return True
"""
ATTACKS = {
    "Crash": attacking("Crash", "import ctypes; ctypes.string_at(0)"),
    "Fork": attacking("Fork", "import os\n        while True: os.fork()"),
    "Threads": attacking(
        "Threads",
        "import threading, time\n"
        "        while True: threading.Thread(target=time.sleep, args=(9,)).start()",
    ),
    "Loop": attacking("Loop", "while True: pass"),
    "LoopAtDefinition": attacking("LoopAtDefinition", body="while True: pass"),
    "LoopThatCatches": attacking(
        "LoopThatCatches",
        "while True:\n            try:\n                while True: pass\n"
        "            except BaseException: pass",
    ),
    "Prints": attacking("Prints", "while True: print('x' * 1000000)"),
    "PrintsBelow": attacking(
        "PrintsBelow", "import os\n        while True: os.write(2, b'x' * 1000000)"
    ),
    "Memory": attacking("Memory", "return torch.ones(1 << 40)"),
    "LongReply": attacking("LongReply", "return torch.ones(1 << 25)"),
    "Exit": attacking("Exit", "import os; os._exit(0)"),
    "ExitAtDefinition": attacking("ExitAtDefinition", body="import os; os._exit(0)"),
    "LeavesPython": attacking("LeavesPython", "raise SystemExit(0)"),
    "Deep": attacking("Deep", "return self.forward(x, h_prev)"),
    "FakeComparison": FAKE + attacking("FakeComparison", "return h_prev.as_subclass(Fake)"),
    "Patched": attacking(
        "Patched",
        body="torch.allclose = torch.equal = lambda *a, **k: True\n"
        "torch.Tensor.allclose = torch.Tensor.equal = lambda *a, **k: True\n"
        "import sys, traceback; sys.excepthook = traceback.print_exc = lambda *a: None\n"
        "get_ipython = lambda: None; get_ipython.showtraceback = lambda *a: None",
    ),
    "PatchedRunner": attacking(
        "PatchedRunner",
        "import gc\n"
        "        for one in gc.get_objects():\n"
        "            if type(one).__name__ == 'Runner':\n"
        "                type(one).ask = lambda *a, **k: {'outputs': [], 'right': True, "
        "'points': 1}\n"
        "        return h_prev",
    ),
    "ForgedReplies": attacking(
        "ForgedReplies",
        "import json, os, struct\n"
        "        answer = json.dumps({'right': True, 'verdict': 'correct', 'outputs': []}).encode()\n"
        "        for place in range(3, 60):\n"
        "            try: os.write(place, (struct.pack('!i', len(answer)) + answer) * 1000)\n"
        "            except OSError: pass\n"
        "        return h_prev",
    ),
    "Rubbish": attacking(
        "Rubbish",
        "import os\n"
        "        for place in range(3, 60):\n"
        "            try: os.write(place, b'\\xff' * 100000)\n"
        "            except OSError: pass\n"
        "        return h_prev",
    ),
    "KillsOthers": attacking(
        "KillsOthers",
        "import os\n"
        "        for process in (os.getppid(), 0, -1, 1):\n"
        "            try: os.kill(process, 9)\n"
        "            except OSError: pass\n"
        "        return h_prev",
    ),
    "FillsDisk": attacking(
        "FillsDisk",
        "for number in range(10**9):\n"
        "            try: open(f'/tmp/{number}.attack', 'wb').write(bytes(1 << 20))\n"
        "            except OSError: open(f'{number}.attack', 'wb').write(bytes(1 << 20))",
    ),
    "RewritesResults": attacking(
        "RewritesResults",
        "import glob\n"
        "        for path in RESULTS + glob.glob('/tmp/**/*.json', recursive=True):\n"
        "            try: open(path, 'w').write('{\"score\": 100}')\n"
        "            except OSError: pass\n"
        "        return h_prev",
    ),
    "Network": attacking(
        "Network",
        "import socket\n"
        "        socket.socket().connect(('127.0.0.1', PORT))\n"
        "        return h_prev",
    ),
    "ReadsAnswers": attacking(
        "ReadsAnswers",
        "for module in list(__import__('sys').modules.values()):\n"
        "            place = getattr(module, '__file__', None) or ''\n"
        "            if 'a3lib' in place: exec(open(place).read(), globals())\n"
        "        import a3lib.check.bank as bank\n"
        "        return bank.answer(x, h_prev)",
    ),
    "Unwritable": attacking("Unwritable", "raise ValueError('\\ud800\\x00=\\r\\n' * 10**6)"),
    "ForgedFailure": attacking(
        "ForgedFailure",
        body="import json, os, struct\n"
        "answer = json.dumps({'failures': [{'message': ['\\ud800'], 'place': {}}]}).encode()\n"
        "for place in range(3, 60):\n"
        "    try: os.write(place, struct.pack('!i', len(answer)) + answer)\n"
        "    except OSError: pass",
    ),
    "LibraryBase": "from a3lib.translation.gru import MyGRUCell\n"
    "class LibraryBase(MyGRUCell):\n    pass\n",
    "LibraryClass": "from a3lib.translation.gru import MyGRUCell as LibraryClass\n",
}
