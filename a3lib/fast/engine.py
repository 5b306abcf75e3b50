"""When the fast twin may stand in for a model, and the proof that it computes the same.

A run asks for it by name (`Run.engine`). It refuses a model whose classes have another text
than the one it was written for, which has hooks, or whose precision it does not know; and it is
compared with the model (logits, loss, gradients) before it is used.
"""

import ast
import functools
import hashlib
import inspect
import operator
import textwrap
from itertools import chain

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from a3lib.fast.logits import fast_logits
from a3lib.translation import attention
from a3lib.translation.losses import token_loss

# name of what the twin stands for -> hash of its text. Where a text changes, a test fails and the
# readable code runs, until `fast` was changed with it and the new hash stands here.
WRITTEN_FOR = {
    "masked_softmax": "25f79d16eee3d490",
    "causal_mask": "ad2323a169e2cb20",
    "as_weights": "6e889fcf923c789f",
    "as_sequence": "93ec65f42bc11358",
    "MyGRUCell.forward": "85d3f8855f13ca98",
    "GRUEncoder.forward": "bded652a1c9663b7",
    "RNNDecoder.forward": "d268434d6526a298",
    "AdditiveAttention.forward": "094226c23d11a32f",
    "ScaledDotAttention.forward": "d5ae9c277316e69d",
    "CausalScaledDotAttention.forward": "074c1be8eb77f736",
    "RNNAttentionDecoder.forward": "d6b7c65104d4d07f",
    "EncoderBlock.forward": "ee5c19718c42fad0",
    "DecoderBlock.forward": "822136e97341bc62",
    "TransformerEncoder.forward": "712eea9188ed66ad",
    "TransformerDecoder.forward": "95d2417e661322cd",
    "Translator.forward": "e9c9dcf3bfd4537e",
    "PositionalEncoding.forward": "b12359a72e17225f",
    "NoPositions.forward": "481cf7e67836b64c",
    "LearnedPositions.forward": "a90f6fa13eb2cfdb",
    "OneHotPositions.forward": "ec004dd2baab4c6f",
}
HELPERS = ("masked_softmax", "causal_mask", "as_weights", "as_sequence")  # of `attention`
TORCH = (nn.Linear, nn.Embedding, nn.Softmax, nn.Sequential, nn.ReLU, nn.ModuleList)
TORCH_FORWARD = {kind: kind.forward for kind in TORCH}  # as they were when this was imported
FAILURES = (AttributeError, IndexError, RuntimeError, TypeError, ValueError)  # of other shapes
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
LEARNS = operator.attrgetter("requires_grad", "dtype")
CLOSE = 1e-3  # largest difference, as a share of the largest number compared


class NoTwin(ValueError):
    """The twin cannot stand in for this model as it is; the message says why."""


class Twin:
    """Called like the model: (source, prefix, mask) -> logits. Raises NoTwin if it cannot stand in.

    A change of the model's code, hooks, precision or learning parameters is noticed at the next
    call, and the twin is compared with the model on that batch before it is used again.
    """

    def __init__(self, model):
        self.model, self.watch = model, None

    def __call__(self, source, prefix, mask=None):
        if self.watch is None or self.watch.changed():
            refuse(self.model)
            self.agree(source, prefix, mask)
            self.watch = Watch(self.model)
        return fast_logits(self.model, source, prefix, mask)

    def agree(self, source, prefix, mask=None):
        """Compare logits, loss and gradients with the model's on a batch; raises NoTwin."""
        with torch.random.fork_rng():
            own = _computed(self.model, self.model, source, prefix, mask)
        try:
            fast = functools.partial(fast_logits, self.model)
            twin = _computed(self.model, fast, source, prefix, mask)
        except FAILURES as error:
            raise NoTwin(f"the fast twin cannot compute this model ({error})") from None
        for name, value in own.items():
            finite = value.nan_to_num(0.0, 0.0, 0.0)
            close = CLOSE * (float(finite.abs().max()) if value.numel() else 0.0) + 1e-6
            if not torch.allclose(value, twin[name], rtol=0, atol=close, equal_nan=True):
                raise NoTwin(f"{name} of the fast twin differs from the model's")


