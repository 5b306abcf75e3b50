"""Positions, blocks, published and modern transformers: references, invariances, incremental decoding, parameters."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from a3lib.attention import CausalScaledDotAttention, ScaledDotAttention
from a3lib.batches import EOS, SOS, V, encode_pairs
from a3lib.decoding import translate_words
from a3lib.multihead import MultiHeadAttention
from a3lib.positions import ROTARY_BASE, LearnedPositions, OneHotPositions, PositionalEncoding, Rotation
from a3lib.residual import residual_attention, residual_mlp
from a3lib.training import batch_loss
from a3lib.transformer import AttentionDecoder, AttentionEncoder, TransformerDecoder, TransformerEncoder
from a3lib.transformer_blocks import BLOCK, PUBLISHED, TransformerSettings
from a3lib.translator import Translator

H = 8
MODERN = TransformerSettings("rotary", heads=2, pre_norm=True, expansion=2, copy=True)
VARIANTS = {
    "published": PUBLISHED,
    "block": BLOCK,
    "learned": replace(PUBLISHED, positions="learned"),
    "one-hot": replace(PUBLISHED, positions="one-hot"),
    "not causal": replace(PUBLISHED, causal=False),
    "heads": replace(PUBLISHED, heads=2),
    "pre-norm": replace(PUBLISHED, pre_norm=True),
    "modern": MODERN,
    "modern, not causal": replace(MODERN, causal=False),
}
every_variant = pytest.mark.parametrize("switches", VARIANTS.values(), ids=VARIANTS)
few = settings(max_examples=10, deadline=None)


def translator(switches, layers=2, H=H, seed=0):
    torch.manual_seed(seed)
    encoder = TransformerEncoder(V, H, layers, switches)
    return Translator(encoder, TransformerDecoder(V, H, layers, switches)).double().eval()


def words(B, S, seed=0):
    return torch.randint(0, 27, (B, S), generator=torch.Generator().manual_seed(seed))


# positions


def test_sinusoids_follow_the_formula():
    encodings = PositionalEncoding(6).create_positional_encodings(max_seq_len=40)
    assert encodings.shape == (40, 6)
    for pos in (0, 1, 7, 39):
        for i in range(3):
            angle = pos / 10000 ** (2 * i / 6)
            assert float(encodings[pos, 2 * i]) == pytest.approx(math.sin(angle), abs=1e-6)
            assert float(encodings[pos, 2 * i + 1]) == pytest.approx(math.cos(angle), abs=1e-6)


@few
@given(shift=st.integers(0, 30))
def test_one_rotation_shifts_all_sinusoids(shift):
    """PE(pos + shift) = R PE(pos) with the same block-diagonal rotation R for every pos."""
    encodings = PositionalEncoding(H).create_positional_encodings(64).double()
    R = torch.zeros(H, H, dtype=torch.double)
    for i in range(0, H, 2):
        angle = shift / 10000 ** (i / H)
        c, s = math.cos(angle), math.sin(angle)
        R[i : i + 2, i : i + 2] = torch.tensor([[c, s], [-s, c]])
    torch.testing.assert_close(encodings[shift:], encodings[: 64 - shift] @ R.t(), atol=1e-6, rtol=0)


@few
@given(shift=st.integers(0, 20), i=st.integers(0, 9), j=st.integers(0, 9))
def test_rotated_products_depend_on_the_distance_alone(shift, i, j):
    q, k = torch.randn(2, 1, 1, 1, H, generator=torch.Generator().manual_seed(0))
    rotation = Rotation(H)
    near = (rotation(q, i) * rotation(k, j)).sum()
    far = (rotation(q, i + shift) * rotation(k, j + shift)).sum()
    torch.testing.assert_close(near, far, atol=1e-4, rtol=0)
    torch.testing.assert_close(rotation(q, i).norm(), q.norm())


def test_rotation_turns_pairs_by_the_formula():
    x = torch.randn(2, 7, 3, 4, dtype=torch.double)
    turned = Rotation(4).double()(x, first=2)
    for place in (0, 6):
        for pair in (0, 1):
            angle = (2 + place) * ROTARY_BASE ** (-2 * pair / 4)
            a, b = x[:, place, :, 2 * pair], x[:, place, :, 2 * pair + 1]
            c, s = math.cos(angle), math.sin(angle)
            expected = torch.stack([c * a - s * b, s * a + c * b], dim=2)
            torch.testing.assert_close(turned[:, place, :, 2 * pair : 2 * pair + 2], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", [PositionalEncoding, LearnedPositions, OneHotPositions])
def test_positions_do_not_depend_on_where_a_piece_starts(kind):
    module = kind(H)
    assert torch.equal(module(4, first=3), module(7)[3:])
    assert module(50).shape == (50, H)


def test_positions_beyond_their_tables():
    assert torch.equal(OneHotPositions(H)(H + 2)[H:], torch.zeros(2, H))
    with pytest.raises(ValueError, match="beyond"):
        PositionalEncoding(H)(2, first=999)


# sublayers


@pytest.mark.parametrize("kind", [ScaledDotAttention, CausalScaledDotAttention])
@pytest.mark.parametrize("role", ["self", "cross"])
@few
@given(B=st.integers(1, 3), T=st.integers(1, 5), S=st.integers(1, 5), masked=st.booleans(), seed=st.integers(0, 99))
def test_residual_sublayers_equal_the_classes(kind, role, B, T, S, masked, seed):
    torch.manual_seed(seed)
    attention, layer = kind(H).double(), torch.nn.Linear(H, H).double()
    x = torch.randn(B, T, H, dtype=torch.double, requires_grad=True)
    y = x if role == "self" else torch.randn(B, S, H, dtype=torch.double, requires_grad=True)
    mask = torch.arange(y.shape[1]) < torch.randint(1, y.shape[1] + 1, (B, 1)) if masked else None
    fast = residual_mlp(layer, residual_attention(attention, x, y, mask))
    slow = x + attention(x, y, y, mask)[0]
    slow = slow + torch.relu(layer(slow))
    torch.testing.assert_close(fast, slow, atol=1e-10, rtol=0)
    leaves = [x, y, *attention.parameters(), *layer.parameters()]
    upstream = torch.randn(B, T, H, dtype=torch.double)
    ours, reference = (torch.autograd.grad(out, leaves, upstream, allow_unused=True) for out in (fast, slow))
    for one, other in zip(ours, reference, strict=True):  # the bias of K has none: it is zero
        torch.testing.assert_close(torch.zeros_like(other) if one is None else one, other, atol=1e-10, rtol=0)


@few
@given(B=st.integers(1, 3), seq=st.integers(1, 5), masked=st.booleans(), causal=st.booleans())
def test_many_heads_equal_pytorch(B, seq, masked, causal):
    """`nn.MultiheadAttention` with the same weights, whose masks say what is hidden."""
    torch.manual_seed(0)
    ours = MultiHeadAttention(H, 2, causal).double()
    theirs = torch.nn.MultiheadAttention(H, 2, batch_first=True, dtype=torch.double)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.Q.weight, ours.K.weight, ours.V.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.Q.bias, ours.K.bias, ours.V.bias]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    x = torch.randn(B, seq, H, dtype=torch.double)
    mask = torch.arange(seq) < torch.randint(1, seq + 1, (B, 1)) if masked else torch.ones(B, seq, dtype=torch.bool)
    later = torch.ones(seq, seq, dtype=torch.bool).triu(1) if causal else None
    expected, weights = theirs(x, x, x, key_padding_mask=~mask, attn_mask=later, average_attn_weights=False)
    context, ours_weights = ours(x, x, x, mask)
    torch.testing.assert_close(context, expected, atol=1e-10, rtol=0)
    torch.testing.assert_close(ours_weights, weights.transpose(2, 3), atol=1e-10, rtol=0)


def test_heads_must_divide_the_size():
    with pytest.raises(ValueError, match="3 heads do not divide"):
        MultiHeadAttention(H, 3)
    with pytest.raises(ValueError, match="is odd"):
        MultiHeadAttention(6, 2, rotary=True)


# translators


def test_parameters_are_those_of_the_table():
    def count(encoder, decoder):
        return sum(parameter.numel() for parameter in Translator(encoder, decoder).parameters())

    assert count(AttentionEncoder(V, 32), AttentionDecoder(V, 32)) == 14_429
    for size, layers, parameters in ((32, 4, 49_277), (32, 3, 37_661), (64, 3, 142_877)):
        assert count(TransformerEncoder(V, size, layers), TransformerDecoder(V, size, layers)) == parameters


def test_published_equals_a_plain_transformer():
    """The whole published model, written down once more with PyTorch's own attention."""
    model = translator(PUBLISHED)
    source, prefix = words(2, 5), words(2, 4, seed=1)

    def attend(a, x, y, causal=False):
        return x + torch.nn.functional.scaled_dot_product_attention(a.Q(x), a.K(y), a.V(y), is_causal=causal)

    def embed(part, symbols):
        return part.embedding(symbols) + part.positions.create_positional_encodings(symbols.shape[1]).double()

    y = embed(model.encoder, source)
    for block in model.encoder.blocks:
        y = attend(block.attention, y, y)
        y = y + torch.relu(block.mlp[0](y))
    x = embed(model.decoder, prefix)
    for block in model.decoder.blocks:
        x = attend(block.cross, attend(block.attention, x, x, causal=True), y)
        x = x + torch.relu(block.mlp[0](x))
    torch.testing.assert_close(model(source, prefix), model.decoder.out(x), atol=1e-6, rtol=0)


