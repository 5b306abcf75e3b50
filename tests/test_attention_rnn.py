"""The RNN decoder that attends: fast path against the plain loop, decoding, padding, parameters."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.attention import AdditiveAttention, ScaledDotAttention
from a3lib.attention_rnn import RNNAttentionDecoder
from a3lib.batches import SOS, V, encode_pairs
from a3lib.decoding import translate_words
from a3lib.gru import GRUEncoder, MyGRUCell, RNNDecoder
from a3lib.training import batch_loss
from a3lib.translator import Translator

H = 7
KINDS = ["additive", "scaled_dot"]
PAIRS = [("at", "atway"), ("scaled", "aledscay"), ("a", "away"), ("well-read", "ellway-eadray")]


def translator(kind, seed=0, cell=MyGRUCell):
    torch.manual_seed(seed)
    return Translator(GRUEncoder(V, H, cell), RNNAttentionDecoder(V, H, kind, cell)).double()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10, deadline=None)
@given(B=st.integers(1, 4), S=st.integers(1, 5), T=st.integers(1, 5), padded=st.booleans(), seed=st.integers(0, 99))
def test_fast_path_equals_the_plain_loop(kind, B, S, T, padded, seed):
    model = translator(kind, seed)
    source, prefix = torch.randint(0, V, (B, S)), torch.randint(0, V, (B, T))
    lengths = torch.randint(1, S + 1, (B, 1))
    mask = torch.arange(S) < lengths if padded else None
    memory = model.encode(source, mask)
    fast = model.decode(memory, prefix)
    slow = model.decoder.out(model.decoder.stepwise(prefix, memory)[0])
    torch.testing.assert_close(fast, slow, atol=1e-10, rtol=0)
    upstream = torch.randn(B, T, V, dtype=torch.double)
    named = dict(model.named_parameters())
    ours, reference = (
        torch.autograd.grad(logits, list(named.values()), upstream, retain_graph=True, allow_unused=True)
        for logits in (fast, slow)
    )
    for one, other in zip(ours, reference, strict=True):  # a softmax cancels some biases: no gradient there
        torch.testing.assert_close(torch.zeros_like(other) if one is None else one, other, atol=1e-10, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_the_slope(kind):
    """The written-out backward pass against finite differences, through one parameter of every part."""
    model = translator(kind)
    source, prefix = torch.randint(0, V, (2, 4)), torch.randint(0, V, (2, 3))
    names = ["encoder.gru.Whh.weight", "decoder.rnn.Wiz.weight", "decoder.rnn.Whh.weight", "decoder.rnn.Wih.bias"]
    names += ["decoder.attention." + ("attention_network.0.weight" if kind == "additive" else "Q.weight")]
    parameters = {name: model.get_parameter(name).detach().clone().requires_grad_() for name in names}

    def logits(*values):
        replaced = dict(zip(names, values, strict=True))
        return torch.func.functional_call(model, replaced, (source, prefix)).tanh().sum(2)

    assert torch.autograd.gradcheck(logits, tuple(parameters.values()), fast_mode=True)


@pytest.mark.parametrize("kind", KINDS)
def test_step_by_step_equals_the_whole_prefix(kind):
    model = translator(kind)
    source, prefix = torch.randint(0, V, (3, 5)), torch.randint(0, V, (3, 6))
    memory = model.encode(source, torch.arange(5) < torch.tensor([[5], [3], [1]]))
    state, steps = model.decoder.start(memory), []
    for t in range(6):
        logits, state = model.decoder.step(prefix[:, t], state, memory)
        steps.append(logits)
    torch.testing.assert_close(torch.stack(steps, 1), model.decode(memory, prefix), atol=1e-10, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_no_loss(kind):
    model, encoded = translator(kind), encode_pairs(PAIRS)
    together = encoded.batch(torch.arange(len(PAIRS)))
    alone = [encoded.batch(torch.tensor([i])) for i in range(len(PAIRS))]
    assert together.source_mask is not None
    total = sum(batch_loss(model, batch) * batch.tokens for batch in alone)
    torch.testing.assert_close(batch_loss(model, together) * together.tokens, total, atol=1e-10, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_words_translate_alike_alone_and_together(kind):
    model, words = translator(kind), ["at", "scaled", "a", "well-read"]
    together = translate_words(model, words)
    alone = [translate_words(model, [word])[0] for word in words]
    assert [word.text for word in together] == [word.text for word in alone]
    assert [word.probabilities for word in together] == [pytest.approx(word.probabilities) for word in alone]


def test_maps_are_distributions_over_the_word():
    model = translator("additive")
    source, prefix = torch.randint(0, V, (2, 4)), torch.randint(0, V, (2, 3))
    maps = model.attention_maps(source, prefix, torch.tensor([[True] * 4, [True, True, False, False]]))
    assert maps.encoder == maps.decoder == () and [m.shape for m in maps.cross] == [(2, 1, 4, 3)]
    torch.testing.assert_close(maps.cross[0].sum(2), torch.ones(2, 1, 3, dtype=torch.double))
    assert (maps.cross[0][1, :, 2:] == 0).all()


def test_a_translator_without_attention_has_no_maps():
    model = Translator(GRUEncoder(V, H), RNNDecoder(V, H))
    with pytest.raises(ValueError, match="does not attend"):
        model.attention_maps(torch.tensor([[1]]), torch.tensor([[SOS]]))


def test_parameters_are_those_of_the_table():
    model = Translator(GRUEncoder(V, 64), RNNAttentionDecoder(V, 64, "additive"))
    assert sum(parameter.numel() for parameter in model.parameters()) == 76_126


@pytest.mark.parametrize("own", [AdditiveAttention, ScaledDotAttention])
def test_an_own_class_is_called_as_a_whole(own):
    """A subclass that swaps keys' order must be seen in the logits: its forward is used in training and decoding."""
    calls = []

    class Own(own):
        def forward(self, queries, keys, values, mask=None):
            calls.append(queries.shape)
            return super().forward(queries, keys, values.flip(1), mask)

    model, published = translator(Own), translator({AdditiveAttention: "additive"}.get(own, "scaled_dot"))
    source, prefix = torch.tensor([[1, 2, 3]]), torch.tensor([[SOS, 4]])
    ours = model(source, prefix)
    assert len(calls) == 2
    assert not torch.allclose(ours, published(source, prefix))
    memory = model.encode(source)
    logits, _ = model.decoder.step(prefix[:, 0], model.decoder.start(memory), memory)
    torch.testing.assert_close(logits, ours[:, 0])


def test_unknown_attention_is_refused():
    with pytest.raises(ValueError, match="additive, scaled_dot"):
        RNNAttentionDecoder(V, H, "cosine")
