"""What surrounds a learner's code while it runs; stand-alone, as `runner` is, which uses it.

Code that asks for a GPU gets the CPU, `to_var` and `opts` exist, prints are counted and dropped,
and an exception of the learner's code is data: its type, message and line, and the shapes there.
"""

import contextlib
import inspect
import io
import linecache
import math
import signal
import threading
import traceback
import types

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode


class CPU(TorchFunctionMode):
    """`.cuda()`, `.to('cuda')` and `device='cuda'` stay on the CPU."""

    def __torch_function__(self, function, kinds, args=(), kwargs=None):
        if function is torch.Tensor.cuda:
            return args[0]
        args = [torch.device("cpu") if _is_cuda(one) else one for one in args]
        kwargs = {n: "cpu" if _is_cuda(one) else one for n, one in (kwargs or {}).items()}
        return function(*args, **kwargs)


def _is_cuda(value):
    return isinstance(value, (str, torch.device)) and str(value).startswith("cuda")


class Sink(io.TextIOBase):
    """Counts what is printed and keeps nothing."""

    written = 0

    def write(self, text):
        self.written += len(text)
        return len(text)


class _Options:
    """The hand-out's `opts`: any attribute, none of them true."""

    def __getattr__(self, name):
        return False


SUPPLIED = {"torch": torch, "nn": nn, "F": nn.functional, "np": np, "math": math}
SUPPLIED |= {"to_var": lambda tensor, cuda=False: tensor, "opts": _Options()}


@contextlib.contextmanager
def seeded(seed):
    """Random numbers from this seed; the notebook's own go on as if nothing was drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed also prepares GPUs: slow
        yield


@contextlib.contextmanager
def names_supplied(objects):
    """The hand-out's names exist where the learner's code looks for them, while it runs."""
    spaces = {id(f.__globals__): f.__globals__ for f in _functions(objects)}
    added = [(space, n) for space in spaces.values() for n in SUPPLIED if n not in space]
    for space, name in added:
        space[name] = SUPPLIED[name]
    try:
        yield
    finally:
        for space, name in added:
            space.pop(name, None)


def _functions(objects):
    """All functions of the learner's objects."""
    for thing in objects.values():
        members = vars(thing).values() if inspect.isclass(thing) else [thing]
        yield from (one for one in members if isinstance(one, types.FunctionType))


@contextlib.contextmanager
def alarm(seconds):
    """TimeoutError after that many seconds, where the system has alarms (not on Windows)."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number, frame):
        raise TimeoutError(f"it ran longer than {seconds} seconds")

    old = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def raised(error, objects):
    """An exception as data, at the deepest line that is the learner's."""
    files = {f.__code__.co_filename for f in _functions(objects)}
    told = {"type": type(error).__name__, "message": str(error)[:500], "line": None, "text": ""}
    steps = traceback.walk_tb(error.__traceback__)
    own = [(frame, line) for frame, line in steps if frame.f_code.co_filename in files]
    if own:
        frame, told["line"] = own[-1]
        told["file"] = frame.f_code.co_filename
        told["text"] = linecache.getline(frame.f_code.co_filename, told["line"]).strip()
        shapes = {n: v for n, v in frame.f_locals.items() if isinstance(v, torch.Tensor)}
        told["shapes"] = {n: list(v.shape) for n, v in shapes.items()}
    return told
