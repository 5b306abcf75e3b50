"""What the learner's parameters are: by their names, or else all orders that fit their shapes.

A reading maps roles such as 'xz' (input to update gate) to blocks of parameters. Fused matrices,
[x; h] in one layer, transposed layouts and one or two biases per gate are all readings.
"""

import re
from itertools import permutations, product
from typing import NamedTuple

import torch


class Block(NamedTuple):
    """Rows and columns of one parameter, transposed or not; a vector where columns is None."""

    name: str | tuple  # (name, n) is the n-th part of a parameter that holds a stack
    rows: tuple
    columns: tuple | None = None
    transposed: bool = False

    def of(self, parameters):
        """Its values (rows, columns) or (rows,): a view, so that writing changes the parameter."""
        name, *part = [self.name] if isinstance(self.name, str) else self.name
        value = parameters[name][part[0]] if part else parameters[name]
        if self.columns is None:
            return value.flatten()[slice(*self.rows)]
        value = value.T if self.transposed else value
        return value[slice(*self.rows), slice(*self.columns)]


class Reading(dict):
    """Role -> block."""

    def aligned(self):
        """Whether layers for x and for h come in the same order of gates, as people write them."""
        x, h = ([role[1:] for role in self if role[0] == side] for side in "xh")
        return x == h

    def weights(self, parameters):
        """Role -> values in double precision."""
        return {role: block.of(parameters).double() for role, block in self.items()}


def _whole(name, value):
    return Block(name, (0, len(value)), (0, value.shape[1]) if value.dim() == 2 else None)


def _with_biases(matrices, vectors, parameters, H):
    """Roles of matrices, and of the biases beside them: by their names, else in the same order.

    vectors: lists of the biases' roles, as many as there are matrices.
    """
    beside = {}
    for (_, block), role in zip(matrices, vectors[0], strict=True):
        vector = Block(str(block.name).replace("weight", "bias"), block.rows)
        known = vector.name in parameters and vector.name != block.name
        if known and vector not in beside.values():  # one beside [x; h] counts once
            beside[role] = vector
    names = {block.name for block in beside.values()}
    flat = {n: v.numel() for n, v in parameters.items() if v.numel() == max(v.shape)}
    loose = [
        Block(n, (row, row + H))
        for n, size in flat.items()
        if n not in names
        for row in range(0, size, H)
    ]
    for roles in vectors:
        some = dict(zip(roles, loose, strict=False)) if len(loose) >= len(roles) // 2 else {}
        yield Reading({**dict(matrices), **beside, **some})
        if len(loose) <= len(roles) // 2:
            return


# --- gated cells: 'x' + gate (H, D), 'h' + gate (H, H), 'p' and 'q' + gate the biases beside them

_LAYER = re.compile(r"w([ixhu])([zrhngcifo])")


def cell_readings(parameters, sizes, gates):
    """Readings of a cell with these gates; the last one is the candidate."""
    reading = Reading()
    for name, value in parameters.items():
        layer, _, kind = name.replace("_", "").lower().rpartition(".")
        found = _LAYER.fullmatch(layer.rpartition(".")[2])
        if not found or kind not in ("weight", "bias"):
            found = _cells(_unstacked(parameters, sizes["H"], gates), sizes["D"], sizes["H"], gates)
            return sorted(found, key=lambda one: not one.aligned())
        side = ("xp", "hq")[found[1] in "hu"][kind == "bias"]
        reading[side + (gates[-1] if found[2] in "hngc" else found[2])] = _whole(name, value)
    return [reading]


def _unstacked(parameters, H, gates):
    """(G, rows, columns) and (G, H) as G matrices and G vectors."""
    parts = {}
    for name, value in parameters.items():
        stack = value.dim() == 3 or value.shape == (len(gates), H)
        parts |= {(name, n): one for n, one in enumerate(value)} if stack else {name: value}
    return parts


