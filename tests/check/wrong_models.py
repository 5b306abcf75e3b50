"""Small models in which one part computes by a bank's formulas, right or wrong ones, and their training.

Formulas are differentiable, so such a model trains like any other. Single precision in, double
precision inside, as the banks have it.
"""

import functools
import re
import warnings
from types import SimpleNamespace

import torch
from torch import nn

from a3lib.bert import arithmetic, fine_tuning
from a3lib.bert.classifier import BertForSentenceClassification, from_encoder
from a3lib.bert.heads import encode
from a3lib.check import attentions, bert, cells, decoders, functions
from a3lib.common import Diverged
from a3lib.pretrained.encoders import load_encoder
from a3lib.translation.attention import (
    AdditiveAttention,
    CausalScaledDotAttention,
    ScaledDotAttention,
)
from a3lib.translation.attention_rnn import RNNAttentionDecoder
from a3lib.translation.batches import encode_pairs
from a3lib.translation.gru import MyGRUCell
from a3lib.translation.metrics import predictions
from a3lib.translation.models import ModelSettings, build
from a3lib.translation.pairs import Pairs, load_pairs
from a3lib.translation.splits import split
from a3lib.translation.training import TrainingSettings, fit
from a3lib.translation.transformer import TransformerDecoder

LONGEST = 5  # letters of a word: short ones are learned in seconds
WORDS = 400  # unseen ones that are translated
TRAINING = TrainingSettings(
    learning_rate=0.01,
    schedule="one-cycle",
    epochs=8,
    updates_per_epoch=100,
    batches="by-source-length",  # no masks, which the hand-out's signatures do not take
    patience=8,
    monitor="per_token",
    clip=1.0,
)
TUNING = fine_tuning.FineTuningSettings(learning_rate=4e-4, epochs=6)  # till the right one learns


class DoesNotFit(Exception):
    """The formulas do not fit together here."""


def run(bank, names, inputs, tools):
    """Outputs of the bank's formulas with the wrong ones of these names."""
    outputs = bank.run(names, inputs, tools)
    if outputs is None:
        raise DoesNotFit
    return outputs


def by_formulas(spec, names, module, inputs):
    """Outputs of a checked class's formulas on the module's own parameters."""
    own = dict(module.named_parameters())
    sizes = {"D": inputs[0].shape[-1], "H": inputs[-1].shape[-1]}
    trial = SimpleNamespace(parameters=own, built={"parameters": own}, sizes=sizes)
    weights = spec.read(trial)[0].weights(own)
    return run(spec.bank, names, inputs, spec.tools(weights))


def attention_class(spec, base, names):
    """An attention with the hand-out's signature."""

    class Evaluated(base):
        def forward(self, queries, keys, values):
            return by_formulas(spec, names, self, (queries, keys, values))

    return Evaluated


def gru_cell(names):
    """A GRU cell."""

    class Evaluated(MyGRUCell):
        def forward(self, x, h_prev):
            return by_formulas(cells.GRU_CELL, names, self, (x, h_prev))[0]

    return Evaluated


