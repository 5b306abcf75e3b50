"""The process that runs submissions: started without a3lib, it talks JSON with the grader.

Three roles, one per fork. The *host* imports torch once, shuts itself in, and forks one *keeper*
per item. The keeper forks the *submission*, passes questions on, and ends it when it is late,
silent or too long; the submission holds one socket to its keeper, never the grader's pipe.
Started as `python -I -S child.py`; standard library only, apart from what it imports for students.
"""

import importlib
import json
import os
import select
import shutil
import signal
import socket
import struct
import sys
import time
import types
from pathlib import Path

LONGEST_REPLY = 1 << 26  # bytes; a full reply of the largest check is below one million


class Ended(Exception):
    """The other side is gone, late, or sent what is no message."""


def send(place, message):
    """Writes one message: its length in eight bytes, then JSON."""
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    data = memoryview(struct.pack(">Q", len(data)) + data)
    while data:
        data = data[os.write(place, data) :]


def receive(place, seconds=None):
    """The bytes of one message. Raises Ended after `seconds`, at its end, or when too long."""
    deadline = None if seconds is None else time.monotonic() + seconds

    def exactly(size):
        parts = bytearray()
        while len(parts) < size:
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            if not select.select([place], [], [], left)[0]:
                raise Ended(f"ran past the limit of {seconds:g} s")
            part = os.read(place, min(size - len(parts), 1 << 20))
            if not part:
                raise Ended("its process ended")
            parts += part
        return bytes(parts)

    (size,) = struct.unpack(">Q", exactly(8))
    if size > LONGEST_REPLY:
        raise Ended("its reply was too long")
    return exactly(size)


class NoA3lib:
    """An import hook: the companion's own classes are not there to be handed in."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "a3lib":
            raise ModuleNotFoundError("a3lib cannot be used in a submission", name="a3lib")


def layers_of(setup, isolation):
    """Shuts this process in, as far as the system allows; what was reached, by name."""
    reached, readable = [], isolation.without(setup["readable"], setup["hidden"])
    attempts = {
        "own root": lambda: isolation.own_root(
            setup["folder"], setup["readable"], setup["hidden"]
        ),
    }
    del readable
    for name, attempt in attempts.items():
        try:
            attempt()
            reached.append(name)
        except (OSError, KeyError, AttributeError):
            pass
    return reached
