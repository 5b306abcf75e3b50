"""The RNN decoder that attends: against a plain loop, decoding, padding, own classes."""

import pytest
import torch
from handout_classes import HandoutAdditive, HandoutScaledDot
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_translators import EXACT, PAIRS, built, difference, logits_of, padded_batch, stepwise

from a3lib.translation.attention import AdditiveAttention, ScaledDotAttention
from a3lib.translation.attention_rnn import ATTENTIONS, RNNAttentionDecoder
from a3lib.translation.batches import SOS, V, encode_pairs
from a3lib.translation.gru import GRUEncoder
from a3lib.translation.losses import word_losses
from a3lib.translation.translator import Translator

H = 7
few = settings(max_examples=10, deadline=None, database=None, derandomize=True)
every_attention = pytest.mark.parametrize("kind", ["additive", "scaled_dot"])


def translator(kind, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Translator(GRUEncoder(V, H), RNNAttentionDecoder(V, H, kind)).double()


def scores_by_hand(attention, h, states):
    """Scores (S,) of a state h (H,) over the states (S, H) of one word, by the definitions."""
    if isinstance(attention, AdditiveAttention):
        first, _, last = attention.attention_network
        pairs = torch.stack([torch.cat([h, key]) for key in states])
        return (torch.relu(pairs @ first.weight.t() + first.bias) @ last.weight.t() + last.bias)[
            :, 0
        ]
    return torch.stack([attention.K(key) @ attention.Q(h) for key in states]) / H**0.5


@every_attention
@few
@given(S=st.integers(1, 5), T=st.integers(1, 5), length=st.integers(1, 5), seed=st.integers(0, 99))
def test_one_word_by_hand(kind, S, T, length, seed):
    """Score, weigh, step: the loop of the hand-out for a single word of any length."""
    model, generator = translator(kind, seed), torch.Generator().manual_seed(seed)
    source = torch.randint(0, V, (1, S), generator=generator)
    prefix = torch.randint(0, V, (1, T), generator=generator)
    length, decoder = min(length, S), model.decoder
    mask = torch.arange(S)[None] < length
    states = model.encoder(source[:, :length]).states[0]  # (length, H)
    values = states if kind == "additive" else decoder.attention.V(states)
    h, logits = states[-1], []
    for symbol in prefix[0]:
        weights = scores_by_hand(decoder.attention, h, states).softmax(0)
        inputs = torch.cat([decoder.embedding(symbol), weights @ values])
        h = decoder.rnn(inputs[None], h[None])[0]
        logits.append(decoder.out(h))
    assert difference([model(source, prefix, mask)[0]], [torch.stack(logits)]) < EXACT


@every_attention
def test_decoding_step_by_step_equals_the_whole_prefix(kind):
    model, batch = built(kind), padded_batch()
    assert difference([stepwise(model, batch)], [logits_of(model, batch)]) < EXACT


@every_attention
def test_padding_changes_no_loss(kind):
    model = translator(kind)
    together = word_losses(model, encode_pairs(PAIRS))
    alone = torch.cat([word_losses(model, encode_pairs([pair])) for pair in PAIRS])
    assert difference([together], [alone]) < EXACT


@every_attention
def test_gradients_are_the_slope(kind):
    """Against finite differences, through one parameter of every part."""
    model, batch = translator(kind), encode_pairs([("ab", "xyz"), ("a", "b")])
    batch = batch.batch(torch.arange(2))
    names = ["encoder.gru.Whh.weight", "decoder.rnn.Wiz.weight", "decoder.rnn.Wih.bias"]
    layer = "attention_network.0" if kind == "additive" else "Q"
    names.append(f"decoder.attention.{layer}.weight")
    parameters = [model.get_parameter(name).detach().clone().requires_grad_() for name in names]

    def logits(*values):
        replaced = dict(zip(names, values, strict=True))
        given = (batch.source, batch.prefix, batch.source_mask)
        return torch.func.functional_call(model, replaced, given).tanh().sum(2)

    assert torch.autograd.gradcheck(logits, tuple(parameters), fast_mode=True)


def test_parameters_are_those_of_the_table():
    model = Translator(GRUEncoder(V, 64), RNNAttentionDecoder(V, 64, "additive"))
    assert sum(parameter.numel() for parameter in model.parameters()) == 76_126


@pytest.mark.parametrize(
    "kind", [AdditiveAttention, ScaledDotAttention, HandoutAdditive, HandoutScaledDot]
)
def test_an_own_class_is_asked_at_every_step(kind):
    """What it does with the values is seen in teacher forcing and in decoding alike."""
    calls = []

    class Own(kind):
        def forward(self, queries, keys, values):
            calls.append(queries.shape)
            return super().forward(queries, keys, values.flip(1))

    model, plain = translator(Own), translator(kind)
    source, prefix = torch.tensor([[1, 2, 3]]), torch.tensor([[SOS, 4]])
    ours = model(source, prefix)
    assert calls == [(1, H)] * 2
    assert not torch.allclose(ours, plain(source, prefix))
    memory = model.encoder(source)
    assert difference([model.decoder(prefix[:, :1], memory)], [ours[:, :1]]) < EXACT


def test_the_names_stand_for_the_classes():
    for name, kind in ATTENTIONS.items():
        assert type(RNNAttentionDecoder(V, H, name).attention) is kind


def test_unknown_attention_is_refused():
    with pytest.raises(ValueError, match=r"'cosine'.*additive, scaled_dot"):
        RNNAttentionDecoder(V, H, "cosine")
