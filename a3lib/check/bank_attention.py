"""Attention: scores and weights are (B, S, k), a column per query over the S keys."""

import math

import torch

from a3lib.check.bank import Bank


def later(scores, diagonal=-1):
    """True where the key stands after the query: below the diagonal of (keys, queries)."""
    return torch.ones_like(scores, dtype=torch.bool).tril(diagonal)


def hide(scores, which):
    """Minus infinity where True; NaN for a query without any key, as code differs in that case."""
    return scores.masked_fill(which, -math.inf).masked_fill(which.all(1, keepdim=True), math.nan)


def T(x):
    """The last two dimensions exchanged."""
    return x.transpose(1, 2)


TOOLS = {
    "torch": torch,
    "sqrt": math.sqrt,
    "later": later,
    "earlier": lambda scores, diagonal=-1: T(later(T(scores), diagonal)),
    "hide": hide,
    "fill": torch.masked_fill,
    "T": T,
    # what view gives in place of a transpose: memory as it lies, sizes exchanged
    "view": lambda x: x.contiguous().view(len(x), x.shape[2], x.shape[1]),
    "as_3d": lambda queries: queries if queries.dim() == 3 else queries[:, None],
    "same": lambda x: x,
}
TRANSPOSED = "weights returned transposed"
LAYOUT = {
    TRANSPOSED: "Your weights are (B, queries, keys), as the stubs of some years invite; elsewhere "
    "in the course they are (B, keys, queries)."
}

_INPUTS = """
asked, a, b = as_3d(queries), keys, values  # What is compared, and what is averaged?
  keys and values exchanged | as_3d(queries), values, keys
  values compared, not keys | as_3d(queries), values, values
  keys averaged, not values | as_3d(queries), keys, keys
"""
_SOFTMAX = """
weights = masked.softmax(1)  # For one query, what must add up to one, along which dimension?
  softmax over the queries | masked.softmax(2)
  softmax over the batch | masked.softmax(0)
  no softmax | masked
  sigmoid in place of softmax | masked.sigmoid()
  log_softmax in place of softmax | masked.log_softmax(1)
  relu in place of softmax | masked.relu()
  exp without normalisation | masked.exp()
  scores divided by their sum | masked / masked.sum(1, keepdim=True)
  softmax twice | masked.softmax(1).softmax(1)
  softmax of the negative scores | (-masked).softmax(1)
"""
_CONTEXT = """
context = T(weights) @ v  # What is averaged, with which weights, over which index?
  context from the scores, not from the weights | T(masked) @ v
  context without the weights: a plain mean | v.mean(1, True) + 0 * T(weights) @ v
  context without the weights: a plain sum | v.sum(1, True) + 0 * T(weights) @ v
  context divided by the number of keys | T(weights) @ v / v.shape[1]
  queries added to the context | T(weights) @ v + asked
"""
_RETURNED = """
outputs = [out(context), weights]  # Which shapes does the docstring promise, in which order?
  weights returned transposed | [out(context), T(weights)]
  scores returned in place of the weights | [out(context), masked]
  weights and context returned in the wrong order | [weights, out(context)]
"""
_PRODUCTS = f"""{_INPUTS}
  queries and keys exchanged | keys, as_3d(queries), values
Q, K, V = Q, K, V  # Which layer belongs to the queries, which one to the keys, to the values?
  layers of queries and keys exchanged | K, Q, V
  layers of keys and values exchanged | Q, V, K
  layers of queries and values exchanged | V, K, Q
  nothing is projected | same, same, same
q = Q(asked)  # Which layer belongs to the queries?
  queries not projected | asked
  queries projected with the keys' layer | K(asked)
  queries projected with the values' layer | V(asked)
k = K(a)  # Which layer belongs to the keys, and which argument?
  keys not projected | a
  keys projected with the queries' layer | Q(a)
  keys projected with the values' layer | V(a)
  queries in the keys' place | K(asked)
v = V(b)  # Which layer belongs to the values, and which argument?
  values not projected | b
  values projected with the keys' layer | K(b)
  values projected with the queries' layer | Q(b)
  queries in the values' place | V(asked)
products = k @ T(q)  # Does view move numbers, or does it only rename sizes?
  view in place of transpose, for the queries | k @ view(q)
  view in place of transpose, for the keys | T(q @ view(k))
  cosines in place of products | torch.cosine_similarity(k[:, :, None], q[:, None], dim=3)
scores = products / sqrt(k.shape[2])  # How large is a product of two random vectors of length H?
  not scaled by 1 / sqrt(H) | products
  divided by H, not by its root | products / k.shape[2]
  root of H rounded down | products / int(sqrt(k.shape[2]))
  multiplied by sqrt(H), not divided | products * sqrt(k.shape[2])
  multiplied by H, not divided by its root | products * k.shape[2]
  scaled by the root of the number of keys, not of H | products / sqrt(products.shape[1])
  scaled by the number of keys, not by the root of H | products / products.shape[1]
  scaled by the root of the batch size, not of H | products / sqrt(len(products))
"""
_SCALED = "  scaled after the softmax | (masked * sqrt(k.shape[2])).softmax(1) / sqrt(k.shape[2])\n"
_VIEWED = "  projected keys averaged, not values | T(weights) @ k\n"