def _cells(parameters, D, H, gates):
    matrices = [(n, v) for n, v in parameters.items() if v.dim() == 2 and 1 not in v.shape]
    fits = {n: v.shape[1] in (D, H, D + H) and v.shape[0] % H == 0 for n, v in matrices}
    turned = not all(fits.values())  # x @ W: then square matrices stand that way, too
    for order in ("xh", "hx"):
        found, first = {"x": [], "h": []}, D if order == "xh" else H
        parts = {D: [("x", 0, D)], H: [("h", 0, H)]}
        parts[D + H] = [(order[0], 0, first), (order[1], first, D + H)]
        for name, value in matrices:
            transposed = turned and (not fits[name] or value.shape[0] == value.shape[1])
            rows, columns = value.shape[::-1] if transposed else value.shape
            for row in range(0, rows, H):
                for side, *span in parts.get(columns, []):
                    found[side].append(Block(name, (row, row + H), tuple(span), transposed))
        if not len(found["x"]) == len(found["h"]) == len(gates):
            return
        orders = ["".join(one) for one in permutations(gates)]
        for x, h in product(orders, orders):
            blocks = list(zip(["x" + g for g in x], found["x"], strict=True))
            blocks += zip(["h" + g for g in h], found["h"], strict=True)
            rows = ["p" + g for g in x] + ["q" + g for g in h]
            pairs = [side + g for g in x for side in "pq"]
            yield from _with_biases(blocks, [rows, pairs], parameters, H)
        if not any(D + H in value.shape for _, value in matrices):
            return


# --- dot product: 'q', 'k', 'v' (H, H), 'bq', 'bk', 'bv' (H); 'o', 'bo' of nn.MultiheadAttention


def projection_readings(parameters, sizes):
    """Readings of dot-product attention."""
    H, reading, layers = sizes["H"], Reading(), True
    for name, value in parameters.items():
        roles, layers = _projection_roles(name), layers and name.endswith(("weight", "bias"))
        if not roles or value.shape[0] != H * len(roles):
            return list(_projections(parameters, H))
        for n, role in enumerate(roles):
            rows, columns = (n * H, n * H + H), (0, H) if value.dim() == 2 else None
            reading["b" * (value.dim() == 1) + role] = Block(name, rows, columns)
    turned = {role: block._replace(transposed=True) for role, block in reading.items()}
    return [reading] if layers else [reading, Reading(turned)]


def _projection_roles(name):
    layer = re.sub(r"[._](weight|bias)$", "", name.lower()).rpartition(".")[2]
    if layer in ("in_proj", "qkv"):
        return "qkv"
    found = re.fullmatch(r"(?:w_?|lin\w*_)?(q|k|v|out_proj)(?:uer\w+|ey\w*|al\w+|_\w+)?", layer)
    return found[1][0] if found else ""


def _projections(parameters, H):
    squares = [
        (name, (row, row + H))
        for name, value in parameters.items()
        if value.dim() == 2 and value.shape[1] == H and value.shape[0] % H == 0
        for row in range(0, value.shape[0], H)
    ]
    for transposed in (False, True) if len(squares) == 3 else ():
        for order in permutations("qkv"):
            blocks = [Block(name, rows, (0, H), transposed) for name, rows in squares]
            roles = [["b" + role for role in order]]
            yield from _with_biases(list(zip(order, blocks, strict=True)), roles, parameters, H)


# --- additive network: 'q', 'k' (A, H) halves of the first layer, 'u' (1, A), 'c' (1), biases 'b'


def network_readings(parameters, sizes):
    """Readings of additive attention; a first layer without halves is 'one' (A, H)."""
    H, reading, first = sizes["H"], Reading(), []
    for name, value in parameters.items():
        if value.dim() == 1:
            reading["c" if value.numel() == 1 else f"b{name}"] = _whole(name, value)
        elif 1 in value.shape:
            reading["u"] = Block(name, (0, 1), (0, value.numel()), value.shape[1] == 1)
        elif 2 * H in value.shape:
            transposed = value.shape[1] != 2 * H
            rows = (0, value.shape[1 if transposed else 0])
            first += [Block(name, rows, c, transposed) for c in ((0, H), (H, 2 * H))]
        else:
            first.append(_whole(name, value))
    if len(first) == 1:
        return [Reading({**reading, "one": first[0]})]
    orders = [first, first[::-1]] if len(first) == 2 else []
    return [Reading({**reading, "q": a, "k": b}) for a, b in orders]


# --- values


def draw(parameters, seed, scale=0.6):
    """New values of the same shapes, normal, so that nothing is zero or equal by chance."""
    generator = torch.Generator().manual_seed(seed)
    return {n: torch.randn(v.shape, generator=generator) * scale for n, v in parameters.items()}


def shared(parameters, readings):
    """(parameters, a reading) with equal matrices wherever shapes are equal, and without biases.

    The numbers are then the same for all readings of the same blocks: formulas can be found before
    it is known which gate is which.
    """
    groups = {frozenset(one.values()): one for one in readings}
    for reading in groups.values():
        values, first = {n: torch.zeros_like(v) for n, v in parameters.items()}, {}
        for block in reading.values():
            matrix = block.of(parameters)
            if matrix.dim() == 2:
                block.of(values).copy_(first.setdefault(matrix.shape, matrix))
        yield values, reading
