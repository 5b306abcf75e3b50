"""Checks of the decoders: how their parts are wired.

The parts (embedding, attention, cell, MLP, output layer) are the learner's own and are called as
they are, since each has a check of its own.
"""

import re

import torch

from a3lib.check.bank import Bank, written
from a3lib.check.modules import SQUEEZED, ModuleCheck
from a3lib.check.weights import normal

V = 7  # symbols of the checked decoders
PARTS = {  # role -> what its name contains
    "embedding": r"^(?!pos)\w*emb",
    "attention": r"att",
    "rnn": r"rnn|gru|lstm|cell",
    "out": r"out|fc|linear|proj|head|vocab",
}
IN_LAYERS = {
    "cross": r"(^|_)(cross|enc|src|source|memory)",
    "mlp": r"mlp|ff|feed|fc|linear",
    "own": r"self|causal|mask|att",
}


RNN_GRU = Bank("inputs annotations hidden_init", written("rnn_attention_decoder"))
RNN_LSTM = Bank("inputs annotations hidden_init cell_init", written("rnn_attention_decoder_lstm"))
DECODER = Bank("inputs annotations", written("transformer_decoder"))
DECODER_ONLY = Bank("inputs", written("transformer_decoder_only"))


def parts_of(children):
    """Role -> name of the first child that it fits, {} standing for the number of its layer."""
    found = {}
    for child in children:
        layer = re.fullmatch(r"(\w+)\.0(?:\.([A-Za-z]\w*))?", child)
        rules, name = (IN_LAYERS, layer[2] or layer[1]) if layer else (PARTS, child)
        if layer or "." not in child:
            fits = (role for role, rule in rules.items() if re.search(rule, name.lower()))
            found.setdefault(next(fits, ""), child.replace(".0", ".{}", 1))
    return found


class Parts:
    """A reading whose formulas call the learner's parts, found by their roles."""

    def __init__(self, trial, names):
        self.trial, self.names = trial, names
        self.owners = {name.split(".")[0] for name in names.values()}

    def weights(self, parameters):
        """The functions of the bank's formulas; the parts hold their own parameters."""
        calls = {
            role: lambda *inputs, role=role: self.call(role, *inputs)[0] for role in self.names
        }
        return calls | {
            "rnn": lambda *inputs: self.call("rnn", *inputs),
            "mlp": self.mlp,
            "positions": self.positions,
            "layers": self.trial.sizes.get("L"),
            "states": len(self.trial.inputs) - 2,
            "H": self.trial.sizes["H"],
        }

    def mlp(self, layer, x):
        """An MLP's output; one that is a single layer has its ReLU in the decoder's forward."""
        output = self.call("mlp", layer, x)[0]
        single = self.names["mlp"].format(layer) + ".weight" in self.trial.parameters
        return output.relu() if single else output

    def positions(self, length):
        """(length, H) as the learner's class makes them: they have a check of their own."""
        if "positions" in self.trial.built["children"]:
            return self.call("positions", length)[0]
        return self.call("", length, method="create_positional_encodings")[0]

    def call(self, role, *inputs, **options):
        """Outputs of a part; the first input of one in layers is the number of the layer."""
        path = self.names.get(role, role)
        if role in IN_LAYERS:
            layer, *inputs = inputs
            path = path.format(layer)
        inputs = [v.float() if torch.is_tensor(v) and v.is_floating_point() else v for v in inputs]
        return self.trial.part(inputs, path=path, **options)


def _arranged(inputs, takes):
    """The inputs as the hand-out's forward takes them, or as the library's (prefix, memory)."""
    if "memory" in takes:
        states = {"states": inputs[1], "last": (inputs[2:] or [None])[0]}
        return [inputs[0], {"memory": {"mask": None, "source": inputs[0], **states}}]
    return [*inputs, None, None][: len(takes) or 3]


def _decoder(item, bank, needed, **sizes):
    def read(trial):
        found = parts_of(trial.built["children"])
        return [Parts(trial, {n: found[n] for n in needed})] if set(needed) <= set(found) else []

    def inputs(sizes, generator):
        tokens = torch.randint(V, (sizes["B"], sizes["T"]), generator=generator)
        states = normal("BSH", "BH", "BH")(sizes, generator)
        return [tokens, *states][: len(bank.takes)]

    return ModuleCheck(
        item=item,
        bank=bank,
        sizes={"B": 2, "S": 5, "T": 3, "H": 4, **sizes},
        values=lambda sizes: {
            "vocab_size": V,
            "hidden_size": sizes["H"],
            "num_layers": sizes.get("L", 1),
            "attention_type": "additive",
            "loss_seq_span": "target_only",
        },
        inputs=inputs,
        returns=("logits",),
        read=read,
        hidden={"a batch of one": (None, {"B": 1}, SQUEEZED), "T = 1": (None, {"T": 1}, SQUEEZED)},
        arranged=_arranged,
        differentiable=False,
        smallest={"H": 4, "T": 2, "S": 2, "L": 2, "states": 2},
        accepted=lambda year, built: bank.accepted,
    )


CELL = ("embedding", "attention", "rnn", "out")
BLOCKS = ("embedding", "own", "mlp", "out")
WITH_GRU = _decoder("RNN decoder with attention", RNN_GRU, CELL, states=1)
WITH_LSTM = _decoder("RNN decoder with attention", RNN_LSTM, CELL, states=2)
FULL = _decoder("transformer decoder", DECODER, ("cross", *BLOCKS), L=2)
ALONE = _decoder("decoder-only transformer", DECODER_ONLY, BLOCKS, L=2)


def _by_arguments(count, other, usual):
    """The check that takes the `other` spec for a forward with that many arguments."""

    def check(session, name, year=None, seed=0):
        built = session.ask("build", name=name, values=usual.values(usual.sizes))
        spec = other if len(built.get("takes", [])) == count else usual
        return spec(session, name, year, seed)

    return check


# of forward(inputs, annotations, hidden_init[, cell_init]), or (prefix, memory)
check_rnn_attention_decoder = _by_arguments(4, WITH_LSTM, WITH_GRU)
# of forward(inputs, annotations, hidden_init), (prefix, memory) or (inputs)
check_transformer_decoder = _by_arguments(1, ALONE, FULL)
