"""Checks of the three attentions: queries (B, k, H) or (B, H), keys and values (B, S, H).

In the banks scores and weights are (B, S, k), a column per query over the S keys.
"""

from a3lib.check.bank import Bank, written
from a3lib.check.modules import ModuleCheck
from a3lib.check.properties import is_causal, softmax_axis
from a3lib.check.weights import linear, network_readings, normal, projection_readings

OTHER_LAYOUT_YEARS = (2019, 2020, 2023, 2024)  # their stubs invite weights (B, queries, keys)
_ONE = "Is a dimension of size one removed (squeeze) or stretched (broadcasting)?"
_FIXED = "Is a size fixed in the code?"
_PROMISED = "Which shapes does the docstring promise to take?"
ADDITIVE, SCALED_DOT, CAUSAL = (
    Bank("queries keys values", written(f"{kind}_attention"))
    for kind in ("additive", "scaled_dot", "causal")
)


def _zero(parameters, inputs):
    """Scores that are exactly zero."""
    for value in parameters.values():
        value.zero_()


def _equal(parameters, inputs):
    """Queries that are all the same."""
    if inputs[0].dim() == 3:
        inputs[0].copy_(inputs[0][:, :1].clone().expand_as(inputs[0]))


def _projections(w):
    """Q, K, V; `out` is an output projection, which only nn.MultiheadAttention has."""
    layers = {role.upper(): linear(w, role, "b" + role) for role in "qkv"}
    return layers | {"out": linear(w, "o", "bo") if "o" in w else lambda x: x}


def _network(w):
    """The two layers of additive attention, and a first one without halves."""
    bias = sum(value for role, value in w.items() if role[0] == "b")
    return {
        "first": lambda q, k: q @ w["q"].T + k @ w["k"].T + bias,
        "one": lambda x: x @ w["one"].T + bias,
        "second": lambda x: (x @ w["u"].T).squeeze(3) + w.get("c", 0),
        "out": lambda x: x,
    }


def _accepted(year, built):
    """Transposed weights where the year, or the softmax layer of the stub, invites them."""
    stub = year is None and 2 in built.get("softmax", [])
    return list(ADDITIVE.accepted) if stub or year in OTHER_LAYOUT_YEARS else []


def _attention(item, bank, sizes, read, tools, hidden, **more):
    return ModuleCheck(
        item=item,
        bank=bank,
        sizes=dict(zip("BSKH", sizes, strict=True)),
        values=lambda sizes: {"hidden_size": sizes["H"]},
        inputs=normal("BKH", "BSH", "BSH"),
        returns=("context", "attention weights"),
        read=lambda trial: read(trial.built["parameters"], trial.sizes),
        tools=tools,
        hidden={
            "a batch of one": (None, {"B": 1}, _ONE),
            "scores that are exactly zero": (_zero, {}, "Does the code look for zeros?"),
            "equal queries": (_equal, {}, "Does one query's answer depend on the others?"),
            **{title: (None, other, hint) for title, (other, hint) in hidden.items()},
        },
        accepted=_accepted,
        **more,
    )


ADDITIVE_ATTENTION = _attention(
    "additive attention",
    ADDITIVE,
    (2, 5, 0, 4),
    network_readings,
    _network,
    {"one key": ({"S": 1}, _ONE), "other sizes": ({"B": 3, "S": 4, "H": 6}, _FIXED)},
    properties=(softmax_axis,),
    smallest={"K": 0, "S": 2},
)
SCALED_DOT_ATTENTION = _attention(
    "scaled dot-product attention",
    SCALED_DOT,
    (2, 5, 3, 6),
    projection_readings,
    _projections,
    {
        "one query": ({"K": 1}, _ONE),
        "one key": ({"S": 1}, _ONE),
        "queries of two dimensions (B, H)": ({"K": 0}, _PROMISED),
        "other sizes": ({"B": 3, "S": 2, "K": 4, "H": 5}, _FIXED),
    },
    properties=(softmax_axis,),
    smallest={"S": 2},
)
CAUSAL_ATTENTION = _attention(
    "causal attention",
    CAUSAL,
    (2, 4, 4, 10),
    projection_readings,
    _projections,
    {
        "one query and one key": ({"S": 1, "K": 1}, _ONE),
        "other sizes": ({"B": 3, "S": 6, "K": 6, "H": 4}, _FIXED),
        "40 places": ({"B": 1, "S": 40, "K": 40, "H": 1}, _FIXED),
    },
    properties=(softmax_axis, is_causal),
    smallest={"S": 2, "K": 2},
)
