"""Wrong answers as people write them, in code of their own, and what they are told."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from freezing_submissions import WRONG
from rewrites import (
    Additive,
    Blocks,
    Decoder,
    EightLayers,
    FusedLSTM,
    HandoutLoop,
    OneBias,
    Projections,
    ScaledDot,
    SixLayers,
    by_name,
    classifiers,
    inner_model,
)

from a3lib import check


def cell(line, base=SixLayers):
    """A GRU cell whose forward has one or more lines changed."""
    lines = {
        "z": "torch.sigmoid(self.Wiz(x) + self.Whz(h_prev))",
        "r": "torch.sigmoid(self.Wir(x) + self.Whr(h_prev))",
        "g": "torch.tanh(self.Wih(x) + self.Whh(r * h_prev))",
        "new": "(1 - z) * h_prev + z * g",
    } | line
    body = "\n".join(f"    {name} = {formula}" for name, formula in lines.items())
    space = {"torch": torch, "F": F}
    exec(f"def forward(self, x, h_prev):\n{body}\n    return new", space)
    return type("Learners", (base,), {"forward": space["forward"]})


CELLS = {
    "update gate reversed (PyTorch's z)": {"new": "z * h_prev + (1 - z) * g"},
    "reset gate not applied": {"g": "torch.tanh(self.Wih(x) + self.Whh(h_prev))"},
    "candidate without tanh": {"g": "self.Wih(x) + self.Whh(r * h_prev)"},
    "candidate with sigmoid": {"g": "torch.sigmoid(self.Wih(x) + self.Whh(r * h_prev))"},
    "update gate with tanh": {"z": "torch.tanh(self.Wiz(x) + self.Whz(h_prev))"},
    "reset gate without sigmoid": {"r": "self.Wir(x) + self.Whr(h_prev)"},
    "reset gate on the input's part": {"g": "torch.tanh(r * self.Wih(x) + self.Whh(h_prev))"},
    "reset gate equal to the update gate, or with its layers": {
        "r": "torch.sigmoid(self.Wiz(x) + self.Whz(h_prev))"
    },
    "reset gate with the update gate's state layer": {
        "r": "torch.sigmoid(self.Wir(x) + self.Whz(h_prev))"
    },
    "update gate sees no state": {"z": "torch.sigmoid(self.Wiz(x))"},
    "old state dropped": {"new": "z * g"},
    "old state not weighed": {"new": "h_prev + z * g"},
    "parentheses missing around 1 - z": {"new": "1 - z * h_prev + z * g"},
    "state not projected in the candidate": {"g": "torch.tanh(self.Wih(x) + r * h_prev)"},
    "candidate with relu": {"g": "F.relu(self.Wih(x) + self.Whh(r * h_prev))"},
    "tanh on the new state": {"new": "torch.tanh((1 - z) * h_prev + z * g)"},
}


@pytest.mark.parametrize("name", CELLS)
def test_a_gru_cell_with_one_mistake(name):
    verdict = check.gru_cell(cell(CELLS[name]))
    assert not verdict.right
    assert verdict.mistakes == (name,)


@pytest.mark.parametrize("second", ["update gate with tanh", "update gate sees no state"])
@pytest.mark.parametrize("first", list(CELLS)[:2])
def test_a_gru_cell_with_two_mistakes(first, second):
    verdict = check.gru_cell(cell(CELLS[first] | CELLS[second]))
    assert set(verdict.mistakes) == {first, second}


def test_two_mistakes_in_one_line():
    line = {"g": "torch.sigmoid(self.Wih(x) + self.Whh(h_prev))"}
    found = set(check.gru_cell(cell(line)).mistakes)
    assert found == {"reset gate not applied", "candidate with sigmoid"}


def test_a_mistake_is_named_in_layers_with_other_names():
    def forward(self, x, h_prev):
        z = (self.W_xz(x) + self.W_hz(h_prev)).sigmoid()
        r = (self.W_xr(x) + self.W_hr(h_prev)).sigmoid()
        return h_prev + z * (torch.relu(self.W_xg(x) + self.W_hg(h_prev * r)) - h_prev)

    learned = type("Learners", (OneBias,), {"forward": forward})
    assert check.gru_cell(learned).mistakes == ("candidate with relu",)


def test_a_mistake_is_named_in_one_matrix_of_all_gates():
    def forward(self, x, h_prev, c_prev):
        o, f, g, i = self.both(torch.cat([x, h_prev], 1)).chunk(4, 1)
        c = c_prev * f.sigmoid() + g * i.sigmoid()
        return c.tanh() * o.sigmoid(), c

    learned = type("Learners", (FusedLSTM,), {"forward": forward})
    assert check.lstm_cell(learned).mistakes == ("candidate without tanh",)


def attention(
    scores="self.scores(queries, keys)", weights="self.softmax(s)", mask="s", context="", out="c, w"
):
    """A causal or plain dot-product attention with lines changed."""
    context = context or "torch.bmm(w.transpose(1, 2), self.V(values))"
    space = {"torch": torch, "F": F, "math": math}
    lines = (f"s = {scores}", f"s = {mask}", f"w = {weights}", f"c = {context}", f"return {out}")
    exec("def forward(self, queries, keys, values):\n    " + "\n    ".join(lines), space)
    return type("Learners", (Projections,), {"forward": space["forward"]})


PRODUCTS = (
    "torch.bmm(self.K(keys), self.Q(queries.view(len(keys), -1, self.hidden_size)).transpose(1, 2))"
)
DOT = {
    "softmax over the queries": {"weights": "F.softmax(s, dim=2)"},
    "not scaled by 1 / sqrt(H)": {"scores": PRODUCTS},
    "divided by H, not by its root": {"scores": PRODUCTS + " / self.hidden_size"},
    "scaled by the root of the number of keys, not of H": {
        "scores": PRODUCTS + " / keys.size(1) ** 0.5"
    },
    "values not projected": {"context": "torch.bmm(w.transpose(1, 2), values)"},
    "keys in the values' place": {"context": "torch.bmm(w.transpose(1, 2), self.V(keys))"},
    "scores returned in place of the weights": {"out": "c, s"},
    "no softmax": {"weights": "s"},
    "weights returned transposed": {"out": "c, w.transpose(1, 2)"},
    "context divided by the number of keys": {
        "context": "torch.bmm(w.transpose(1, 2), self.V(values)) / keys.shape[1]"
    },
}


@pytest.mark.parametrize("name", DOT)
def test_a_dot_product_attention_with_one_mistake(name):
    known = {"keys in the values' place": "keys averaged, not values"}
    verdict = check.scaled_dot_attention(attention(**DOT[name]))
    assert verdict.mistakes == (known.get(name, name),)


def test_view_in_place_of_transpose():
    scores = "torch.bmm(self.K(keys), self.Q(queries).view(len(keys), self.hidden_size, -1)) * self.scaling_factor"
    verdict = check.scaled_dot_attention(attention(scores=scores))
    assert "view in place of transpose, for the queries" in verdict.mistakes


ONES = "torch.ones_like(s)"
MASKS = {
    "own place hidden: the diagonal is masked": f"s + torch.tril({ONES} * -1e7)",
    "triangles exchanged: only later keys are seen": f"s + torch.triu({ONES} * -1e7, diagonal=1)",
    "mask one place too late: the next key is seen": f"s + torch.tril({ONES} * -1e7, diagonal=-2)",
    "hidden scores set to zero, not to minus infinity": f"s * torch.triu({ONES})",
    "no causal mask": "s",
    "zeros and ones as the mask that is added": f"s + torch.triu({ONES})",
    "mask in place of the scores": f"torch.tril({ONES} * -1e7, diagonal=-1)",
}


@pytest.mark.parametrize("name", MASKS)
def test_a_wrong_causal_mask(name):
    assert check.causal_attention(attention(mask=MASKS[name])).mistakes == (name,)


def test_a_mask_after_the_softmax():
    learned = attention(weights="torch.triu(self.softmax(s))")
    assert check.causal_attention(learned).mistakes == ("mask after the softmax",)


def test_a_mask_where_the_score_is_zero_is_found_with_scores_of_zero():
    mask = f"torch.triu(s).masked_fill(torch.triu(s) == 0, -1e9) + 0 * {ONES}"
    verdict = check.causal_attention(attention(mask=mask))
    assert not verdict.right
    assert "zero" in verdict.mistakes[0]


def squeezed(what):
    """Attention that removes every dimension of size one."""

    def forward(self, queries, keys, values):
        weights = self.softmax(self.scores(queries, keys))
        context = torch.bmm(weights.transpose(1, 2), self.V(values))
        return (context.squeeze(), weights) if what == "context" else (context, weights.squeeze(2))

    return type("Learners", (Projections,), {"forward": forward})


@pytest.mark.parametrize("what", ["context", "weights"])
def test_one_query_and_a_batch_of_one_are_tried(what):
    verdict = check.scaled_dot_attention(squeezed(what))
    assert not verdict.right
    assert "one" in verdict.mistakes[0]


def test_equal_queries_are_tried():
    def forward(self, queries, keys, values):
        weights = self.softmax(self.scores(queries, keys))
        if queries.dim() == 3 and torch.equal(queries[:, :1].expand_as(queries), queries):
            weights = weights * 2
        return torch.bmm(weights.transpose(1, 2), self.V(values)), weights

    learned = type("Learners", (Projections,), {"forward": forward})
    assert not check.scaled_dot_attention(learned).right


def test_one_key_is_tried():
    def forward(self, queries, keys, values):
        scores = self.scores(queries, keys)
        weights = (scores - scores.mean(1, keepdim=True)) / (keys.shape[1] - 1)  # NaN at one key
        weights = self.softmax(scores + 0 * weights)
        return torch.bmm(weights.transpose(1, 2), self.V(values)), weights

    learned = type("Learners", (Projections,), {"forward": forward})
    assert check.scaled_dot_attention(learned).mistakes == ("wrong for one query",) or (
        "wrong for one key" in check.scaled_dot_attention(learned).mistakes
    )


def test_additive_attention_with_sums_over_the_wrong_dimension():
    def forward(self, queries, keys, values):
        expanded = queries.unsqueeze(1).expand_as(keys)
        scores = self.attention_network(torch.cat((expanded, keys), dim=2))
        weights = torch.softmax(scores, dim=0)
        return torch.sum(weights * values, dim=1, keepdim=True), weights

    learned = type("Learners", (Additive,), {"forward": forward})
    assert check.additive_attention(learned).mistakes == ("softmax over the batch",)


def test_a_decoder_that_does_not_pass_the_state_on():
    def forward(self, inputs, annotations, hidden_init):
        embed, hiddens = self.embedding(inputs), []
        for i in range(inputs.size(1)):
            context, _ = self.attention(hidden_init, annotations, annotations)
            both = torch.cat((embed[:, i], context[:, 0]), dim=1)
            hiddens.append(self.rnn(both, hidden_init))
        return self.out(torch.stack(hiddens, dim=1)), None

    learned = type("Learners", (Decoder,), {"forward": forward})
    mistakes = set(check.rnn_attention_decoder(learned).mistakes)
    assert mistakes & {"state not passed on: the first one in every step"}


def test_a_transformer_without_residual():
    def forward(self, inputs, annotations, hidden_init):
        x = self.embedding(inputs) + self.positional_encodings[: inputs.size(1)]
        for i in range(self.num_layers):
            x = self.self_attentions[i](x, x, x)[0]
            x = x + self.encoder_attentions[i](x, annotations, annotations)[0]
            x = x + self.attention_mlps[i](x)
        return self.out(x), None

    learned = type("Learners", (Blocks,), {"forward": forward})
    assert check.transformer_decoder(learned).mistakes == ("no residual after self-attention",)


def test_functions():
    def fit(x, y):
        p = np.polyfit(np.log(x), y, 2)
        return p, np.exp(-p[1] / (2 * p[0]))

    assert check.find_optimal_params(fit).mistakes == ("natural logarithms and exp throughout",)

    def encodings(length, H):
        angles = torch.arange(length)[:, None] / 10000 ** (torch.arange(0, H, 2) / H)
        return torch.cat([angles.sin(), angles.cos()], 1)

    assert check.positional_encoding(encodings).mistakes == (
        "halves beside each other, not interleaved",
    )

    def translate(word):
        if word[0] in "aeiou":
            return word + "way"
        return word[1:] + word[0] + "ay"

    found = check.pig_latin(translate).mistakes
    assert "only the first letter is moved" in found
    assert "hyphens ignored: the word is one part" in found

    def lstm_parameters(H, D):
        return 3 * H * (H + D)

    assert check.parameter_counts(lstm_parameters).mistakes == (
        "one block too few: the candidate's, or a GRU's count",
    )


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_way_to_freeze_is_named(name):
    function, mistakes = WRONG[name]
    assert set(check.freezing(function).mistakes) == set(mistakes)
    assert torch.is_grad_enabled()


def test_a_caption():
    places = {"butterfly": 3, "a butterfly on a purple flower": 1}
    rank = lambda text: places.get(text, 2)  # noqa: E731
    assert check.caption("a butterfly on a purple flower", rank).right
    assert check.caption("butterfly", rank).mistakes == ("another picture fits better",)
    assert not check.caption("", rank).right
    assert not check.caption(7, rank).right
    assert not check.caption(..., rank).attempted


DETACHED = {
    "old state": "(1 - z) * h_prev.data + z * g",
    "everything": "((1 - z) * h_prev + z * g).detach()",
}


@pytest.mark.parametrize("what", DETACHED)
def test_a_state_taken_out_of_the_graph_is_found(what):
    verdict = check.gru_cell(cell({"new": DETACHED[what]}))
    assert not verdict.right
    assert "gradient" in verdict.mistakes[0]


def test_a_cell_whose_layers_have_no_bias():
    def without(*gates):
        def build(self, input_size, hidden_size):
            SixLayers.__init__(self, input_size, hidden_size)
            for gate in gates:
                self.get_submodule("Wi" + gate).bias = self.get_submodule("Wh" + gate).bias = None

        return type("Learners", (SixLayers,), {"__init__": build})

    assert check.gru_cell(without("z", "r", "h")).mistakes == ("no bias in any gate",)
    assert check.gru_cell(without("r")).mistakes == ("a gate without bias",)


class TwoLayers(torch.nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.update = torch.nn.Linear(input_size + hidden_size, hidden_size)
        self.candidate = torch.nn.Linear(input_size + hidden_size, hidden_size)

    def forward(self, x, h_prev):
        both = torch.cat([x, h_prev], 1)
        return torch.lerp(h_prev, self.candidate(both).tanh(), self.update(both).sigmoid())


class WithoutState(TwoLayers):
    def forward(self, x, h_prev):
        z = self.update(torch.cat([x, h_prev], 1)).sigmoid()
        return z * self.candidate(torch.cat([x, h_prev], 1)).tanh()


def test_a_gru_without_a_reset_gate():
    assert check.gru_cell(TwoLayers).mistakes == ("there is no reset gate",)
    told = check.gru_cell(WithoutState).mistakes
    assert told == ("old state dropped", "there is no reset gate")


@pytest.mark.parametrize("whole", [True, False])
def test_peepholes(whole):
    class Learners(EightLayers):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.peep = torch.nn.Linear(hidden_size, hidden_size, bias=False)
            self.weight = torch.nn.Parameter(torch.ones(hidden_size))

        def forward(self, x, h_prev, c_prev):
            seen = self.peep(c_prev) if whole else self.weight * c_prev
            i = (self.Wii(x) + self.Whi(h_prev) + seen).sigmoid()
            f, o = (
                (getattr(self, f"Wi{g}")(x) + getattr(self, f"Wh{g}")(h_prev)).sigmoid()
                for g in "fo"
            )
            c = f * c_prev + i * (self.Wig(x) + self.Whg(h_prev)).tanh()
            return o * c.tanh(), c

    assert "peepholes" in check.lstm_cell(Learners).mistakes[0]


def test_a_decoder_whose_self_attention_sees_later_places():
    def build(self, vocab_size, hidden_size, num_layers):
        Blocks.__init__(self, vocab_size, hidden_size, num_layers)
        for layer in range(num_layers):
            self.self_attentions[layer] = ScaledDot(hidden_size)

    told = check.transformer_decoder(type("Learners", (HandoutLoop,), {"__init__": build})).mistakes
    assert told == ("no causal mask in the self-attention",)


def test_the_model_that_is_frozen_is_a_bert_in_2022():
    assert check.freezing(inner_model, year=2021).right
    assert "has no attribute 'bert'" in check.freezing(inner_model, year=2022).message
    assert check.freezing(by_name, year=2022).right


def test_a_table_in_double_precision():
    def encodings(length, H):
        angles = torch.arange(length)[:, None] / 10000 ** (torch.arange(0, H, 2) / H).double()
        return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)

    assert "float64" in check.positional_encoding(encodings).mistakes[0]
    assert check.positional_encoding(lambda length, H: encodings(length, H).float()).right


def test_classifiers_that_answer_classes_or_fix_the_width():
    base = classifiers()[0]

    def forward(self, labels=None, **kwargs):
        outputs = base.forward(self, labels=labels, **kwargs)
        return outputs if labels is not None else (outputs[0].argmax(1),)

    def build(self, config):
        base.__init__(self, config)
        self.classifier = torch.nn.Linear(768, 3)

    told = check.sentence_classifier(type("Learners", (base,), {"forward": forward}))
    assert told.mistakes == ("without labels classes are returned, not logits",)
    wide = check.sentence_classifier(type("Learners", (base,), {"__init__": build}))
    assert wide.right and "768" in wide.remarks[0]
    read = {"__init__": build, "forward": lambda self, **inputs: forward(self, **inputs)}
    assert check.sentence_classifier(type("Learners", (base,), read)).mistakes == told.mistakes


def test_a_mask_of_a_fixed_size():
    def forward(self, queries, keys, values):
        mask = torch.ones(25, 25).tril(-1)[: keys.shape[1], : keys.shape[1]]
        scores = self.K(keys) @ self.Q(queries).mT * self.scaling_factor
        weights = (scores - 1e9 * mask).softmax(1)
        return weights.mT @ self.V(values), weights

    learned = type("Learners", (Projections,), {"forward": forward})
    assert check.causal_attention(learned).mistakes == ("fails for 40 places",)


def test_a_projection_that_is_not_learned():
    def build(self, hidden_size):
        Projections.__init__(self, hidden_size)
        self.K.weight.requires_grad = False

    learned = type("Learners", (ScaledDot,), {"__init__": build})
    assert check.scaled_dot_attention(learned).mistakes == ("no gradient for K.weight",)


def test_the_year_in_which_it_is_right_is_told():
    verdict = check.gru_cell(cell({"new": "z * h_prev + (1 - z) * g"}))
    assert not verdict.right
    assert "year=2019" in verdict.remarks[0]


CROSSED = {
    "update gate reads the state with the input's layer": {
        "z": "torch.sigmoid(self.Wiz(x) + self.Wiz(h_prev))"
    },
    "update gate has its two layers exchanged": {
        "z": "torch.sigmoid(self.Whz(x) + self.Wiz(h_prev))"
    },
    "candidate reads the state with the input's layer": {
        "g": "torch.tanh(self.Wih(x) + self.Wih(r * h_prev))"
    },
}


@pytest.mark.parametrize("name", CROSSED)
def test_what_fails_at_unequal_sizes_is_looked_at_with_equal_ones(name):
    verdict = check.gru_cell(cell(CROSSED[name]))
    assert verdict.mistakes == (name,)
    assert "At unequal sizes" in verdict.remarks[0]
    assert verdict.line is not None