@every_variant
@few
@given(seed=st.integers(0, 99))
def test_step_by_step_equals_the_whole_prefix(switches, seed):
    model = translator(switches, seed=seed)
    source, prefix = words(3, 5, seed), words(3, 6, seed + 1)
    memory = model.encode(source, torch.arange(5) < torch.tensor([[5], [3], [1]]))
    state = model.decoder.start(memory)
    for t in range(6):
        logits, state = model.decoder.step(prefix[:, t], state, memory)
        torch.testing.assert_close(logits, model.decode(memory, prefix[:, : t + 1])[:, -1], atol=1e-10, rtol=0)


@every_variant
def test_padding_changes_no_loss(switches):
    pairs = [("at", "atway"), ("scaled", "aledscay"), ("a", "away"), ("well-read", "ellway-eadray")]
    model, encoded = translator(switches), encode_pairs(pairs)
    together = encoded.batch(torch.arange(len(pairs)))
    alone = [encoded.batch(torch.tensor([i])) for i in range(len(pairs))]
    assert together.source_mask is not None and (together.prefix[2, 5:] == EOS).all()
    total = sum(batch_loss(model, batch) * batch.tokens for batch in alone)
    torch.testing.assert_close(batch_loss(model, together) * together.tokens, total, atol=1e-10, rtol=0)


