"""What a verdict says, and that a check leaves the learner's notebook as it was."""

import copy
import inspect
import json
import sys
from html.parser import HTMLParser

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rewrites import (
    Additive,
    EmbeddingThenContext,
    HandoutLoop,
    MaskedFill,
    Projections,
    ScaledDot,
    SixLayers,
    opts,
    to_var,
)
from torch import nn

from a3lib import check
from a3lib.check.runner import Runner, decode, encode
from a3lib.check.verdict import Verdict


def learners(base, forward, **more):
    """A class with another forward."""
    return type("Learners", (base,), {"forward": forward, **more})


# --- exceptions are the learner's


def line_of(function, text):
    """The number of the line of a function that holds this text."""
    lines, first = inspect.getsourcelines(function)
    return first + next(n for n, line in enumerate(lines) if text in line)


def test_an_exception_is_shown_with_its_line_and_shapes():
    def forward(self, queries, keys, values):
        q, k = self.Q(queries), self.K(keys)
        scores = torch.bmm(k, q)
        return scores, scores

    verdict = check.scaled_dot_attention(learners(Projections, forward))
    assert not verdict.right
    assert verdict.line == line_of(forward, "torch.bmm")
    assert "scores = torch.bmm(k, q)" in verdict.counter_example
    assert "k (2, 5, 6)" in verdict.counter_example
    assert "q (2, 3, 6)" in verdict.counter_example
    assert "transpose" in verdict.hint


RAISING = {
    "super().__init__() missing": "class MyGRUCell(nn.Module):\n def __init__(self, a, b): self.l = nn.Linear(a, b)",
    "a name that is not defined": "def forward(self, x, h_prev):\n    z = sigmoid(x)\n    return z",
    "a name that the object does not have": "def forward(self, x, h_prev):\n    return self.Wxz(x)",
    "sizes of a matrix product do not fit": "def forward(self, x, h_prev):\n    return self.Whz(torch.cat([x, h_prev], 1))",
    "something that is no layer is called": "def forward(self, x, h_prev):\n    return None(x)",
    "arguments do not fit": "def forward(self, x):\n    return x",
    "shapes do not fit for torch.cat": "def forward(self, x, h_prev):\n    return torch.cat([x, h_prev[None]], 0)",
    "ZeroDivisionError": "def forward(self, x, h_prev):\n    return x / (1 // 0)",
}


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.parametrize("name", RAISING)
def test_usual_exceptions_get_a_plain_reason(name):
    space = {"torch": torch, "nn": nn}
    exec(RAISING[name], space)
    learned = space.get("MyGRUCell") or learners(SixLayers, space["forward"])
    verdict = check.gru_cell(learned)
    assert verdict.mistakes == (name,)
    assert verdict.hint.endswith(".")
    assert verdict.message.startswith("Your code raised")


def test_an_endless_loop_ends(monkeypatch):
    monkeypatch.setattr("a3lib.check.runner.SECONDS", 0.3)

    def forward(self, x, h_prev):
        while True:
            pass

    assert check.gru_cell(learners(SixLayers, forward)).mistakes == ("does not end",)


STUBS = {
    "docstring only": '    """TODO"""',
    "dots": "    return ...",
    "not implemented": "    raise NotImplementedError",
}


@pytest.mark.parametrize("form", STUBS)
def test_a_stub_is_not_attempted(form):
    space = {}
    exec(f"def forward(self, x, h_prev):\n{STUBS[form]}", space)
    verdict = check.gru_cell(learners(SixLayers, space["forward"]))
    assert not verdict.attempted
    assert not verdict.right
    assert "not attempted" in str(verdict)


def test_a_stub_with_undefined_names_is_not_attempted():
    def forward(self, x, h_prev):
        return h_new  # noqa: F821

    assert not check.gru_cell(learners(SixLayers, forward)).attempted


# --- properties, where the bank has no formula


def other(x):
    """Something that no bank knows."""
    return x + 0.1 * torch.sin(3 * x)