def lstm_cell(names):
    """An LSTM cell whose new state and new cell stand beside each other in one vector."""

    class Evaluated(nn.Module):
        def __init__(self, input_size, size):
            super().__init__()
            for gate in "ifog":
                setattr(self, f"Wi{gate}", nn.Linear(input_size, size // 2))
                setattr(self, f"Wh{gate}", nn.Linear(size // 2, size // 2))

        def forward(self, x, state):
            h, c = state.chunk(2, dim=1)
            return torch.cat(by_formulas(cells.LSTM_CELL, names, self, (x, h, c)), dim=1)

    return Evaluated


class RNNDecoderByFormulas(RNNAttentionDecoder):
    """The RNN decoder with attention; `names`: of its mistakes."""

    names, unmasked = (), True

    def forward(self, prefix, memory):
        """As `RNNAttentionDecoder.forward`."""
        tools = {
            "embedding": self.embedding,
            "out": self.out,
            "attention": lambda *inputs: self.attention(*inputs, None)[0],
            "rnn": lambda *inputs: [self.rnn(*inputs)],
            "states": 1,
        }
        inputs = prefix, memory.states, memory.last
        return run(decoders.RNN_GRU, self.names, inputs, tools)[0]


class DecoderByFormulas(TransformerDecoder):
    """The transformer decoder; `names`: of its mistakes."""

    names, unmasked = (), True

    def forward(self, prefix, memory):
        """As `TransformerDecoder.forward`."""
        blocks, seen = self.blocks, "no causal mask in the self-attention" in self.names
        own = (ScaledDotAttention if seen else CausalScaledDotAttention).forward
        tools = {
            "embedding": self.embedding,
            "out": self.out,
            "own": lambda layer, *inputs: own(blocks[layer].attention, *inputs, None)[0],
            "cross": lambda layer, *inputs: blocks[layer].cross(*inputs, None)[0],
            "mlp": lambda layer, x: blocks[layer].mlp(x),
            "positions": self.positions,
            "layers": len(blocks),
            "H": self.embedding.embedding_dim,
        }
        return run(decoders.DECODER, self.names, (prefix, memory.states), tools)[0]


class PositionsByFormulas(nn.Module):
    """Positional encodings, up to 40 places."""

    def __init__(self, names, hidden_size):
        super().__init__()
        table = run(functions.POSITIONS, names, (40, hidden_size), {})[0]
        self.register_buffer("table", table.double().nan_to_num())

    def forward(self, length):
        """Vectors of the first places (length, H)."""
        return self.table[:length]


RNN = ModelSettings("rnn-attention", 32)
TRANSFORMER = ModelSettings("transformer", 32, layers=2)


def translator(item, names, seed):
    """A translator with these mistakes in the part that the item is about, in double precision."""
    if item == "gru_cell":
        model = build(ModelSettings("gru", 48), seed, cell=gru_cell(names))
    elif item == "lstm_cell":
        model = build(ModelSettings("gru", 96), seed, cell=lstm_cell(names))
    elif item == "additive_attention":
        own = attention_class(attentions.ADDITIVE_ATTENTION, AdditiveAttention, names)
        model = build(RNN, seed, attention=own)
    elif item == "scaled_dot_attention":
        own = attention_class(attentions.SCALED_DOT_ATTENTION, ScaledDotAttention, names)
        model = build(TRANSFORMER, seed, attention=own)
    elif item == "causal_attention":
        own = attention_class(attentions.CAUSAL_ATTENTION, CausalScaledDotAttention, names)
        model = build(TRANSFORMER, seed, causal_attention=own)
    else:
        model = build(RNN if item == "rnn_attention_decoder" else TRANSFORMER, seed)
        if item == "positional_encoding":
            for part in (model.encoder, model.decoder):
                part.positions = PositionsByFormulas(names, 32)
        else:
            rnn = item == "rnn_attention_decoder"
            model.decoder.__class__ = RNNDecoderByFormulas if rnn else DecoderByFormulas
            model.decoder.names = names
    return model.double()


def classifier(names):
    """The sentence classifier as a class."""

    class Evaluated(BertForSentenceClassification):
        def forward(self, labels=None, **inputs):
            def states_and_pooled(input_ids, attention_mask):
                kinds = {n: v for n, v in inputs.items() if n == "token_type_ids"}
                base = super(BertForSentenceClassification, self)
                outputs = base.forward(input_ids, attention_mask=attention_mask, **kinds)
                return outputs.last_hidden_state.double(), outputs.pooler_output.double()

            weight, bias = self.classifier.weight.double(), self.classifier.bias.double()
            mask = inputs["attention_mask"]
            tools = {
                "bert": states_and_pooled,
                "head": lambda x: x @ weight.T + bias,
                "mask": mask[:, :, None].double(),
            }
            given = (inputs["input_ids"], mask, labels)
            return tuple(run(bert.CLASSIFIER, names, given, tools))

    return Evaluated


@functools.cache
def words(seed):
    """Short words of the large list to train on, and others to translate."""
    sides = split(load_pairs("large"), seed)
    short = (
        [pair for pair in side if len(pair[0]) <= LONGEST]
        for side in (sides.train, sides.validation)
    )
    train, unseen = (encode_pairs(Pairs("short words", tuple(side))) for side in short)
    return train, unseen.first(WORDS)


def translation(item, names, seed):
    """Losses, share of right words, and what is odd about the others."""
    train, unseen = words(seed)
    model = translator(item, names, seed)
    history = fit(model, train, unseen, TRAINING, seed)
    table = predictions(model, unseen)
    output, longest = table["output"], table["word"].str.len() * 2 + 5
    return {
        "training": history.train[-1],
        "unseen": history.validation["per_token"][-1],
        "right": table["correct"].mean(),
        "endless": (output.str.len() > longest).mean(),
        "repeats": output.str.contains(r"(.)\1\1$").mean(),
    }


def classification(names, seed):
    """Losses and share of right answers of the classifier."""
    sides = arithmetic.split(arithmetic.expressions(), seed)
    encoder = load_encoder(source="offline")
    train, unseen = (encode(encoder, side) for side in (sides.train, sides.test))
    model = from_encoder(classifier(names), encoder, seed)
    history = fine_tuning.fine_tune(model, train, unseen, TUNING, seed)
    loss, accuracy = (history.validation[name][-1] for name in ("loss", "accuracy"))
    return {"training": history.train[-1], "unseen": loss, "right": accuracy}


def measured(item, mistake, seed):
    """The record of one training; mistake '': none."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    names, record = [mistake] * bool(mistake), {"item": item, "mistake": mistake, "seed": seed}
    try:
        classify = item == "sentence_classifier"
        found = classification(names, seed) if classify else translation(item, names, seed)
    except DoesNotFit:
        return record | {"ends": "does not fit"}
    except Diverged as error:
        return record | {"ends": "diverged", "update": int(re.search(r"step (\d+)", str(error))[1])}
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError) as error:
        return record | {"ends": "error", "told": str(error).partition("\n")[0][:100]}
    return record | {"ends": "", **{name: round(float(v), 4) for name, v in found.items()}}