@every_variant
def test_words_translate_alike_alone_and_together(switches):
    """Their translations end at different times; none may notice the others."""
    model, several = translator(switches), ["at", "scaled", "a", "well-read", "of", "ooo"]
    together = translate_words(model, several)
    alone = [translate_words(model, [word])[0] for word in several]
    assert [word.text for word in together] == [word.text for word in alone]
    assert [word.probabilities for word in together] == [pytest.approx(word.probabilities) for word in alone]


@every_variant
def test_later_symbols_reach_earlier_logits_only_without_the_mask(switches):
    model, source, prefix = translator(switches), words(1, 4), words(1, 5)
    changed = prefix.clone()
    changed[0, 3] = (changed[0, 3] + 1) % 27
    memory = model.encode(source)
    before, after = model.decode(memory, prefix), model.decode(memory, changed)
    assert torch.allclose(before[:, :3], after[:, :3]) == switches.causal
    assert not torch.allclose(before[:, 3:], after[:, 3:])


def test_only_positions_tell_the_order():
    """Without them the source is a bag of letters; every kind of position ends that."""
    source, prefix = torch.tensor([[1, 2, 3, EOS]]), torch.tensor([[SOS, 4, 5]])
    turned = source[:, [2, 0, 1, 3]]
    for switches in VARIANTS.values():
        model = translator(switches)
        same = torch.allclose(model(source, prefix), model(turned, prefix), atol=1e-9)
        assert same == (switches.positions == "none")