def test_the_first_failing_property_is_named():
    def forward(self, queries, keys, values):
        scores = other(self.scores(queries, keys))
        weights = scores.softmax(1)
        return weights.mT @ self.V(values), weights

    verdict = check.causal_attention(learners(Projections, forward))
    assert verdict.mistakes == ("a query sees a later key",)
    assert "key 1 changes the context of query 0" in verdict.counter_example

    def forward(self, queries, keys, values):
        weights = other(self.scores(queries, keys)).softmax(2)
        return weights.mT @ self.V(values), weights

    verdict = check.scaled_dot_attention(learners(Projections, forward))
    assert verdict.mistakes == ("weights add up to one over the queries",)


def cell_property(formula):
    space = {"torch": torch, "other": other}
    exec(f"def forward(self, x, h_prev):\n    return {formula}", space)
    return check.gru_cell(learners(SixLayers, space["forward"])).mistakes[0]


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        ("other(self.Wiz(x))", "h_prev is not used"),
        ("other(self.Whz(h_prev))", "x is not used"),
        ("other(self.Wiz(x) + self.Whz(h_prev))", "no gradient for Wir.weight"),
        ("other(self.Wiz(x))[:, :2] + h_prev.mean()", "wrong shape of the new state"),
        ("x, h_prev", "the numbers differ, in a way that is not in the bank"),
        ("3", "the new state is no tensor"),
        ("torch.rand(2, 5)", "not deterministic (layers made in forward, or dropout)"),
        ("h_prev.add_(self.Wiz(x))", "the input h_prev is changed in place"),
    ],
)
def test_a_cell_with_a_property_missing(formula, name):
    if formula == "x, h_prev":
        assert cell_property(formula) in ("wrong shape of the new state", name)
    else:
        assert cell_property(formula) == name


def test_elements_of_a_batch_must_not_mix():
    layers = "+".join(f"self.Wi{g}(x).mean(0) + self.Wh{g}(h_prev)" for g in "zrh")
    assert cell_property(f"other({layers})") == "elements of a batch are mixed"


def test_layers_in_a_plain_list_are_not_registered():
    class Cell(nn.Module):
        def __init__(self, input_size, hidden_size):
            super().__init__()
            self.layers = [nn.Linear(input_size, hidden_size) for _ in range(3)]

        def forward(self, x, h_prev):
            return self.layers[0](x) + h_prev

    assert check.gru_cell(Cell).mistakes == ("layers or weights in layers are not registered",)


def test_weights_that_are_no_parameters_are_told():
    class Cell(nn.Module):
        def __init__(self, input_size, hidden_size):
            super().__init__()
            self.W = torch.randn(input_size, hidden_size)

        def forward(self, x, h_prev):
            return x @ self.W + h_prev

    assert check.gru_cell(Cell).mistakes == ("no parameters",)


@pytest.mark.parametrize("name", ["rnn_attention_decoder", "transformer_decoder"])
def test_a_decoder_with_something_unknown_is_told_so(name):
    base = {"rnn_attention_decoder": EmbeddingThenContext, "transformer_decoder": HandoutLoop}[name]

    def forward(self, *inputs):
        return other(base.forward(self, *inputs)[0])

    verdict = getattr(check, name)(learners(base, forward))
    assert verdict.mistakes == ("the numbers differ, in a way that is not in the bank",)
    assert getattr(check, name)(
        learners(base, lambda self, *inputs: base.forward(self, *inputs))
    ).right


def test_a_fixed_dtype_is_a_remark():
    def forward(self, queries, keys, values):
        weights = self.softmax(self.scores(queries, keys)).float()
        context = torch.zeros(len(queries), weights.shape[2], keys.shape[2])
        return context + weights.mT @ self.V(values), weights

    verdict = check.scaled_dot_attention(learners(Projections, forward))
    assert verdict.right
    assert "double precision" in verdict.remarks[0]
    assert check.scaled_dot_attention(ScaledDot).remarks == ()


def test_an_instance_is_refused():
    with pytest.raises(TypeError, match="takes a class or a function itself, not a SixLayers"):
        check.gru_cell(SixLayers(2, 3))


