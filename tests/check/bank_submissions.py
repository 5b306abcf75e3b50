"""Submissions with known mistakes: modules and functions that compute what the bank's lines say."""

import torch
from torch import nn

from a3lib import check
from a3lib.check import attentions, bert, cells, decoders, functions
from a3lib.check.modules import ModuleCheck, doubled
from a3lib.check.weights import cell_readings, network_readings, projection_readings

SPECS = {
    "gru_cell": cells.GRU_CELL,
    "lstm_cell": cells.LSTM_CELL,
    "additive_attention": attentions.ADDITIVE_ATTENTION,
    "scaled_dot_attention": attentions.SCALED_DOT_ATTENTION,
    "causal_attention": attentions.CAUSAL_ATTENTION,
    "rnn_attention_decoder": decoders.WITH_GRU,
    "rnn_attention_decoder, 2021": decoders.WITH_LSTM,
    "transformer_decoder": decoders.FULL,
    "transformer_decoder, 2023": decoders.ALONE,
    "sentence_classifier": bert.SENTENCE_CLASSIFIER,
    "decoder_only_tensors": functions.TENSORS,
    "find_optimal_params": functions.BEST_SIZE,
    "fit_linear_log": functions.POWER_LAW,
    "positional_encoding": functions.ENCODINGS,
    "pig_latin": functions.RULE,
    "rank_by_caption": functions.RANKS,
    "parameter_counts": functions.COUNTS,
}


class Written(nn.Module):
    """Layers with the hand-out's names; forward computes the bank's formulas of `mistakes`."""

    spec, mistakes, readings = None, frozenset(), None

    def forward(self, *inputs):
        parameters = dict(self.named_parameters())
        reading = self.readings(parameters, self.sizes)[0]
        return self.answer(inputs, self.spec.tools(reading.weights(parameters)))

    def answer(self, inputs, tools):
        outputs = self.spec.bank.run(self.mistakes, doubled(inputs), tools)
        if outputs is None:
            raise ValueError("these mistakes do not fit together")
        return tuple(one.float() if one.is_floating_point() else one for one in outputs)


class Cell(Written):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.sizes = {"D": input_size, "H": hidden_size}
        for gate in self.gates:
            setattr(self, "Wi" + gate, nn.Linear(input_size, hidden_size))
            setattr(self, "Wh" + gate, nn.Linear(hidden_size, hidden_size))


class GRU(Cell):
    gates = "zrh"

    @staticmethod
    def readings(parameters, sizes):
        return cell_readings(parameters, sizes, "zrh")


class LSTM(Cell):
    gates = "ifog"

    @staticmethod
    def readings(parameters, sizes):
        return cell_readings(parameters, sizes, "ifog")


class Dot(Written):
    readings = staticmethod(projection_readings)

    def __init__(self, hidden_size):
        super().__init__()
        self.sizes = {"H": hidden_size}
        self.Q, self.K, self.V = (nn.Linear(hidden_size, hidden_size) for _ in range(3))


class Additive(Written):
    readings = staticmethod(network_readings)

    def __init__(self, hidden_size):
        super().__init__()
        self.sizes = {"H": hidden_size}
        one = any("one" in self.spec.bank.wrong[name].reads for name in self.mistakes)
        width = hidden_size * (1 if one else 2)
        self.attention_network = nn.Sequential(
            nn.Linear(width, hidden_size), nn.ReLU(), nn.Linear(hidden_size, 1)
        )


class Attention(nn.Module):
    """A part of the decoders: any attention does."""

    def __init__(self, hidden_size, causal=False):
        super().__init__()
        self.Q, self.K, self.V = (nn.Linear(hidden_size, hidden_size) for _ in range(3))
        self.causal = causal

    def forward(self, queries, keys, values):
        queries = queries if queries.dim() == 3 else queries[:, None]
        scores = self.K(keys) @ self.Q(queries).mT / keys.shape[2] ** 0.5
        if self.causal:
            later = torch.ones_like(scores).tril(-1).bool()
            scores = scores.masked_fill(later, -1e9)
        weights = scores.softmax(1)
        return weights.mT @ self.V(values), weights


