"""Operations on a learner's objects: build, set, call; every answer is plain data.

Stand-alone on purpose (standard library, torch, numpy and `workspace`): the grader runs this text
in a child process that cannot see the rest of the package. Nothing is judged here.
"""

import contextlib
import inspect
import types

import numpy as np
import torch
from torch import nn

from a3lib.check.workspace import CPU, SUPPLIED, Sink, alarm, names_supplied, raised, seeded

SECONDS = 20  # for one operation: a check takes less than two


class Runner:
    """The objects by name, and the instances made of them by number (a handle).

    A call may take 20 seconds where the system has alarms (Linux, macOS; not Windows, not in a
    thread); memory is not limited.
    """

    def __init__(self, objects):
        self.objects, self.made = dict(objects), []

    def ask(self, operation, **arguments):
        """The operation's answer, a dictionary; {'error': ...} where the learner's code raised."""
        if "config" in {*arguments, *(arguments.get("values") or {})}:
            _bert()  # its import takes seconds that are not the learner's
        prints = Sink()
        try:
            with contextlib.redirect_stdout(prints), names_supplied(self.objects), alarm(SECONDS):
                answer = getattr(self, "do_" + operation)(**arguments)
        except Exception as error:
            answer = {"error": raised(error, self.objects)}
        return answer | {"printed": prints.written}

    def do_describe(self, name):
        """What an object is and which names its parameters have."""
        thing = self.objects[name]
        return {"is_class": inspect.isclass(thing), "takes": _parameters(thing)}

    def do_build(self, name, values):
        """An instance, its constructor given those `values` that it names, else the first ones."""
        with seeded(0), CPU():
            made = _called(self.objects[name], _fit(self.objects[name], values))
        if "config" in values:
            made.eval()  # BERT's own dropout is no mistake
        self.made.append(made)
        modules = list(made.modules()) if isinstance(made, nn.Module) else []
        return {
            "handle": len(self.made) - 1,
            "parameters": plain(_state(made)),
            "loose": [n for n, v in vars(made).items() if n[0] != "_" and _is_loose(v)],
            "softmax": [one.dim for one in modules if isinstance(one, nn.Softmax)],
            "children": [n for n, _ in made.named_modules()] if modules else [],
            "takes": _parameters(getattr(made, "forward", None)),
            "methods": sorted(set(dir(type(made))) - set(dir(nn.Module))),
        }

    def do_set(self, handle, values):
        """Write parameters by name, in place."""
        for name, parameter in _state(self.made[handle]).items():
            parameter.data.copy_(values[name])
        return {}

    def do_convert(self, handle, dtype):
        """Another precision for all parameters and buffers."""
        self.made[handle].to(getattr(torch, dtype))
        return {}

    def do_call(self, handle, inputs, path="", method="", weigh=None, seed=0):
        """Call the instance, a part of it (`path`) or a `method`; 'base': its library class.

        inputs: a list, or a dictionary by name. `weigh` holds a tensor per output; then gradients
        of sum(output * weight) are answered, too: per parameter, and per input of a list (False for
        an input that has none).
        """
        made = self.made[handle]
        target = made.get_submodule(path) if path else made
        if method == "base":
            kinds = (c for c in type(made).__mro__ if c.__module__.startswith("transformers."))
            target = types.MethodType(next(kinds).forward, made)
        elif method:
            target = getattr(target, method)
        return self._run(target, inputs, seed, _state(made), weigh)

    def do_apply(self, name, inputs=(), values=None):
        """Call a function with `inputs`, or with those of the named `values` that it takes."""
        target = self.objects[name]
        return self._run(target, inputs if values is None else _fit(target, values))

    def do_freeze(self, name, config, nested):
        """What the learner's function leaves trainable in a small BERT with a `classifier`."""
        make_config, plain_model, nested_model = _bert()
        model = (nested_model if nested else plain_model)(make_config(**config))
        if not nested:
            model.classifier = nn.Linear(model.config.hidden_size, model.config.num_labels)
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        with CPU():
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

    def _run(self, target, inputs, seed=0, parameters=None, weigh=None):
        named = isinstance(inputs, dict)
        leaves = [] if named else [_given(value, weigh is not None) for value in inputs]
        # a copy, not the leaf itself: code that changes it in place shall run as in training
        passed = [v.clone() if isinstance(v, torch.Tensor) else v for v in leaves]
        before = plain(passed)
        with seeded(seed), CPU():
            if named:
                passed = {n: _given(v) for n, v in inputs.items()}
            output = _called(target, passed)
        if isinstance(output, dict) and "logits" in output:  # of a class of transformers
            output = tuple(output[n] for n in ("logits", "loss") if n in output)
        outputs = list(output) if isinstance(output, (tuple, list)) else [output]
        pairs = enumerate(zip(passed, before, strict=False))
        changed = [n for n, (v, old) in pairs if isinstance(v, torch.Tensor) and not v.equal(old)]
        answer = {"outputs": plain(outputs), "changed": changed, "bare": torch.is_tensor(output)}
        if weigh is not None:
            for parameter in parameters.values():
                parameter.grad = None
            pairs = zip(outputs, weigh, strict=False)
            loss = sum((o * w.to(o)).sum() for o, w in pairs if o.requires_grad)
            if isinstance(loss, torch.Tensor):
                loss.backward()
            answer["gradients"] = {n: plain(p.grad) for n, p in parameters.items()}
            answer["input_gradients"] = [
                getattr(leaf, "requires_grad", False) and plain(leaf.grad) for leaf in leaves
            ]
        return answer


def _called(target, inputs):
    return target(**inputs) if isinstance(inputs, dict) else target(*inputs)


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
    """Inputs of a callable: by name where known, else in order, else False."""
    if "config" in values:
        values = {**values, "config": _bert()[0](**values["config"])}
    names, known = _parameters(target, required=True), {**values, "opts": SUPPLIED["opts"]}
    if set(names) <= set(known):
        return {n: known[n] for n in _parameters(target) if n in known}
    order = list(values.values())[: len(names)]
    pairs = zip(names, order, strict=False)
    if len(order) == len(names) and all(known.get(n, v) is v for n, v in pairs):
        return order
    rest = (value for name, value in values.items() if name not in names)
    return {n: known[n] if n in known else next(rest, False) for n in names}


def _bert():
    from transformers import BertConfig, BertForSequenceClassification, BertModel

    return BertConfig, BertModel, BertForSequenceClassification


def _parameters(target, required=False):
    try:
        found = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return []
    found = [p for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [p.name for p in found if not required or p.default is p.empty]


def _state(made):
    return dict(made.named_parameters()) if isinstance(made, nn.Module) else {}


def _is_loose(value):
    """Whether an attribute holds layers or weights that the module does not know of."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return any(_is_loose(one) or isinstance(one, nn.Module) for one in value)
    return isinstance(value, torch.Tensor) and value.requires_grad