SCALED_DOT = Bank(
    "queries keys values",
    f"""{_PRODUCTS}
  scaled by the root of the number of queries, not of H | products / sqrt(products.shape[2])
masked = scores
{_SOFTMAX}{_SCALED}
  softmax over keys and queries together | masked.flatten(1).softmax(1).view_as(masked)
{_CONTEXT}{_VIEWED}
  weights not transposed before the product with the values | weights @ v
  view in place of transpose, for the weights | view(weights) @ v
{_RETURNED}
  context returned transposed | [T(out(context)), weights]
  context summed over the queries | [out(context).sum(1, True), weights]
""",
    TOOLS,
    LAYOUT,
)

CAUSAL = Bank(
    "queries keys values",
    f"""{_PRODUCTS}
masked = hide(scores, later(scores))  # Number the places: which keys may query 0 see, and the last?
  no causal mask | scores
  triangles exchanged: only later keys are seen | hide(scores, earlier(scores))
  own place hidden: the diagonal is masked | hide(scores, later(scores, 0))
  triangles exchanged, and the diagonal masked | hide(scores, earlier(scores, 0))
  mask one place too late: the next key is seen | hide(scores, later(scores, -2))
  only the own place is seen | hide(scores, later(scores) + earlier(scores))
  only the own place is hidden | hide(scores, later(scores, 0) & earlier(scores, 0))
  hidden scores set to zero, not to minus infinity | fill(scores, later(scores), 0.0)
  hidden scores set to zero, and triangles exchanged | fill(scores, earlier(scores), 0.0)
  hidden scores set to zero, with the diagonal | fill(scores, later(scores, 0), 0.0)
  mask of the wrong sign: plus infinity | fill(scores, later(scores), 1e7)
  mask of the wrong sign, added | (scores.float() + 1e7 * later(scores).float()).double()
  mask in place of the scores | hide(0 * scores, later(scores))
  zeros and ones as the mask that is added | scores - later(scores).double()
  scores multiplied by minus infinity | -1e7 * scores * later(scores).double()
  ones added to the hidden scores | scores + later(scores).double()
  masked in the first element only | torch.cat([hide(scores, later(scores))[:1], scores[1:]])
{_SOFTMAX}{_SCALED}
  softmax over keys and queries together | masked.flatten(1).softmax(1).view_as(masked)
  mask after the softmax | fill(scores.softmax(1), later(scores), 0.0)
  mask after the softmax, triangles exchanged | fill(scores.softmax(1), earlier(scores), 0.0)
  mask after the softmax, with the diagonal | fill(scores.softmax(1), later(scores, 0), 0.0)
  mask after the softmax: minus infinity added | scores.softmax(1) - 1e7 * later(scores).double()
{_CONTEXT}{_VIEWED}
  weights not transposed before the product with the values | weights @ v
{_RETURNED}
  context returned transposed | [T(out(context)), weights]
""",
    TOOLS,
    LAYOUT,
)

ADDITIVE = Bank(
    "queries keys values",
    f"""{_INPUTS}
q, k, v = asked[:, None], a[:, :, None], b
units = first(q, k)  # Which two vectors does the network compare?
  the query is not compared: keys beside themselves | first(k, k)
  the keys are not compared: queries beside themselves | first(q + 0 * k, q + 0 * k)
  the query's half is missing | first(0 * q, k)
  query and key added, not concatenated | one(q + k)
  query and key multiplied, not concatenated | one(q * k)
  query subtracted, not concatenated | one(k - q)
  only the keys enter the network | one(k + 0 * q)
active = torch.relu(units)  # Follow one pair through the network: layer, nonlinearity, layer.
  no nonlinearity between the layers | units
  tanh in place of ReLU | torch.tanh(units)
  sigmoid in place of ReLU | torch.sigmoid(units)
masked = second(active)  # Follow one pair through the network: layer, nonlinearity, layer.
  ReLU after the second layer, too | torch.relu(second(active))
  tanh after the second layer | torch.tanh(second(active))
  second layer missing: a sum over the units | active.sum(3)
  second layer missing: a mean over the units | active.mean(3)
  scaled by 1 / sqrt(H), as the dot product is | second(active) / sqrt(b.shape[2])
{_SOFTMAX}{_CONTEXT}{_RETURNED}
  context returned without its query dimension | [context.squeeze(1), weights]
  weights returned without their query dimension | [context, weights.squeeze(2)]
  context and weights without their query dimension | [context.squeeze(1), weights.squeeze(2)]
""",
    TOOLS,
    LAYOUT,
)