class Watch:
    """What decides which code runs in a model; cheap to ask, since every update asks."""

    def __init__(self, model):
        parts = list(model.modules())
        self.hooks = [getattr(part, name) for part in parts for name in HOOKS]
        self.hooks += [getattr(torch_module, f"_global{name}") for name in HOOKS]
        self.parts, self.own = parts, [part.__dict__ for part in parts]
        self.tables = [table for part in parts for table in (part._modules, part._parameters)]
        self.parameters = list(model.parameters())
        self.seen = self._state()

    def changed(self):
        """Whether anything differs from when this was made."""
        return self.seen != self._state()

    def _state(self):
        return (
            any(self.hooks),
            any("forward" in names for names in self.own),
            [kind.forward for kind in map(type, self.parts)],
            [getattr(attention, name) for name in HELPERS],
            list(map(id, chain.from_iterable(map(dict.values, self.tables)))),
            list(map(LEARNS, self.parameters)),
            torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"),
        )


class FastEngine:
    """Computes a training's logits by the twin where it may stand in, else by the model.

    To be given to `training.fit`. Where the twin cannot stand in, the model runs from then on, and
    `notes` gets a line that says why.
    """

    def __init__(self, model, notes):
        self.model, self.twin, self.notes = model, Twin(model), notes

    def __call__(self, source, prefix, mask=None):
        if self.twin is not None:
            try:
                return self.twin(source, prefix, mask)
            except NoTwin as reason:
                self._give_up(reason)
        return self.model(source, prefix, mask)

    def start_epoch(self):
        """Have the next batch compared, whatever did not change."""
        if self.twin is not None:
            self.twin.watch = None

    def may_keep(self, batch):
        """Whether an epoch that ended with this batch may be kept: the twin still agrees on it."""
        if self.twin is not None:
            try:
                self.twin.agree(batch.source, batch.prefix, batch.source_mask)
            except NoTwin as reason:
                self._give_up(reason)
                return False
        return True

    def _give_up(self, reason):
        self.twin, note = None, f"the readable classes train: {reason}"
        if note not in self.notes:  # a resumed run has it already
            self.notes.append(note)


def _computed(model, forward, source, prefix, mask):
    """{name: tensor} of all that must agree; the target is any, a difference shows in all."""
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    with torch.enable_grad():
        logits = forward(source, prefix, mask)
        loss = token_loss(logits, prefix.roll(-1, dims=1))
    grads = torch.autograd.grad(loss, list(learning.values()), allow_unused=True)
    computed = {"the logits": logits.detach(), "the loss": loss.detach()}
    for (name, parameter), grad in zip(learning.items(), grads, strict=True):
        computed[f"the gradient of {name}"] = torch.zeros_like(parameter) if grad is None else grad
    return computed


def refuse(model):
    """Raise NoTwin if the model is not what the twin was written for."""
    hooks, *_, parameters, autocast = Watch(model).seen
    if hooks:
        raise NoTwin("the model has hooks, which the fast twin would not call")
    if autocast or any(dtype not in (torch.float32, torch.float64) for _, dtype in parameters):
        raise NoTwin("the fast twin computes in single or double precision only")
    for part in model.modules():
        kind = type(part)
        known = TORCH_FORWARD.get(kind) == kind.forward or _as_written(kind.forward)
        if not known or "forward" in part.__dict__:
            raise NoTwin(f"{kind.__name__}.forward is not the text the fast twin stands for")
        if kind is nn.Embedding and (part.padding_idx, part.max_norm) != (None, None):
            raise NoTwin("an embedding has options that the fast twin does not know")
    for name in HELPERS:
        if not _as_written(getattr(attention, name)):
            raise NoTwin(f"attention.{name} is not the text the fast twin stands for")


@functools.cache
def text_hash(function):
    """Hash of a function's source but for comments, docstring and layout."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    if ast.get_docstring(tree.body[0]) is not None:
        del tree.body[0].body[0]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:16]


def _as_written(function):
    if hasattr(function, "__wrapped__"):  # inspect would show the text of what it wraps
        return False
    try:
        return WRITTEN_FOR.get(function.__qualname__) == text_hash(function)
    except (OSError, TypeError, SyntaxError):  # made without a file: nobody knows its text
        return False
