"""Operations on a learner's objects: build, set, call; every answer is plain data.

Stand-alone on purpose (standard library, torch, numpy): the grader runs this text in a child
process that cannot see the rest of the package. Nothing is judged here. Code that asks for a GPU
gets the CPU, `to_var` and `opts` exist, prints are counted and dropped, and an exception of the
learner's code is an answer: its type, message and line, and the shapes at that line.
"""

import contextlib
import inspect
import io
import linecache
import math
import signal
import threading
import time
import types

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

SECONDS = 20  # for one operation, where the system has alarms: a check takes less than two


class Runner:
    """The objects by name, and the instances made of them by number (a handle)."""

    def __init__(self, objects):
        self.objects, self.made = dict(objects), []

    def ask(self, operation, **arguments):
        """The operation's answer, a dictionary; {'error': ...} where the learner's code raised."""
        if "config" in {*arguments, *(arguments.get("values") or {})}:
            _bert()  # its import takes seconds that are not the learner's
        prints, start = _Sink(), time.monotonic()
        try:
            with contextlib.redirect_stdout(prints), _names(self.objects), _alarm(SECONDS):
                answer = getattr(self, "do_" + operation)(**arguments)
        except Exception as error:
            answer = {"error": _told(error, self.objects)}
        answer |= {"printed": prints.written, "seconds": time.monotonic() - start}
        return answer

    def do_describe(self, name):
        """What an object is and which names its parameters have."""
        thing = self.objects[name]
        return {"is_class": inspect.isclass(thing), "takes": _parameters(thing)}

    def do_build(self, name, values, seed=0):
        """An instance, its constructor given those `values` that it names, else the first ones."""
        with _seeded(seed), _CPU():
            positional, keywords = _fit(self.objects[name], values)
            made = self.objects[name](*positional, **keywords)
        if "config" in values:
            made.eval()  # BERT's own dropout is no mistake
        self.made.append(made)
        modules = list(made.modules()) if isinstance(made, nn.Module) else []
        return {
            "handle": len(self.made) - 1,
            "parameters": {n: plain(p) for n, p in _state(made)},
            "loose": [n for n, v in vars(made).items() if n[0] != "_" and _is_loose(v)],
            "softmax": [one.dim for one in modules if isinstance(one, nn.Softmax)],
            "children": [n for n, _ in made.named_modules()] if modules else [],
            "takes": _parameters(getattr(made, "forward", None)),
            "methods": sorted(set(dir(type(made))) - set(dir(nn.Module))),
        }

    def do_set(self, handle, values):
        """Write parameters by name, in place."""
        for name, parameter in _state(self.made[handle]):
            parameter.data.copy_(values[name])
        return {}

    def do_convert(self, handle, dtype):
        """Another precision for all parameters and buffers."""
        self.made[handle].to(getattr(torch, dtype))
        return {}

    def do_call(self, handle, inputs, keywords=None, path="", method="", weigh=None, seed=0):
        """Call the instance, a part of it (`path`) or a `method`; 'base': its library class.

        `weigh` holds a tensor per output; then gradients of sum(output * weight) are answered, too:
        per parameter, and per input (False for an input that has none).
        """
        made = self.made[handle]
        target = made.get_submodule(path) if path else made
        if method == "base":
            kinds = (c for c in type(made).__mro__ if c.__module__.startswith("transformers."))
            target = types.MethodType(next(kinds).forward, made)
        elif method:
            target = getattr(target, method)
        parameters = dict(_state(made)) if weigh else {}
        return self._run(target, inputs, keywords or {}, parameters, weigh, seed)

    def do_apply(self, name, inputs=(), values=None, seed=0):
        """Call a function with `inputs`, or with those of the named `values` that it takes."""
        target, keywords = self.objects[name], {}
        if values is not None:
            inputs, keywords = _fit(target, values)
        return self._run(target, inputs, keywords, {}, None, seed)

    def do_freeze(self, name, config, nested):
        """What the learner's function leaves trainable in a small BERT with a `classifier`."""
        make_config, plain_model, nested_model = _bert()
        model = (nested_model if nested else plain_model)(make_config(**config))
        if not nested:
            model.classifier = nn.Linear(model.config.hidden_size, model.config.num_labels)
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        with _CPU():
            given = self.objects[name](model)
        after = dict((given if isinstance(given, nn.Module) else model).named_parameters())
        blocked = not torch.is_grad_enabled()
        torch.set_grad_enabled(True)
        return {
            "names": list(before),
            "trainable": [n for n, p in after.items() if p.requires_grad],
            "moved": [n for n, p in before.items() if n not in after or not p.equal(after[n])],
            "blocked": blocked,
        }

    def _run(self, target, inputs, keywords, parameters, weigh, seed):
        leaves = [_given(value, weigh is not None) for value in inputs]
        # a copy, not the leaf itself: code that changes it in place shall run as in training
        passed = [v.clone() if isinstance(v, torch.Tensor) else v for v in leaves]
        before = [v.detach().clone() if isinstance(v, torch.Tensor) else v for v in passed]
        for parameter in parameters.values():
            parameter.grad = None
        with _seeded(seed), _CPU():
            output = target(*passed, **{n: _given(v) for n, v in keywords.items()})
        if isinstance(output, dict) and "logits" in output:  # of a class of transformers
            output = tuple(output[n] for n in ("logits", "loss") if n in output)
        outputs = list(output) if isinstance(output, (tuple, list)) else [output]
        pairs = enumerate(zip(passed, before, strict=True))
        changed = [n for n, (v, old) in pairs if isinstance(v, torch.Tensor) and not v.equal(old)]
        answer = {"outputs": plain(outputs), "changed": changed}
        if weigh is not None:
            pairs = zip(outputs, weigh, strict=False)
            loss = sum((o * w.to(o)).sum() for o, w in pairs if o.requires_grad)
            if isinstance(loss, torch.Tensor):
                loss.backward()
            answer["gradients"] = {n: plain(p.grad) for n, p in parameters.items()}
            wanted = [getattr(leaf, "requires_grad", False) for leaf in leaves]
            pairs = zip(leaves, wanted, strict=True)
            answer["input_gradients"] = [needed and plain(leaf.grad) for leaf, needed in pairs]
        return answer