class Decoder(Written):
    def __init__(self, vocab_size, hidden_size, num_layers=1):
        super().__init__()
        self.H, self.layers = hidden_size, num_layers
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.out = nn.Linear(hidden_size, vocab_size)
        if self.spec.sizes.get("L"):
            many = range(num_layers)
            causal = "no causal mask in the self-attention" not in self.mistakes
            self.self_attentions = nn.ModuleList(Attention(hidden_size, causal) for _ in many)
            self.encoder_attentions = nn.ModuleList(Attention(hidden_size) for _ in many)
            self.attention_mlps = nn.ModuleList(
                nn.Sequential(nn.Linear(hidden_size, hidden_size), nn.ReLU()) for _ in many
            )
        else:
            cell = nn.LSTMCell if self.spec.sizes["states"] == 2 else nn.GRUCell
            self.attention, self.rnn = Attention(hidden_size), CellPart(cell, hidden_size)

    def create_positional_encodings(self, max_seq_len=1000):
        return torch.arange(float(max_seq_len * self.H)).reshape(max_seq_len, self.H).cos()

    def run_formulas(self, inputs):
        def part(one):
            def called(*values):
                found = one(*(v.float() if v.is_floating_point() else v for v in values))
                return found[0] if isinstance(found, tuple) else found

            return called

        tools = {"embedding": part(self.embedding), "out": part(self.out), "H": self.H}
        tools |= {"positions": self.create_positional_encodings, "layers": self.layers}
        tools["states"] = len(inputs) - 2
        if hasattr(self, "rnn"):
            tools["attention"] = part(self.attention)
            tools["rnn"] = lambda *values: self.rnn(*[one.float() for one in values])
        else:
            tools["own"] = lambda n, *values: part(self.self_attentions[n])(*values)
            tools["cross"] = lambda n, *values: part(self.encoder_attentions[n])(*values)
            tools["mlp"] = lambda n, x: part(self.attention_mlps[n])(x)
        return self.answer(inputs, tools)


class CellPart(nn.Module):
    def __init__(self, kind, hidden_size):
        super().__init__()
        self.inner, self.lstm = kind(2 * hidden_size, hidden_size), kind is nn.LSTMCell

    def forward(self, x, *states):
        return self.inner(x, states) if self.lstm else (self.inner(x, *states),)


class RNNDecoder(Decoder):
    def forward(self, inputs, annotations, hidden_init):
        return self.run_formulas([inputs, annotations, hidden_init])


class RNNDecoderLSTM(Decoder):
    def forward(self, inputs, annotations, hidden_init, cell_init):
        return self.run_formulas([inputs, annotations, hidden_init, cell_init])


class FullDecoder(Decoder):
    def forward(self, inputs, annotations, hidden_init):
        return self.run_formulas([inputs, annotations])


class AloneDecoder(Decoder):
    def forward(self, inputs):
        return self.run_formulas([inputs])


def _classifier():
    from transformers import BertModel

    class Classifier(BertModel):
        spec, mistakes = None, frozenset()

        def __init__(self, config):
            super().__init__(config)
            self.classifier = nn.Linear(config.hidden_size, config.num_labels)

        def forward(self, input_ids, attention_mask=None, labels=None):
            def run(tokens, mask):
                found = BertModel.forward(self, input_ids=tokens, attention_mask=mask)
                return found.last_hidden_state, found.pooler_output

            mask = attention_mask[:, :, None].float()
            tools = {"bert": run, "head": self.classifier, "mask": mask}
            inputs = [input_ids, attention_mask] + [labels] * (labels is not None)
            return tuple(self.spec.bank.run(self.mistakes, inputs, tools))

    return Classifier


KINDS = {
    "gru_cell": GRU,
    "lstm_cell": LSTM,
    "additive_attention": Additive,
    "scaled_dot_attention": Dot,
    "causal_attention": Dot,
    "rnn_attention_decoder": RNNDecoder,
    "rnn_attention_decoder, 2021": RNNDecoderLSTM,
    "transformer_decoder": FullDecoder,
    "transformer_decoder, 2023": AloneDecoder,
}


def submission(item, mistakes=()):
    """A class or function whose numbers are those of the bank's formulas of these names."""
    spec, mistakes = SPECS[item], frozenset(mistakes)
    if isinstance(spec, ModuleCheck):
        base = _classifier() if item == "sentence_classifier" else KINDS[item]
        return type("Submission", (base,), {"spec": spec, "mistakes": mistakes})

    def answer(*inputs):
        outputs = spec.bank.run(mistakes, list(inputs), {})
        if outputs is None:
            raise ValueError("these mistakes do not fit together")
        if item == "positional_encoding":
            outputs = [one.float() for one in outputs]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    if item == "parameter_counts":

        def lstm_parameters(H, V, D, K):
            return answer(H, V, D, K, 4)

        return lstm_parameters
    takes, space = ", ".join(spec.bank.takes), {"answer": answer}
    exec(f"def submission({takes}, cuda=False): return answer({takes})", space)
    return space["submission"]


def verdict_on(item, mistakes=(), seed=0):
    """The public check's Verdict on a submission with these mistakes."""
    return getattr(check, item.partition(",")[0])(submission(item, mistakes), seed=seed)


def accepted(item):
    """Names of formulas that the check takes for right, with a remark."""
    spec = SPECS[item]
    return spec.accepted(None, {}) if isinstance(spec, ModuleCheck) else spec.accepted


def pairs(item):
    """All pairs of mistakes of one item that can be written at the same time."""
    bank = SPECS[item].bank
    return [
        names
        for names in bank.sets(accepted(item))
        if len(names - set(accepted(item))) == 2 and not names & set(accepted(item))
    ]
