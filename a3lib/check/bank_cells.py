"""Gated cells: Wiz(x) is the layer from input to update gate, Whz(h) the one from the state."""

import torch

from a3lib.check.bank import Bank

TOOLS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu, "softmax": torch.softmax}
RESET_AFTER = "reset gate after the matrix product"
REVERSED = "update gate reversed (PyTorch's z)"


def _gate(letter, name, others, more=()):
    """The line of a gate, and the usual ways to miss it; others: letters of all gates' layers."""
    x, h = f"Wi{letter}(x)", f"Wh{letter}(h)"
    wrong = {
        "without sigmoid": f"{x} + {h}",
        "with tanh": f"tanh({x} + {h})",
        "with relu": f"relu({x} + {h})",
        "with softmax": f"softmax({x} + {h}, 1)",
        "sees no state": f"sigmoid({x})",
        "sees no input": f"sigmoid({h})",
        "of a product, not of a sum": f"sigmoid({x} * {h})",
        "with a sigmoid of each part, not of the sum": f"sigmoid({x}) + sigmoid({h})",
        "with a sigmoid of the input's part only": f"sigmoid({x}) + {h}",
        "reads the state with the input's layer": f"sigmoid({x} + Wi{letter}(h))",
        "reads the input with the state's layer": f"sigmoid(Wh{letter}(x) + {h})",
        "has its two layers exchanged": f"sigmoid(Wh{letter}(x) + Wi{letter}(h))",
    }
    for other, title in others.items():
        if other != letter:
            wrong[f"equal to {title}, or with its layers"] = f"sigmoid(Wi{other}(x) + Wh{other}(h))"
            wrong[f"with {title}'s input layer"] = f"sigmoid(Wi{other}(x) + {h})"
            wrong[f"with {title}'s state layer"] = f"sigmoid({x} + Wh{other}(h))"
    lines = [f"{letter} = sigmoid({x} + {h})  # What does the {name} look at? Which range has it?"]
    lines += [f"  {name} {how} | {code}" for how, code in [*wrong.items(), *more]]
    return "\n".join(lines)


def _candidate(letter, name):
    """The candidate with the layers of another gate."""
    return f"""
  candidate with {name} layers | Wi{letter}(x) + Wh{letter}(r * h)
  candidate with {name} input layer | Wi{letter}(x) + Whh(r * h)
  candidate with {name} state layer | Wih(x) + Wh{letter}(r * h)
  candidate with {name} state layer, reset after it | Wih(x) + r * Wh{letter}(h)"""


_OTHERS = {"z": "the update gate", "r": "the reset gate", "h": "the candidate"}
GRU = Bank(
    "x h_prev",
    f"""
x, h = x, h_prev  # Where does each of the two enter?
  x and h_prev exchanged | h_prev, x
  the old state is not used | x, 0 * h_prev
Wiz, Wir, Whz, Whr = Wiz, Wir, Whz, Whr  # Compare layers' names with the gates they are used in.
  layers of update and reset gate exchanged | Wir, Wiz, Whr, Whz
  input layers of update and reset gate exchanged | Wir, Wiz, Whz, Whr
  state layers of update and reset gate exchanged | Wiz, Wir, Whr, Whz
{_gate("z", "update gate", _OTHERS)}
{_gate("r", "reset gate", _OTHERS)}
s = Wih(x) + Whh(r * h)  # Which layers does the candidate read with, and what does r act on?
  reset gate after the matrix product | Wih(x) + r * Whh(h)
  reset gate not applied | Wih(x) + Whh(h)
  reset gate on the whole sum | r * (Wih(x) + Whh(h))
  reset gate on the input's part | r * Wih(x) + Whh(h)
  reset gate on the input | Wih(r * x) + Whh(h)
  reset gate on input and state | Wih(r * x) + Whh(r * h)
  reset gate reversed (1 - r) | Wih(x) + Whh((1 - r) * h)
  reset gate reversed (1 - r), after the product | Wih(x) + (1 - r) * Whh(h)
  reset gate added, not multiplied | Wih(x) + Whh(r + h)
  reset gate added, after the product | Wih(x) + Whh(h) + r
  reset gate applied twice | Wih(x) + r * Whh(r * h)
  reset gate in the state's place | Wih(x) + Whh(r)
  state's layer on the reset gate, not on the product | Wih(x) + Whh(r) * h
  state not projected in the candidate | Wih(x) + r * h
  candidate sees no state | Wih(x)
  candidate sees no input | Whh(r * h)
  candidate reads the state with the input's layer | Wih(x) + Wih(r * h)
  candidate has its two layers exchanged | Whh(x) + Wih(r * h)
{_candidate("z", "the update gate's")}
{_candidate("r", "the reset gate's")}
g = tanh(s)  # In which range does the candidate lie, and may it be negative?
  candidate without tanh | s
  candidate with sigmoid | sigmoid(s)
  candidate with relu | relu(s)
  candidate with two tanh | tanh(tanh(s))
  candidate with a tanh of each part | tanh(Wih(x)) + tanh(Whh(r * h))
  candidate with tanh on the state's part only | Wih(x) + tanh(Whh(r * h))
  candidate with tanh on the input's part only | tanh(Wih(x)) + Whh(r * h)
new = (1 - z) * h + z * g  # Let z be 1, then 0: which of old state and candidate should remain?
  update gate reversed (PyTorch's z) | z * h + (1 - z) * g
  old state dropped | z * g
  old state dropped, and update gate reversed | (1 - z) * g
  old state not weighed | h + z * g
  candidate not weighed | (1 - z) * h + g
  candidate dropped | (1 - z) * h
  z on both | z * h + z * g
  1 - z on both | (1 - z) * h + (1 - z) * g
  parentheses missing around 1 - z | 1 - z * h + z * g
  update gate not applied | g
  update gate not applied: a plain sum | h + g
  difference in place of the sum | (1 - z) * h - z * g
  the old state was overwritten by r * h_prev | (1 - z) * (r * h) + z * g
  reset and update gate weigh the sum | r * h + z * g
outputs = [new]  # What follows the last sum?
  tanh on the new state | [tanh(new)]
""",
    TOOLS,
    {
        RESET_AFTER: "Your reset gate acts after the matrix product, as in the hand-out of 27 "
        "February 2022 and in PyTorch; in that of 16 March 2022 it acts before. Both are right.",
        REVERSED: "Your z weighs the old state, as in PyTorch and the hand-outs of 2019 and 2020 "
        "(year=2019), where it is right.",
    },
)

