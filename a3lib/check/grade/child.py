"""The process that runs submissions. It is started without a3lib and knows no right answers.

The *host* imports torch once; for every item it forks a *submission*, which shuts itself in and
answers the grader's questions over a socket of its own, in JSON. The host itself
reads single bytes and sockets from the grader, never anything that a student wrote.
Started as `python -I -S child.py CONTROL_SOCKET SETUP`.
"""

import importlib
import json
import linecache
import os
import pdb
import signal
import socket
import sys
import traceback
import types
from multiprocessing.connection import Connection
from pathlib import Path

HERE = Path(__file__).resolve().parent


def load(path):
    """A module of the grader by its path: the package itself cannot be imported here."""
    module = types.ModuleType(path.stem)
    exec(compile(path.read_text(encoding="utf-8"), path.name, "exec"), vars(module))
    return module


def load_runner():
    """The runner, which finds the one module that it imports; submissions do not."""
    name = "a3lib.check.workspace"
    sys.modules[name] = load(HERE.parent / "workspace.py")
    runner = load(HERE.parent / "runner.py")
    del sys.modules[name]
    return runner


def supplied(bert):
    """The names that the hand-outs have defined before the student's first cell."""
    modules = ("torch", "numpy", "math", "copy", "random", "os", "pdb", "time")
    names = {name: importlib.import_module(name) for name in modules}
    torch, names["np"] = names["torch"], names["numpy"]
    names |= {"nn": torch.nn, "F": torch.nn.functional, "optim": torch.optim, "cuda": False}
    names |= {"Variable": torch.autograd.Variable, "device": torch.device("cpu")}
    names["to_var"] = lambda tensor, cuda=False: tensor
    names["utils"] = types.SimpleNamespace(to_var=names["to_var"])  # 2019 kept it in utils.py
    transformers = importlib.import_module("transformers") if bert else None
    return names | {name: getattr(transformers, name) for name in bert} | {"__name__": "__main__"}


def define(definitions, names):
    """Runs definitions one by one in `names`; gives those that raised, as data."""
    failures = []
    for one in definitions:
        place, above = one["place"], one["line"] - 1
        _, _, lines, _ = linecache.cache.setdefault(place, (0, None, [], place))
        lines += ["\n"] * (above - len(lines)) + one["source"].splitlines(True)
        try:
            exec(compile("\n" * above + one["source"], place, "exec"), names)
        except Exception as error:
            steps = traceback.extract_tb(error.__traceback__)
            line = [step.lineno for step in steps if step.filename == place] or [one["line"]]
            told = f"{type(error).__name__}: {str(error)[:500]}"
            place = f"{place}, line {line[-1]}"
            failures.append({"names": one["names"], "message": told, "place": place})
    return failures


def submission(link, setup, names, isolation, runner):
    """Gives up all rights, runs the definitions, then answers questions until it is ended."""

    def reply(answer):
        link.send_bytes(json.dumps(answer).encode())

    layers = isolation.shut_in(setup["readable"], setup["memory"], setup["item_seconds"])
    link.recv_bytes()
    reply({"layers": layers})
    job = json.loads(link.recv_bytes())
    reply({"failures": define(job["definitions"], names)})
    session = runner.Runner({name: names[name] for name in job["names"] if name in names})
    while True:
        question = json.loads(link.recv_bytes())
        answer = session.ask(question["operation"], **runner.decode(question["arguments"]))
        reply(runner.encode(answer))


def main(control, setup):
    """Prepares what all items share; then each message ends a submission or starts one."""
    sys.path += setup["packages"]
    isolation, runner = load(HERE / "isolation.py"), load_runner()
    names = supplied(setup["bert"])
    names["torch"].set_num_threads(1)
    runner.SECONDS = setup["seconds"]
    sys.modules["a3lib"] = None  # an import of it says so, even where it is installed
    pdb.set_trace = lambda *arguments, **options: None  # a leftover of debugging
    process, message = 0, b"+"
    while message:  # nothing comes any more when the grader is gone
        message, links, *_ = socket.recv_fds(control, 1, 1)
        if process:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            process = 0
        for link in links:
            process = os.fork()
            if process == 0:
                try:
                    control.close()
                    os.chdir("/")
                    submission(Connection(link), setup, names, isolation, runner)
                finally:
                    os._exit(1)
            os.close(link)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2]))