def plain(value):
    """Data without code: tensors, arrays, numbers, strings, lists, dictionaries."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (np.ndarray, np.poly1d)):
        return torch.as_tensor(np.asarray(value))
    if isinstance(value, dict):
        return {str(n): plain(v) for n, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return {"type": type(value).__name__}


def encode(value):
    """What `plain` made, as JSON knows it; `decode` is the inverse."""
    if isinstance(value, torch.Tensor):
        kind = str(value.dtype).removeprefix("torch.")
        return {"tensor": value.flatten().tolist(), "dtype": kind, "shape": list(value.shape)}
    if isinstance(value, dict):
        return {n: encode(v) for n, v in value.items()}
    return [encode(v) for v in value] if isinstance(value, (tuple, list)) else value


def decode(value):
    """Tensors again from what `encode` made. Raises ValueError, TypeError for anything else."""
    if isinstance(value, dict) and set(value) == {"tensor", "dtype", "shape"}:
        kind = getattr(torch, value["dtype"])
        return torch.tensor(value["tensor"], dtype=kind).reshape(value["shape"])
    if isinstance(value, dict):
        return {n: decode(v) for n, v in value.items()}
    return [decode(v) for v in value] if isinstance(value, list) else value


def _given(value, gradient=False):
    if isinstance(value, dict) and "memory" in value:
        return types.SimpleNamespace(**value["memory"])  # what the library's decoders look at
    if not isinstance(value, torch.Tensor):
        return value
    return value.clone().requires_grad_(gradient and value.is_floating_point())


def _fit(target, values):
    """(positional, keywords) for a callable: by name where all its names are known."""
    if "config" in values:
        values = {**values, "config": _bert()[0](**values["config"])}
    names = _parameters(target, required=True)
    if set(names) <= set(values):
        return [], {n: values[n] for n in _parameters(target) if n in values}
    return list(values.values())[: len(names)], {}


def _bert():
    from transformers import BertConfig, BertForSequenceClassification, BertModel

    return BertConfig, BertModel, BertForSequenceClassification


def _parameters(target, required=False):
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        found = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return []
    return [
        p.name for p in found if p.kind in kinds and not (required and p.default is not p.empty)
    ]


def _state(made):
    return list(made.named_parameters()) if isinstance(made, nn.Module) else []


def _is_loose(value):
    """Whether an attribute holds layers or weights that the module does not know of."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return any(_is_loose(one) or isinstance(one, nn.Module) for one in value)
    return isinstance(value, torch.Tensor) and value.requires_grad


class _CPU(TorchFunctionMode):
    """`.cuda()`, `.to('cuda')` and `device='cuda'` stay on the CPU."""

    def __torch_function__(self, function, kinds, args=(), kwargs=None):
        if function is torch.Tensor.cuda:
            return args[0]
        args = [torch.device("cpu") if _is_cuda(one) else one for one in args]
        kwargs = {n: "cpu" if _is_cuda(one) else one for n, one in (kwargs or {}).items()}
        return function(*args, **kwargs)


def _is_cuda(value):
    return isinstance(value, (str, torch.device)) and str(value).startswith("cuda")


class _Sink(io.TextIOBase):
    """Counts what is printed and keeps nothing."""

    written = 0

    def write(self, text):
        self.written += len(text)
        return len(text)


class _Options:
    """The hand-out's `opts`: any attribute, none of them true."""

    def __getattr__(self, name):
        return False


_SUPPLIED = {"torch": torch, "nn": nn, "F": nn.functional, "np": np, "math": math}
_SUPPLIED |= {"to_var": lambda tensor, cuda=False: tensor, "opts": _Options()}


@contextlib.contextmanager
def _seeded(seed):
    """Random numbers from this seed; the notebook's own go on as if nothing was drawn."""
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)  # torch.manual_seed also prepares GPUs: slow
    try:
        yield
    finally:
        torch.set_rng_state(state)


@contextlib.contextmanager
def _names(objects):
    """The hand-out's names exist where the learner's code looks for them, while it runs."""
    spaces = {id(f.__globals__): f.__globals__ for f in _functions(objects)}
    added = [(space, n) for space in spaces.values() for n in _SUPPLIED if n not in space]
    for space, name in added:
        space[name] = _SUPPLIED[name]
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
def _alarm(seconds):
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


def _told(error, objects):
    """An exception as data, at the deepest line that is the learner's."""
    files = {f.__code__.co_filename for f in _functions(objects)}
    told = {"type": type(error).__name__, "message": str(error)[:500], "line": None, "text": ""}
    step, frames = error.__traceback__, []
    while step:
        frames.append((step.tb_frame, step.tb_lineno))
        step = step.tb_next
    own = [(f, line) for f, line in frames if f.f_code.co_filename in files]
    if own:
        frame, told["line"] = own[-1]
        told["file"] = frame.f_code.co_filename
        told["text"] = linecache.getline(frame.f_code.co_filename, told["line"]).strip()
        shapes = {n: v for n, v in frame.f_locals.items() if isinstance(v, torch.Tensor)}
        told["shapes"] = {n: list(v.shape) for n, v in shapes.items()}
    return told
