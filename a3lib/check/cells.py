"""Checks of the recurrent cells."""

import torch

from a3lib.check.bank import Bank, written
from a3lib.check.modules import SQUEEZED, ModuleCheck
from a3lib.check.weights import cell_readings, linear, normal

REVERSED = "update gate reversed (PyTorch's z)"
GRU = Bank("x h_prev", written("gru_cell"))
LSTM = Bank("x h_prev c_prev", written("lstm_cell"))


def _layers(weights):
    """Wiz(x) and so on; a missing layer raises KeyError when called, a reset gate's is one."""

    def layer(side, bias, gate):
        if gate == "r" and not {"xr", "hr"} & {*weights}:
            return lambda v: v.new_full((1,), torch.inf)
        return linear(weights, side + gate, bias + gate)

    inputs = {f"Wi{gate}": layer("x", "p", gate) for gate in "zrhifgo"}
    return inputs | {f"Wh{gate}": layer("h", "q", gate) for gate in "zrhifgo"}


def _zero_states(parameters, inputs):
    for state in inputs[1:]:
        state.zero_()


def _lacking(reading, gates):
    """(name, example, hint) where a gate is missing, has no bias, or is one number."""
    if "r" in gates and not {"xr", "hr"} & {*reading}:
        return "there is no reset gate", "", "How many gates do the equations have?"
    narrow = [f"W{role}" for role, one in reading.items() if role[0] in "xh" and len(one) == 1]
    if narrow:
        named = ", ".join(narrow).replace("x", "i")
        return "a gate of width one, not of H", named, "How many units does it weigh?"
    biased = {role[1:] for role in reading if role[0] in "pq"}
    name = "a gate without bias" if biased else "no bias in any gate"
    hint = "Which terms has each gate, beside those with x and h?"
    return None if biased >= set(gates) else (name, "", hint)


def _bent(trial):
    """The new cell of an LSTM is linear in the old one, which no gate sees."""
    x, h, *cell = trial.inputs
    new = [trial.call([x, h, *(c + n for c in cell)]).get("outputs", [h])[:2][-1] for n in range(3)]
    if not cell or torch.allclose(new[0] + new[2], 2 * new[1], atol=1e-3, equal_nan=True):
        return None
    return "peepholes: the new cell is not linear in the old one", "", "What does each gate read?"


def _cell(item, bank, gates, returns, **more):
    return ModuleCheck(
        item=item,
        bank=bank,
        sizes={"B": 2, "D": 6, "H": 5},
        values=lambda sizes: {"input_size": sizes["D"], "hidden_size": sizes["H"]},
        inputs=normal("BD", *["BH"] * len(returns)),
        returns=returns,
        read=lambda trial: (
            cell_readings(trial.built["parameters"], trial.sizes, gates)
            or cell_readings(trial.built["parameters"], trial.sizes, gates.replace("r", ""))
        ),
        properties=(_bent,),
        tools=_layers,
        lacks=lambda reading: _lacking(reading, gates),
        hidden={
            "a batch of one": (None, {"B": 1}, SQUEEZED),
            "a zero state": (_zero_states, {}, "Which term remains when h_prev is zero?"),
            "other sizes": (None, {"B": 3, "D": 2, "H": 7}, "Is a size fixed in the code?"),
        },
        **more,
    )


def _accepted(year, built):
    """Both reset gates are right, PyTorch's z in 2019 and 2020."""
    return [name for name in GRU.accepted if name != REVERSED or year in (2019, 2020)]


GRU_CELL = _cell("GRU cell", GRU, "zrh", ("new state",), accepted=_accepted)
LSTM_CELL = _cell("LSTM cell", LSTM, "ifog", ("new state", "new cell"))
