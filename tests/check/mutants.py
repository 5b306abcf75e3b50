"""Mutants of right answers: one operator, number, name, layer or call changed by a tool."""

import ast
import copy
import inspect
import textwrap

SWAPS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
}
COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.NotIn: ast.In,
    ast.In: ast.NotIn,
}


def _changes(node, names, layers):
    """Nodes that may stand in place of this one."""
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPS:
        yield ast.BinOp(node.left, SWAPS[type(node.op)](), node.right)
        yield node.left
        yield node.right
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        yield ast.Compare(node.left, [COMPARISONS[type(node.ops[0])]()], node.comparators)
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield ast.Constant(node.value + 1)
        yield ast.Constant(-node.value - 1)
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield ast.Constant(node.value[1:])
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        yield node.args[0]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
        yield from (ast.Name(other, ast.Load()) for other in names if other != node.id)
    if isinstance(node, ast.Attribute) and node.attr in layers:
        yield from (
            ast.Attribute(node.value, other, node.ctx) for other in layers if other != node.attr
        )
    if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) == 2:
        yield ast.Tuple(node.elts[::-1], node.ctx)


class _Put(ast.NodeTransformer):
    """Replaces the node of that number."""

    def __init__(self, place, new):
        self.place, self.new, self.count = place, new, -1

    def visit(self, node):
        self.count += 1
        if self.count == self.place:
            return self.new
        return self.generic_visit(node)


def _numbered(tree):
    """Nodes in the order in which `_Put` meets them."""
    seen = []

    class Walk(ast.NodeTransformer):
        def visit(self, node):
            seen.append(node)
            return self.generic_visit(node)

    Walk().visit(copy.deepcopy(tree))
    return seen


def mutants(function):
    """(changed line, function) of every mutant of a function."""
    lines = textwrap.dedent(inspect.getsource(function)).splitlines(keepends=True)
    first = next(n for n, line in enumerate(lines) if line.startswith("def "))
    tree = ast.parse("".join(lines[first:]))
    body, taken = tree.body[0].body, {one.arg for one in tree.body[0].args.args} - {"self"}
    stored = {
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    names = sorted(taken | stored)
    layers = sorted(
        n.attr
        for n in ast.walk(tree)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "self"
    )
    if isinstance(body[0], ast.Expr) and isinstance(getattr(body[0], "value", None), ast.Constant):
        body.pop(0)
    for place, node in enumerate(_numbered(tree)):
        for new in _changes(node, names, sorted(set(layers))):
            mutant = _Put(place, new).visit(copy.deepcopy(tree))
            space = dict(function.__globals__)
            try:
                exec(compile(ast.fix_missing_locations(mutant), "<mutant>", "exec"), space)
            except SyntaxError:
                continue
            yield f"{ast.unparse(node)} -> {ast.unparse(new)}", space[function.__name__]
