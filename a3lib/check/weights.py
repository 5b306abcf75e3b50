"""What the learner's parameters are: by their names, or else all orders that fit their shapes.

A reading maps roles such as 'xz' (input to update gate) to places: a tensor of numbers that count
the entries of all parameters. Fused matrices, [x; h] in one layer, transposed layouts and one or
two biases per gate are all readings, made by splitting, slicing and turning such tensors.
"""

import re
from itertools import permutations, product

import torch
from torch.nn.utils import parameters_to_vector


class Reading(dict):
    """Role -> places (rows, columns) or (rows,)."""

    def aligned(self):
        """Whether layers for x and for h come in the same order of gates, as people write them."""
        x, h = ([role[1:] for role in self if role[0] == side] for side in "xh")
        return x == h

    def weights(self, parameters):
        """Role -> values in double precision."""
        numbers = parameters_to_vector(parameters.values()).double()
        return {role: numbers[places] for role, places in self.items()}


def linear(weights, matrix, bias):
    """A layer with the weights of these roles; one without matrix raises KeyError when called."""
    return lambda x: x @ weights[matrix].T + weights.get(bias, 0)


def _places(parameters):
    """Name -> places of a parameter, in its shape."""
    sizes = [value.numel() for value in parameters.values()]
    places = torch.arange(sum(sizes)).split(sizes)
    return {n: p.view(v.shape) for p, (n, v) in zip(places, parameters.items(), strict=True)}


def _by_names(places, H, roles_of):
    """The reading in which each name tells the roles of its blocks of H rows; None without it."""
    reading = Reading()
    for name, value in places.items():
        roles = roles_of(name, value)
        if not roles or value.shape[:1] != (H * len(roles),):
            return None
        reading.update(zip(roles, value.split(H), strict=True))
    return reading or None


def _biases(places, matrices, H):
    """(name of a matrix -> blocks of the bias that is named like it, blocks of other vectors)."""
    vectors = {
        name: value.flatten().split(H)
        for name, value in places.items()
        if name not in matrices and value.numel() == max(value.shape, default=0)
    }
    beside = {name: vectors.pop(f"{name}".replace("weight", "bias"), ()) for name in matrices}
    return beside, [block for blocks in vectors.values() for block in blocks]


def _with_biases(roles, blocks, orders, loose):
    """Readings of blocks (matrix, its bias if there is one) and of loose biases.

    orders: roles of the biases in the order of the blocks, and other orders of the loose ones.
    """
    known = {role: matrix for role, (matrix, _) in zip(roles, blocks, strict=True)}
    known |= {role: one for role, (_, bias) in zip(orders[0], blocks, strict=True) for one in bias}
    for order in orders:
        some = dict(zip(order, loose, strict=False)) if len(loose) >= len(order) // 2 else {}
        yield Reading({**known, **some})
        if len(loose) <= len(order) // 2:
            return


# --- gated cells: 'x' + gate (H, D), 'h' + gate (H, H), 'p' and 'q' + gate the biases beside them

_LAYER = re.compile(r"(?:.*\.)?w([ixhu])([zrhngcifo])\.(weight|bias)")


def cell_readings(parameters, sizes, gates):
    """Readings of a cell with these gates; the last one is the candidate."""

    def roles_of(name, value):
        found = _LAYER.fullmatch(name.replace("_", "").lower())
        if not found:
            return []
        side = ("xp", "hq")[found[1] in "hu"][found[3] == "bias"]
        return [side + (gates[-1] if found[2] in "hngc" else found[2])]

    places, parts = _places(parameters), {}
    named = _by_names(places, sizes["H"], roles_of)
    if named:
        return [named]
    for name, value in places.items():  # (G, rows, columns) and (G, H) hold a part per gate
        stack = value.dim() == 3 or value.shape == (len(gates), sizes["H"])
        parts |= {(name, n): one for n, one in enumerate(value)} if stack else {name: value}
    return sorted(_cells(parts, sizes["D"], sizes["H"], gates), key=lambda one: not one.aligned())