_GATES = {"i": "the input gate", "f": "the forget gate", "o": "the output gate"}


def _lstm_gate(letter, name):
    seen = f"sigmoid(Wi{letter}(x) + Wh{letter}(c))"
    return _gate(letter, name, _GATES, [("sees the cell, not the state", seen)])


LSTM = Bank(
    "x h_prev c_prev",
    f"""
h, c = h_prev, c_prev  # Which of the two does the cell get first?
  state and cell exchanged at the beginning | c_prev, h_prev
  the old state is not used | 0 * h_prev, c_prev
{_lstm_gate("i", "input gate")}
{_lstm_gate("f", "forget gate")}
{_lstm_gate("o", "output gate")}
s = Wig(x) + Whg(h)  # Which two layers does the candidate have?
  candidate sees no state | Wig(x)
  candidate sees no input | Whg(h)
  candidate reads the state with the input's layer | Wig(x) + Wig(h)
  candidate sees the cell, not the state | Wig(x) + Whg(c)
  candidate with the output gate's layers | Wio(x) + Who(h)
  candidate with the forget gate's layers | Wif(x) + Whf(h)
  candidate with the input gate's layers | Wii(x) + Whi(h)
  reset gate as in a GRU | Wig(x) + Whg(f * h)
g = tanh(s)  # In which range does the candidate lie, and may it be negative?
  candidate without tanh | s
  candidate with sigmoid | sigmoid(s)
  candidate with relu | relu(s)
  candidate with a tanh of each part | tanh(Wig(x)) + tanh(Whg(h))
new = f * c + i * g  # What does the cell keep, what does it add, and which gate decides on each?
  forget and input gate exchanged | i * c + f * g
  old cell dropped | i * g
  forget gate not applied | c + i * g
  input gate not applied | f * c + g
  forget gate reversed (1 - f) | (1 - f) * c + i * g
  input gate coupled (1 - f), as in a GRU | f * c + (1 - f) * g
  forget gate on the state, not on the cell | f * h + i * g
  no gates on the cell | c + g
  product in place of the sum | f * c * i * g
  difference in place of the sum | f * c - i * g
  tanh on the new cell | tanh(f * c + i * g)
state = o * tanh(new)  # Which function brings the cell into (-1, 1), and which gate lets it out?
  no tanh on the cell | o * new
  sigmoid on the cell | o * sigmoid(new)
  output gate not applied | tanh(new)
  the old cell comes out | o * tanh(c)
  tanh of the product | tanh(o * new)
  the candidate comes out, not the cell | o * g
outputs = [state, new]  # Which two tensors does the next step need, and in which order?
  state and cell returned in the wrong order | [new, state]
  the old cell is returned | [state, c]
  the state is returned twice | [state, state]
""",
    TOOLS,
)