def test_layers_that_cannot_be_read_are_told_as_such():
    class Cell(nn.Module):
        def __init__(self, input_size, hidden_size):
            super().__init__()
            self.one, self.two = nn.Linear(input_size, 7), nn.Linear(7 + hidden_size, hidden_size)

        def forward(self, x, h_prev):
            return self.two(torch.cat([self.one(x), h_prev], 1)).tanh()

    assert "cannot be compared" in check.gru_cell(Cell).mistakes[0]


def test_a_detached_tensor_is_found_by_the_gradients():
    def forward(self, x, h_prev):
        z = torch.sigmoid(self.Wiz(x) + self.Whz(h_prev))
        r = torch.sigmoid(self.Wir(x) + self.Whr(h_prev)).detach()
        g = torch.tanh(self.Wih(x) + self.Whh(r * h_prev))
        return (1 - z) * h_prev + z * g

    verdict = check.gru_cell(learners(SixLayers, forward))
    assert verdict.mistakes == ("no gradient for Wir.weight",)


# --- examples are small and true


def test_the_example_is_the_smallest_and_its_numbers_are_true():
    def forward(self, x, h_prev):
        z = torch.sigmoid(self.Wiz(x) + self.Whz(h_prev))
        r = torch.sigmoid(self.Wir(x) + self.Whr(h_prev))
        g = torch.tanh(self.Wih(x) + self.Whh(r * h_prev))
        return z * h_prev + (1 - z) * g

    lines = check.gru_cell(learners(SixLayers, forward)).counter_example.splitlines()
    given = dict(line.split(" = ") for line in lines if " = " in line)
    number = {name.split(" ")[0]: float(value.strip("[]")) for name, value in given.items()}
    assert "x (1, 1)" in given
    cell = SixLayers(1, 1)
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            parameter.fill_(number[name])
        x, h = torch.tensor([[number["x"]]]), torch.tensor([[number["h_prev"]]])
        for mine, title in ((forward(cell, x, h), "your"), (cell(x, h), "expected")):
            shown = next(line for line in lines if line.startswith(title))
            assert float(shown.split(": ")[1].strip("[]")) == pytest.approx(float(mine), abs=6e-3)


def test_the_hint_does_not_hold_the_formula():
    for item in check.ITEMS.values():
        bank = getattr(item[1], "bank", None)
        for name, formula in (bank.wrong if bank else {}).items():
            assert formula.hint.endswith("?") or formula.hint.endswith("."), name
            assert " | " not in formula.hint


# --- the notebook stays as it was


def test_objects_random_numbers_and_names_stay_as_they_were():
    before = dict(vars(SixLayers))
    state, names = torch.get_rng_state(), set(SixLayers.forward.__globals__)
    grad, threads = torch.is_grad_enabled(), torch.get_num_threads()
    check.gru_cell(SixLayers)
    check.additive_attention(Additive)
    assert torch.equal(torch.get_rng_state(), state)
    assert dict(vars(SixLayers)) == before
    assert set(SixLayers.forward.__globals__) == names
    assert (torch.is_grad_enabled(), torch.get_num_threads()) == (grad, threads)
    assert to_var.__module__ == "rewrites"
    assert opts.cuda is True


def test_a_frozen_notebook_stays_frozen_even_if_the_learner_switches_gradients_off():
    def freeze(model):
        torch.set_grad_enabled(False)
        for name, parameter in model.named_parameters():
            parameter.requires_grad = "classifier" in name

    verdict = check.freezing(freeze)
    assert verdict.mistakes == ("gradients are switched off for all that follows",)
    assert torch.is_grad_enabled()


def test_the_same_verdict_twice():
    assert check.gru_cell(SixLayers) == check.gru_cell(SixLayers)


def test_names_of_the_hand_out_exist_while_it_runs():
    space = {"nn": nn, "torch": torch, "Base": SixLayers, "__name__": "cell"}
    exec(
        "class Cell(Base):\n def forward(self, x, h_prev):\n  return Base.forward(self, to_var(x, opts.cuda), h_prev)",
        space,
    )
    assert check.gru_cell(space["Cell"]).right
    assert "to_var" not in space