def _cells(places, D, H, gates):
    matrices = {n: p for n, p in places.items() if p.dim() == 2 and 1 not in p.shape}
    fits = {n: p.shape[1] in (D, H, D + H) and len(p) % H == 0 for n, p in matrices.items()}
    turned = not all(fits.values())  # x @ W: then square matrices stand that way, too
    beside, loose = _biases(places, matrices, H)
    x_first, h_first = {"x": slice(D), "h": slice(D, None)}, {"x": slice(H, None), "h": slice(H)}
    for both in (x_first, h_first):
        sides = {D: {"x": slice(None)}, H: {"h": slice(None)}, D + H: both}
        found = {"x": [], "h": []}
        for name, matrix in matrices.items():
            if turned and (not fits[name] or matrix.shape[0] == matrix.shape[1]):
                matrix = matrix.T
            for n, rows in enumerate(matrix.split(H)):
                bias = beside[name][n : n + 1]
                for side, columns in sides.get(rows.shape[1], {}).items():
                    found[side].append((rows[:, columns], bias))
                    bias = ()  # one beside [x; h] counts once
        if not len(found["x"]) == len(found["h"]) == len(gates):
            return
        for x, h in product(permutations(gates), repeat=2):
            roles = ["x" + g for g in x] + ["h" + g for g in h]
            rows = ["p" + g for g in x] + ["q" + g for g in h]
            pairs = [side + g for g in x for side in "pq"]
            yield from _with_biases(roles, found["x"] + found["h"], [rows, pairs], loose)
        if not any(D + H in value.shape for value in matrices.values()):
            return


# --- dot product: 'q', 'k', 'v' (H, H), 'bq', 'bk', 'bv' (H); 'o', 'bo' of nn.MultiheadAttention


def projection_readings(parameters, sizes):
    """Readings of dot-product attention."""
    H, places = sizes["H"], _places(parameters)
    reading = _by_names(places, H, _projection_roles)
    if not reading:
        return list(_projections(places, H))
    if all(name.endswith(("weight", "bias")) for name in parameters):  # of layers
        return [reading]
    return [reading, Reading({n: p.T if p.dim() == 2 else p for n, p in reading.items()})]


def _projection_roles(name, value):
    layer = re.sub(r"[._](weight|bias)$", "", name.lower()).rpartition(".")[2]
    found = re.fullmatch(r"(?:w_?|lin\w*_)?(q|k|v|out_proj)(?:uer\w+|ey\w*|al\w+|_\w+)?", layer)
    roles = "qkv" if layer in ("in_proj", "qkv") else found[1][0] if found else ""
    return ["b" * (value.dim() == 1) + role for role in roles]


def _projections(places, H):
    matrices = {n: p for n, p in places.items() if p.dim() == 2 and p.shape[1] == H}
    beside, loose = _biases(places, matrices, H)
    blocks = [
        (block, beside[name][n : n + 1])
        for name, matrix in matrices.items()
        for n, block in enumerate(matrix.split(H))
    ]
    turned = [(block.T, bias) for block, bias in blocks]
    for found in (blocks, turned) if len(blocks) == 3 else ():
        for order in permutations("qkv"):
            yield from _with_biases(order, found, [["b" + role for role in order]], loose)


# --- additive network: 'q', 'k' (A, H) halves of the first layer, 'u' (1, A), 'c' (1), biases 'b'


def network_readings(parameters, sizes):
    """Readings of additive attention; a first layer without halves is 'one' (A, H)."""
    H, reading, first = sizes["H"], Reading(), []
    for name, value in _places(parameters).items():
        if value.dim() == 1:
            reading["c" if len(value) == 1 else f"b{name}"] = value
        elif 1 in value.shape:
            reading["u"] = value.reshape(1, -1)
        elif 2 * H in value.shape:
            first += (value if value.shape[1] == 2 * H else value.T).split(H, dim=1)
        else:
            first.append(value)
    if len(first) == 1:
        return [Reading({**reading, "one": first[0]})]
    orders = [first, first[::-1]] if len(first) == 2 else []
    return [Reading({**reading, "q": a, "k": b}) for a, b in orders]


# --- values


def draw(parameters, seed, scale=0.6):
    """New values of the same shapes, normal, so that nothing is zero or equal by chance."""
    generator = torch.Generator().manual_seed(seed)
    return {n: torch.randn(v.shape, generator=generator) * scale for n, v in parameters.items()}


def normal(*shapes):
    """Inputs drawn for shapes such as 'BSH', letters of sizes; one of size 0 is no dimension."""

    def inputs(sizes, generator):
        counts = ([sizes[letter] for letter in shape if sizes[letter]] for shape in shapes)
        return [torch.randn(count, generator=generator) for count in counts]

    return inputs


def doubled(inputs):
    """Inputs in double precision; whole numbers stay."""
    return [v.double() if v.is_floating_point() else v for v in inputs]


def shared(parameters, readings):
    """(parameters, a reading) with equal matrices wherever shapes are equal, and without biases.

    The numbers are then the same for all readings of the same blocks: formulas can be found before
    it is known which gate is which.
    """
    groups = {frozenset(map(id, one.values())): one for one in readings}
    numbers = parameters_to_vector(parameters.values())
    for reading in groups.values():
        values, first = torch.zeros_like(numbers), {}
        for places in reading.values():
            if places.dim() == 2:
                values[places] = first.setdefault(places.shape, numbers[places])
        yield {n: values[p] for n, p in _places(parameters).items()}, reading
