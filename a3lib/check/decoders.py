"""Checks of the decoders: their wiring, with the learner's own parts."""

import torch

from a3lib.check.bank_decoders import CONTEXT_FIRST, DECODER, DECODER_ONLY, RNN_GRU, RNN_LSTM
from a3lib.check.modules import ModuleCheck
from a3lib.check.weights import Reading

V = 7  # symbols of the checked decoders
PARTS = {
    "embedding": ("embedding", "embed", "emb"),
    "out": ("out", "fc_out", "fc", "output", "linear"),
    "attention": ("attention", "attn"),
    "rnn": ("rnn", "gru", "lstm", "cell"),
    "own": ("self_attentions.{}", "blocks.{}.attention"),
    "cross": ("encoder_attentions.{}", "blocks.{}.cross"),
    "mlp": ("attention_mlps.{}", "blocks.{}.mlp"),
}


class Parts(Reading):
    """A reading that maps roles to the names of the learner's parts, called through the session."""

    def __init__(self, trial, names):
        super().__init__(names)
        self.trial = trial
        self.owners = {name.split(".")[0] for name in names.values() if name}

    def weights(self, parameters):
        """The reading itself: the parts hold their own parameters."""
        return self

    def tools(self):
        """The functions of the bank's formulas."""
        return {
            "embedding": lambda tokens: self.call(self["embedding"], tokens)[0],
            "out": lambda states: self.call(self["out"], states)[0],
            "attention": lambda *inputs: self.call(self["attention"], *inputs)[0],
            "rnn": lambda *inputs: self.call(self["rnn"], *inputs),
            "own": lambda layer, *inputs: self.call(self["own"].format(layer), *inputs)[0],
            "cross": lambda layer, *inputs: self.call(self["cross"].format(layer), *inputs)[0],
            "mlp": lambda layer, x: self.call(self["mlp"].format(layer), x)[0],
            "positions": self.positions,
            "layers": self.trial.sizes.get("L"),
            "states": len(self.trial.inputs) - 2,
            "H": self.trial.sizes["H"],
        }

    def positions(self, length):
        """(length, H) as the learner's class makes them: they have a check of their own."""
        if "positions" in self.trial.built["children"]:
            return self.call("positions", length)[0]
        return self.call("", length, method="create_positional_encodings")[0]

    def call(self, path, *inputs, **options):
        """Outputs of a part."""
        inputs = [v.float() if _is_double(v) else v for v in inputs]
        handle = self.trial.built["handle"]
        answer = self.trial.session.ask("call", handle=handle, inputs=inputs, path=path, **options)
        if "error" in answer:
            raise ValueError(answer["error"]["message"])
        return answer["outputs"]


def _is_double(value):
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _inputs(sizes, generator):
    """Tokens (B, T), annotations (B, S, H), states (B, H)."""
    B, S, T, H = (sizes[letter] for letter in "BSTH")
    tokens = torch.randint(V, (B, T), generator=generator)
    shapes = [(B, S, H)] + [(B, H)] * sizes.get("states", 0)
    return [tokens, *(torch.randn(size, generator=generator) for size in shapes)]


def _arranged(inputs, takes):
    """The inputs as the hand-out's forward takes them, or as the library's (prefix, memory)."""
    if "memory" in takes:
        states = {"states": inputs[1], "last": (inputs[2:] or [None])[0]}
        return [inputs[0], {"memory": {"mask": None, "source": inputs[0], **states}}]
    return [*inputs, None, None][: len(takes) or 3]


def _decoder(item, bank, needed, **sizes):
    def read(trial):
        children = trial.built["children"]
        found = {
            role: next((n for n in PARTS[role] if n.format(0) in children), None) for role in needed
        }
        return [Parts(trial, found)] if all(found.values()) else []

    squeezed = "Is a dimension of size one removed (squeeze)?"
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
        inputs=lambda sizes, generator: _inputs(sizes, generator)[: len(bank.takes)],
        returns=("logits",),
        read=read,
        tools=Parts.tools,
        hidden={"a batch of one": (None, {"B": 1}, squeezed), "T = 1": (None, {"T": 1}, squeezed)},
        arranged=_arranged,
        differentiable=False,
        smallest={"H": 4, "T": 2, "S": 2, "L": 2, "states": 2},
        accepted=lambda year, built: [CONTEXT_FIRST] if "states" in sizes else [],
    )


CELL = ("embedding", "attention", "rnn", "out")
BLOCKS = ("embedding", "own", "mlp", "out")
WITH_GRU = _decoder("RNN decoder with attention", RNN_GRU, CELL, states=1)
WITH_LSTM = _decoder("RNN decoder with attention", RNN_LSTM, CELL, states=2)
FULL = _decoder("transformer decoder", DECODER, ("cross", *BLOCKS), L=2)
ALONE = _decoder("decoder-only transformer", DECODER_ONLY, BLOCKS, L=2)


def check_rnn_attention_decoder(session, name, year=None, seed=0):
    """`Verdict` on forward(inputs, annotations, hidden_init[, cell_init]), or (prefix, memory)."""
    built = session.ask("build", name=name, values=WITH_GRU.values(WITH_GRU.sizes))
    spec = WITH_LSTM if len(built.get("takes", [])) == 4 else WITH_GRU
    return spec(session, name, year, seed)


def check_transformer_decoder(session, name, year=None, seed=0):
    """`Verdict` on forward(inputs, annotations, hidden_init), (prefix, memory) or (inputs)."""
    built = session.ask("build", name=name, values=FULL.values(FULL.sizes))
    spec = ALONE if len(built.get("takes", [])) == 1 else FULL
    return spec(session, name, year, seed)
