"""Positional encodings, the two fits of 2023, and numbers of parameters."""

import math

import numpy as np
import torch

from a3lib.check.bank import Bank

TOOLS = {"torch": torch, "np": np, "math": math, "same": lambda x: x}

POSITIONS = Bank(
    "length H",
    """
p = torch.arange(length).double()[:, None]  # What is PE(0, 0)?
  places counted from 1 | torch.arange(1, length + 1).double()[:, None]
even = torch.arange(0, H, 2).double()
e = even / H  # For H = 8, write down the exponents of the four pairs; the first is 0.
  exponent i / H, not 2i / H | even / 2 / H
  exponent 4i / H: doubled twice | even * 2 / H
  exponent 2i, not divided by H | even
  integer division in the exponent | even // H
  exponent divided by H - 2, not by H | even / (H - 2)
  exponents in reverse order | even.flip(0) / H
  exponent (2i + 1) / H | (even + 1) / H
own = e  # Which angle do the sine and the cosine of a pair have?
  the cosine has an exponent of its own, (2i + 1) / H | e + 1 / H
  the cosine has an exponent of its own, (2i + 2) / H | e + 2 / H
power = lambda x: p / 10000**x  # How fast do the first and the last pair turn?
  place multiplied by the power, not divided | lambda x: p * 10000**x
  power of the whole fraction (p / 10000) | lambda x: (p / 10000) ** x
  10000 times the exponent, not to its power | lambda x: p / (10000 * x)
  exp in place of the power of 10000 | lambda x: p / x.exp()
  angles in units of 2 pi | lambda x: 2 * math.pi * p / 10000**x
  logarithm to the base 10, exp to the base e | lambda x: p * (-x * math.log10(10000)).exp()
  1000 in place of 10000 | lambda x: p / 1000**x
a, b = power(e), power(own)
pairs = a.sin(), b.cos()  # Which entries hold sines, which ones cosines?
  sine and cosine exchanged | (a.cos(), b.sin())
  sines only | (a.sin(), b.sin())
  cosines only | (a.cos(), b.cos())
  cosines missing: zeros | (a.sin(), 0 * b)
  angles without sine and cosine | (a, b)
found = torch.stack(pairs, 2).flatten(1)  # Which entries hold sines, which ones cosines?
  halves beside each other, not interleaved | torch.cat(pairs, 1)
outputs = [found]  # Which dimension is the place, and how large is the largest entry?
  returned transposed | [found.T]
  scaled by sqrt(H) | [found * math.sqrt(H)]
  divided by sqrt(H) | [found / math.sqrt(H)]
  returned with a first dimension of one | [found[None]]
""",
    TOOLS,
)

_LOG = "Which axes of the figure are logarithmic, and to which base does the plotting code go back?"

OPTIMUM = Bank(
    "x y",
    f"""
u, v = np.array(x, float), np.array(y, float)  # Which one is a function of which?
  x and y exchanged | np.array(y, float), np.array(x, float)
log, back = np.log10, lambda t: 10**t  # {_LOG}
  natural logarithms and exp throughout | np.log, np.exp
  no logarithm at all | same, same
lx = log(u)  # {_LOG}
  natural logarithm of x | np.log(u)
  logarithm of x to the base 2 | np.log2(u)
  x without logarithm | u
ly = v  # Is the axis of the loss logarithmic?
  logarithm of the loss | np.log10(v)
  natural logarithm of the loss | np.log(v)
p = np.polyfit(lx, ly, 2)  # How many minima has the curve?
  a cubic, not a parabola | np.polyfit(lx, ly, 3)
  a line, not a parabola | np.polyfit(lx, ly, 1)
best = -p[1] / (2 * p[0])  # Where is the derivative of a x^2 + b x + c zero?
  sign of the vertex | p[1] / (2 * p[0])
  factor 2 missing in the vertex | -p[1] / p[0]
  a multiplied, not divided: -b / 2 * a | -p[1] / 2 * p[0]
  a and b exchanged in the vertex | -p[0] / (2 * p[1])
  coefficients read from the wrong end | -p[1] / (2 * p[2])
  vertex from b and c, not from a and b | -p[2] / (2 * p[1])
  loss at the minimum, not its place | np.polyval(p, -p[1] / (2 * p[0]))
  best measured size, not the parabola's | lx[np.argmin(ly)]
size = float(back(best))  # {_LOG}
  optimum left as a logarithm | float(best)
  exp in place of the power of 10 | float(np.exp(best))
outputs = [torch.tensor(p), size]  # In which order does the calling code unpack the two?
  returned in the wrong order | [size, torch.tensor(p)]
""",
    TOOLS,
)

LINE = Bank(
    "x y",
    f"""
u, v = np.array(x, float), np.array(y, float)  # Which one is a function of which?
  x and y exchanged | np.array(y, float), np.array(x, float)
log = np.log10  # {_LOG}
  natural logarithms, not those to the base 10 | np.log
  logarithms to the base 2 | np.log2
  no logarithms | same
lx = log(u)  # {_LOG}
  natural logarithm of x | np.log(u)
  x without logarithm | u
ly = log(v)  # {_LOG}
  natural logarithm of y | np.log(v)
  y without logarithm | v
p = np.polyfit(lx, ly, 1)  # What does the calling code do with m and c?
  intercept forced to zero | np.array([(lx * ly).sum() / (lx * lx).sum(), 0])
  slope between the first and the last point | np.polyfit(lx[[0, -1]], ly[[0, -1]], 1)
m, c = float(p[0]), float(p[1])  # What does the calling code do with m and c?
  intercept taken back to the power of 10 | float(p[0]), float(10 ** p[1])
  intercept taken back by exp | float(p[0]), float(np.exp(p[1]))
  sign of the slope | -float(p[0]), float(p[1])
outputs = [m, c]  # In which order does the calling code unpack the two?
  slope and intercept returned in the wrong order | [c, m]
""",
    TOOLS,
)

PARAMETERS = Bank(
    "H V D K gates",
    """
n = gates  # Count the products with x in the equations of the cell.
  the number of gates of the other cell | 7 - gates
  one gate too many | gates + 1
  one gate only | 1
read = H * D  # How long is the vector that the cell reads?
  V in place of D | H * V
  K in place of D | H * K
  the input's matrix is missing | 0
  D alone, not D times H | D
  the context counted as input, too | H * (D + H)
kept = H * H  # Which shape has the state's matrix?
  the state's matrix is missing | 0
bias = 0  # Which parameters does the question leave out?
  one bias per gate | H
  two biases per gate | 2 * H
all = n * (read + kept + bias)  # Does every step have weights of its own?
  multiplied by the number of steps | K * n * (read + kept + bias)
  counted twice: encoder and decoder | 2 * n * (read + kept + bias)
  H added to D, not multiplied: parentheses | n * (D + H) + bias
  gates counted for the state only | read + n * kept + bias
  gates counted for the input only | n * read + kept + bias
  D times H times H | n * D * H * H
more = 0  # Which parameters does the question leave out?
  embedding counted | V * D
  output layer counted | V * H
  embedding and output layer counted | V * (D + H)
outputs = [all + more]
""",
    accepted={
        "one bias per gate": "You count one bias per gate; the question leaves biases out.",
        "two biases per gate": "You count two biases per gate, as with nn.Linear for x and for h; "
        "the question leaves biases out.",
    },
)