@every_variant
def test_maps_are_distributions_in_every_layer_and_head(switches):
    model = translator(switches, layers=3)
    source, prefix, mask = words(2, 4), words(2, 5), torch.tensor([[True] * 4, [True, True, False, False]])
    maps, heads = model.attention_maps(source, prefix, mask), switches.heads or 1
    shapes = {"encoder": (2, heads, 4, 4), "decoder": (2, heads, 5, 5), "cross": (2, heads, 4, 5)}
    for name, shape in shapes.items():
        layers = getattr(maps, name)
        assert [m.shape for m in layers] == [shape] * 3
        for weights in layers:
            torch.testing.assert_close(weights.sum(2), torch.ones_like(weights.sum(2)))
            assert name == "decoder" or (weights[1, :, 2:] == 0).all()
            assert name != "decoder" or not switches.causal or (weights.tril(-1) == 0).all()


def test_the_pointer_mixes_two_distributions():
    """Its output is a distribution that gives source symbols at least what the gate times the pointer does."""
    model = translator(MODERN)
    source, prefix = words(2, 5), words(2, 4)
    memory = model.encode(source)
    torch.testing.assert_close(model.decode(memory, prefix).exp().sum(2), torch.ones(2, 4, dtype=torch.double))
    with torch.no_grad():
        model.decoder.pointer.gate.bias.fill_(100)  # copy only
    copied = model.decode(memory, prefix).exp()
    for n in range(2):
        outside = [symbol for symbol in range(V) if symbol not in source[n].tolist()]
        assert copied[n][:, outside].max() < 1e-12


def test_an_own_attention_is_called_in_training_and_decoding():
    class Own(ScaledDotAttention):
        def forward(self, queries, keys, values, mask=None):
            return super().forward(queries, keys, values.flip(1), mask)

    torch.manual_seed(0)
    own = Translator(AttentionEncoder(V, H, Own), AttentionDecoder(V, H, Own)).double()
    published = Translator(AttentionEncoder(V, H), AttentionDecoder(V, H)).double()
    published.load_state_dict(own.state_dict())
    source, prefix = words(2, 4), words(2, 3)
    assert not torch.allclose(own(source, prefix), published(source, prefix))
    memory = own.encode(source)
    state = own.decoder.start(memory)
    for t in range(3):
        logits, state = own.decoder.step(prefix[:, t], state, memory)
    torch.testing.assert_close(logits, own.decode(memory, prefix)[:, -1])


def test_dropout_acts_in_training_only():
    model = translator(replace(MODERN, dropout=0.5))
    source, prefix = words(2, 4), words(2, 3)
    assert torch.equal(model(source, prefix), model(source, prefix))
    model.train()
    assert not torch.equal(model(source, prefix), model(source, prefix))


@pytest.mark.parametrize(
    ("switches", "message"), [({"positions": "polar"}, "polar"), ({"positions": "rotary"}, "heads")]
)
def test_impossible_settings_are_refused(switches, message):
    with pytest.raises(ValueError, match=message):
        TransformerSettings(**switches)
