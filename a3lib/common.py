"""What all parts share: one thread, the device, a diverged training, writing by rename."""

import contextlib
import os
from pathlib import Path

import torch


class Diverged(RuntimeError):
    """A loss became infinite or NaN; the message names the update and its learning rate."""


def best_device():
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextlib.contextmanager
def one_thread():
    """One thread: tiny models lose time to more, and sums keep their order whatever was set."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def written_by_rename(path):
    """Gives a temporary path beside `path`; what is written there replaces `path` in one step.

    A kill or an error leaves the old file as it was. Folders are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
