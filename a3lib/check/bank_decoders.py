"""Decoders: how their parts are wired.

The parts (embedding, attention, cell, MLP, output layer) are the learner's own and are called as
they are, since each has a check of its own.
"""

import math

import torch

from a3lib.check.bank import Bank

TOOLS = {"torch": torch, "sqrt": math.sqrt, "cell_init": None}
CONTEXT_FIRST = "context first"

_OUTPUT = """
outputs = [shown]  # What does the loss do with the numbers that come out?
  softmax on the logits | [shown.softmax(2)]
  log_softmax on the logits | [shown.log_softmax(2)]
  softmax over the steps | [shown.softmax(1)]
  ReLU on the logits | [shown.relu()]
  sigmoid on the logits | [shown.sigmoid()]
"""


def _steps(environment, run):
    run("begin")
    environment |= {"state": environment["first"], "contexts": [], "logits": []}
    for t in range(environment["inputs"].shape[1]):
        environment["t"] = t
        run("step")
        environment["state"] = environment["new"]
    run("end")


_RNN = f"""
[begin]
x = embedding(inputs)
first = [hidden_init, cell_init][:states]  # Where does the first state come from?
  starts from zeros, not from the encoder's last state | [0 * hidden_init] * states
[step]
symbol = x[:, t]  # Which symbol is read at step t, and which one is to be predicted?
  the first symbol at every step | x[:, 0]
  the next symbol: the decoder is given its answer | x[:, min(t + 1, x.shape[1] - 1)]
query = state[0]  # What does the decoder know when it asks?
  attention asked with the embedding, not with the state | symbol
  attention asked with the first state at every step | first[0]
  attention asked with the encoder's last annotation | annotations[:, -1]
memory = annotations  # Where shall the decoder look?
  attention to the target's embeddings, not to the annotations | x
context = attention(query, memory, memory).flatten(1)  # Which annotations matter at this step?
  no attention: the mean of all annotations | annotations.mean(1)
  no attention: the last annotation | annotations[:, -1]
contexts = [*contexts, context]
joined = [symbol, context]  # What are the 2H numbers that the cell reads?
  context first | [context, symbol]
  context left out: the embedding twice | [symbol, symbol]
  embedding left out: the context twice | [context, context]
  state in place of the context | [symbol, state[0]]
  state in place of the embedding | [state[0], context]
  the sum of all contexts so far | [symbol, sum(contexts)]
new = rnn(torch.cat(joined, 1), *state)  # Follow the state through two steps of the loop.
  state not passed on: the first one in every step | rnn(torch.cat(joined, 1), *first)
  state not passed on: zeros in every step | rnn(torch.cat(joined, 1), *[0 * s for s in state])
  context in place of the old state | rnn(torch.cat(joined, 1), context, *state[1:])
read = new[0]  # Which vector has read the current symbol, the context and the past?
  logits from the state before the step | state[0]
  logits from the context | context
  logits from the embedding | symbol
logits = [*logits, out(read)]
[end]
shown = torch.stack(logits, 1)  # At which step is each symbol predicted?
  the last step's logits at every step | torch.stack([logits[-1] for _ in logits], 1)
  steps in reverse order | torch.stack(logits[::-1], 1)
{_OUTPUT}"""
REMARKS = {CONTEXT_FIRST: "The context stands before the embedding: the cell's columns change."}
RNN_GRU = Bank("inputs annotations hidden_init", _RNN, TOOLS, REMARKS, _steps)
_LOST = "  cell not passed on | rnn(torch.cat(joined, 1), state[0], first[1])"
_WITH_CELL = _RNN.replace("read = ", f"{_LOST}\nread = ")
RNN_LSTM = Bank("inputs annotations hidden_init cell_init", _WITH_CELL, TOOLS, REMARKS, _steps)


def _blocks(environment, run):
    run("begin")
    environment["first"] = environment["x"]
    for layer in range(environment["number"]):
        environment["layer"] = layer
        run("block")
        environment["x"] = environment["made"]
    run("end")


_SELF = """
[begin]
x = embedding(inputs) + positions(inputs.shape[1])  # What is added to the embedding, and how?
  no positional encoding | embedding(inputs)
  embedding scaled by sqrt(H) | embedding(inputs) * sqrt(H) + positions(inputs.shape[1])
  positional encoding multiplied, not added | embedding(inputs) * positions(inputs.shape[1])
  positional encoding added twice | embedding(inputs) + 2 * positions(inputs.shape[1])
number = layers  # How often does the loop run?
  only the first layer runs | 1
[block]
n = layer  # Whose weights has layer 1?
  the first layer's weights in every layer | 0
  layers in reverse order | layers - 1 - layer
given = x  # What does layer 1 read?
  every layer reads the embedding | first
  positional encoding added in every layer | x + (layer > 0) * positions(inputs.shape[1])
looked = own(n, given, given, given)  # Who asks, who answers, and who must not see what?
  the first layer's self-attention in every layer | own(0, given, given, given)
  self-attention missing | 0 * given
  self-attention asked with the embedding | own(n, first, given, given)
  self-attention's keys and values from the embedding | own(n, given, first, first)
"""
_CROSS = """
  self-attention with the encoder attention's layer | cross(n, given, given, given)
  self-attention looks at the source | own(n, given, annotations, annotations)
"""
_AFTER = """
both = given + looked  # What passes the self-attention by?
  no residual after self-attention | looked
  residual after self-attention from the embedding | first + looked
"""
_SOURCE = """
seen = cross(n, both, annotations, annotations)  # Who asks the source, and what has it seen?
  the first layer's encoder attention in every layer | cross(0, both, annotations, annotations)
  encoder attention missing | 0 * both
  encoder attention looks at the target itself | cross(n, both, both, both)
  encoder attention asked with the input of the block | cross(n, given, annotations, annotations)
  encoder attention asked with the context alone | cross(n, looked, annotations, annotations)
  encoder attention asked with the embedding | cross(n, first, annotations, annotations)
  encoder attention with the self-attention's layer | own(n, both, annotations, annotations)
  encoder attention asked by the source | cross(n, annotations, both, both)
sourced = given + cross(n, given, annotations, annotations)
all = both + seen  # What passes the encoder attention by?
  encoder attention before the self-attention | sourced + own(n, sourced, sourced, sourced)
  no residual after the encoder attention | seen
  residual after the encoder attention from the input of the block | given + seen
  residual after the encoder attention from the embedding | first + seen
  residual after the encoder attention from the first context | looked + seen
"""
_MLP = """
made = all + mlp(n, all)  # What does the MLP read, and what passes it by?
  the first layer's MLP in every layer | all + mlp(0, all)
  no residual after the MLP | mlp(n, all)
  MLP missing | all
  MLP twice | all + mlp(n, mlp(n, all))
  MLP reads the context alone, without the residual | all + mlp(n, seen)
  MLP reads the context alone, and no residual | mlp(n, seen)
  residual after the MLP from the input of the block | given + mlp(n, all)
  the MLP's output doubled | mlp(n, all) + mlp(n, all)
[end]
shown = out(x)  # Which vector has passed all layers?
  logits from the embedding | out(first)
  logits before the last MLP | out(all)
"""

_FULL = _SELF + _CROSS + _AFTER + _SOURCE + _MLP + _OUTPUT
_ALONE = _SELF + _AFTER + "seen = looked\nall = both\n" + _MLP + _OUTPUT
DECODER = Bank("inputs annotations", _FULL, TOOLS, loop=_blocks)
DECODER_ONLY = Bank("inputs", _ALONE, TOOLS, loop=_blocks)
