"""The grader's side of a submission's process: a session that asks it, within limits."""

import json
import math
import socket
import subprocess
import sys
import time
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from multiprocessing import Pipe
from pathlib import Path

import a3lib
from a3lib.check import runner
from a3lib.check.workspace import alarm

LONGEST = 1 << 23  # bytes of a reply; those of honest submissions stay below one million
SYSTEM = ("/usr/lib", "/lib", "/lib64", "/dev/null")  # shared libraries


@dataclass(frozen=True)
class Limits:
    """What one item of one submission may use."""

    seconds: float = 10  # per question; an honest answer takes milliseconds
    item_seconds: int = 150  # for all questions; a check takes two seconds on a free machine
    memory: int = 2 << 30  # bytes beyond those of Python and torch


LIMITS = Limits()


class SubmissionEnded(RuntimeError):
    """The submission's process ended, was late, or answered with what is no data."""


class Sandbox(AbstractContextManager):
    """`ask` of `a3lib.check.runner`, for objects in a process that is not trusted (`child`).

    For a `with` statement; its host serves one item after another. `bert`: classes of transformers
    to have at hand. After `open`, `layers` names what keeps the submission in, `failures` holds
    the definitions that raised, and `where` is the place of the last exception.
    """

    def __init__(self, bert=(), limits=LIMITS):
        self.bert, self.limits, self._host, self._link = bert, limits, None, None

    def __exit__(self, *error):
        if self._host:
            self._control.close()  # the host ends the submission, then itself
            self._host.wait()

    def open(self, definitions, names):
        """Runs definitions (see child.define) in a new process that is asked about `names`."""
        if self._host is None or self._host.poll() is not None:
            self._start()
        self._link, theirs = Pipe()
        self._deadline, self.where = math.inf, None
        with theirs:
            socket.send_fds(self._control, [b"+"], [theirs.fileno()])
        self.layers = self._exchange(None, 300)["layers"]  # the host imports torch first
        self._deadline = time.monotonic() + self.limits.item_seconds
        self.failures = self._exchange({"definitions": definitions, "names": names})["failures"]

    def close(self):
        """Ends the submission that is open."""
        with suppress(OSError):  # its host may have died with it
            self._link.close()
            self._control.sendall(b"-")

    def ask(self, operation, **arguments):
        """A dictionary of plain data; {'error': ...} where the submission's code raised.

        Raises SubmissionEnded.
        """
        reply = self._exchange({"operation": operation, "arguments": runner.encode(arguments)})
        try:
            answer = runner.decode(reply)
        except (ValueError, TypeError, AttributeError, RuntimeError, OverflowError) as error:
            raise SubmissionEnded("its reply was no data") from error
        error = answer.get("error")
        if isinstance(error, dict) and error.get("line"):
            self.where = f"{error.get('file')}, line {error['line']}"
        return answer

    def _exchange(self, message, seconds=None):
        """The reply to a message, a dictionary. Raises SubmissionEnded."""
        seconds = seconds or self.limits.seconds + 3  # the runner's own alarm tells more
        try:
            with alarm(max(min(seconds, self._deadline - time.monotonic()), 0.01)):
                self._link.send_bytes(json.dumps(message).encode())
                return dict(json.loads(self._link.recv_bytes(LONGEST)))
        except (OSError, EOFError) as error:
            raise SubmissionEnded(str(error) or "its process ended") from error
        except (ValueError, TypeError, RecursionError) as error:
            raise SubmissionEnded("its reply was no data") from error

    def _start(self):
        self.__exit__()
        self._control, theirs = socket.socketpair()
        modules = ["torch", "numpy"] + ["transformers"] * bool(self.bert)
        packages = {Path(find_spec(name).origin).parents[1] for name in modules}
        roots = {Path(sys.base_prefix), *packages, *map(Path, SYSTEM)}
        setup = asdict(self.limits) | {
            "bert": self.bert,
            "packages": [str(path) for path in packages],
            "readable": [str(p) for p in _without(Path(a3lib.__file__).parent, roots)],
        }
        child = Path(__file__).with_name("child.py")
        with theirs:
            self._host = subprocess.Popen(
                [sys.executable, "-I", "-S", child, str(theirs.fileno()), json.dumps(setup)],
                **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL),
                pass_fds=[theirs.fileno()],
                env={"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HOME": "/"},
            )


def _without(hidden, paths):
    """The paths that exist, but where one holds `hidden` its other entries take its place."""
    for path in filter(Path.exists, paths):
        if path != hidden and hidden.is_relative_to(path):
            yield from _without(hidden, path.iterdir())
        elif path != hidden:
            yield path