def test_prints_are_told_and_do_not_appear(capsys):
    def forward(self, x, h_prev):
        print("shape", x.shape)
        return SixLayers.forward(self, x, h_prev)

    verdict = check.gru_cell(learners(SixLayers, forward))
    assert verdict.right
    assert "printed" in verdict.remarks[0]
    assert capsys.readouterr().out == ""


# --- how it looks


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.open = [], []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@given(st.text(), st.text(), st.text())
@settings(max_examples=30, deadline=None)
def test_html_is_accessible_and_escaped(item, message, text):
    verdict = Verdict(item, False, message, (text,), (text,), text, text, (text,), 3)
    tags = Tags()
    tags.feed(verdict._repr_html_())
    assert tags.open == []
    assert {tag for tag, _ in tags.found} <= {"div", "p", "b", "dl", "dt", "dd"}
    assert tags.found[0][1]["role"] == "status"


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a & b", "<img src=x onerror=1>"])
def test_markup_of_the_learner_is_text(text):
    assert text not in Verdict("x", False, text, (text,), counter_example=text)._repr_html_()


def test_what_was_verified_is_told():
    verdict = check.causal_attention(MaskedFill)
    assert verdict.right
    assert "scores that are exactly zero" in verdict.verified[-1]
    assert "correct" in str(verdict)


# --- data

numbers = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(allow_nan=False), st.text(max_size=5)
)
tensors = st.sampled_from(
    [torch.zeros(2, 0, 3), torch.tensor([[1.5, -2.0]]), torch.tensor(3), torch.tensor([True])]
)
values = st.recursive(
    numbers | tensors,
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=3), one, max_size=3),
    max_leaves=8,
)


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@given(values)
@settings(max_examples=60, deadline=None)
def test_data_survives_json(value):
    assert same(decode(json.loads(json.dumps(encode(value)))), value)


def test_a_check_through_json_gives_the_same_verdict():
    class Far(Runner):
        def ask(self, operation, **arguments):
            question = decode(json.loads(json.dumps(encode(arguments))))
            return decode(json.loads(json.dumps(encode(super().ask(operation, **question)))))

    for item, learned in (("gru_cell", SixLayers), ("scaled_dot_attention", ScaledDot)):
        check_item = check.ITEMS[item][1]
        near = check_item(Runner({"One": learned}), "One")
        assert check_item(Far({"One": learned}), "One") == near


def test_the_runner_needs_its_workspace_alone(monkeypatch):
    import a3lib.check.runner as module

    for name in [name for name in sys.modules if name.split(".")[0] == "a3lib"]:
        if name != "a3lib.check.workspace":
            monkeypatch.setitem(sys.modules, name, None)
    space = {"__name__": "far"}
    exec(compile(inspect.getsource(module), "runner", "exec"), space)
    assert "a3lib" not in inspect.getsource(sys.modules["a3lib.check.workspace"])
    runner = space["Runner"]({"One": SixLayers})
    sizes = {"input_size": 2, "hidden_size": 3}
    assert runner.ask("build", name="One", values=sizes)["handle"] == 0
    unknown = Runner({}).ask("build", name="One", values={})
    assert unknown["error"]["type"] == "KeyError"


def test_parameters_given_are_not_kept():
    runner = Runner({"One": SixLayers})
    built = runner.ask("build", name="One", values={"input_size": 2, "hidden_size": 3})
    old = copy.deepcopy(built["parameters"])
    runner.ask("set", handle=0, values={name: value + 1 for name, value in old.items()})
    assert all(torch.equal(old[name], built["parameters"][name]) for name in old)


@pytest.mark.parametrize(
    "formula",
    ["keys.sum(), keys", "keys, keys.long()", "keys[0], None", "1, 2", "(keys,)", "'c', keys"],
)
@pytest.mark.parametrize("item", ["additive_attention", "scaled_dot_attention", "causal_attention"])
def test_strange_outputs_get_a_verdict_too(item, formula):
    space = {}
    exec(f"def forward(self, queries, keys, values):\n    return {formula}", space)
    base = Additive if item == "additive_attention" else Projections
    state = torch.get_rng_state()
    verdict = getattr(check, item)(learners(base, space["forward"]))
    assert not verdict.right
    assert verdict.mistakes
    assert torch.equal(torch.get_rng_state(), state)
