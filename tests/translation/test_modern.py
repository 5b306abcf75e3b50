"""The modern transformer: heads and rotations against references, the pointer, every switch."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_translators import (
    EXACT,
    company_changes_nothing,
    difference,
    logits_of,
    padded_batch,
    padding_changes_nothing,
    stepwise,
)

from a3lib.translation.batches import EOS, SOS, V
from a3lib.translation.models import ModelSettings, build
from a3lib.translation.modern import (
    ROTARY_BASE,
    ModernSettings,
    MultiHeadAttention,
    Rotation,
    softmax_over_keys,
)
from a3lib.translation.positional_encoding import LONGEST

H = 8
MODERN = ModernSettings()
VARIANTS = {
    "all": MODERN,
    "one head": replace(MODERN, heads=1),
    "narrow": replace(MODERN, expansion=1),
    "not rotary": replace(MODERN, rotary=False),
    "no norm": replace(MODERN, pre_norm=False),
    "no pointer": replace(MODERN, pointer=False),
    "nothing": ModernSettings(1, 1, False, False, False),
}
every_variant = pytest.mark.parametrize("switches", VARIANTS.values(), ids=VARIANTS)
few = settings(max_examples=10, deadline=None, database=None, derandomize=True)


def translator(switches, layers=2, seed=0):
    return build(ModelSettings("modern", H, layers=layers, modern=switches), seed).double().eval()


def words(B, S, seed=0):
    return torch.randint(0, 27, (B, S), generator=torch.Generator().manual_seed(seed))


# rotations


@few
@given(shift=st.integers(0, 20), i=st.integers(0, 9), j=st.integers(0, 9))
def test_rotated_products_depend_on_the_distance_alone(shift, i, j):
    q, k = torch.randn(2, H, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    rotation = Rotation(H).double()

    def at(x, place):
        return rotation(x.expand(place + 1, H))[place]

    near, far = at(q, i) @ at(k, j), at(q, i + shift) @ at(k, j + shift)
    assert float(near) == pytest.approx(float(far), abs=1e-5)
    assert float(at(q, i).norm()) == pytest.approx(float(q.norm()), abs=1e-5)


def test_rotation_turns_pairs_by_the_formula():
    x = torch.randn(2, 3, 7, 4, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    turned = Rotation(4).double()(x)
    assert turned.shape == x.shape
    for place in (0, 6):
        for pair in (0, 1):
            angle = place * ROTARY_BASE ** (-2 * pair / 4)
            a, b = x[:, :, place, 2 * pair], x[:, :, place, 2 * pair + 1]
            c, s = math.cos(angle), math.sin(angle)
            expected = torch.stack([c * a - s * b, s * a + c * b], dim=2)
            found = turned[:, :, place, 2 * pair : 2 * pair + 2]
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_places_end_where_the_table_ends():
    rotation = Rotation(2)
    assert rotation(torch.ones(LONGEST, 2)).shape == (LONGEST, 2)
    with pytest.raises(ValueError, match="split the text into words"):
        rotation(torch.ones(LONGEST + 1, 2))


# attention


@few
@given(B=st.integers(1, 3), S=st.integers(1, 5), masked=st.booleans(), causal=st.booleans())
def test_many_heads_equal_pytorch(B, S, masked, causal):
    """`nn.MultiheadAttention` with the same weights, whose masks say what is hidden."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ours = MultiHeadAttention(H, 2, rotary=False, causal=causal).double()
        theirs = torch.nn.MultiheadAttention(H, 2, batch_first=True, dtype=torch.double)
        x = torch.randn(B, S, H, dtype=torch.double)
        mask = torch.arange(S) < torch.randint(1, S + 1, (B, 1)) if masked else None
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.Q.weight, ours.K.weight, ours.V.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.Q.bias, ours.K.bias, ours.V.bias]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    hidden = {
        "key_padding_mask": None if mask is None else ~mask,
        "attn_mask": torch.ones(S, S, dtype=torch.bool).triu(1) if causal else None,
    }
    expected, weights = theirs(x, x, x, average_attn_weights=False, **hidden)
    context, own_weights = ours(x, x, x, mask)
    assert difference([context, own_weights], [expected, weights.transpose(2, 3)]) < EXACT


def test_a_fully_masked_word_has_no_weights():
    weights = softmax_over_keys(torch.randn(2, 1, 4, 3), torch.tensor([[False] * 4, [True] * 4]))
    assert (weights[0] == 0).all()
    torch.testing.assert_close(weights[1].sum(1), torch.ones(1, 3))


def test_impossible_heads_are_refused():
    with pytest.raises(ValueError, match="3 heads do not divide 8"):
        MultiHeadAttention(8, 3, rotary=False)
    with pytest.raises(ValueError, match="3 is odd"):
        MultiHeadAttention(6, 2, rotary=True)
    with pytest.raises(ValueError, match="is odd"):
        build(ModelSettings("modern", 7, modern=replace(MODERN, heads=1)), 0)


# translators


@every_variant
@few
@given(seed=st.integers(0, 99))
def test_decoding_step_by_step_equals_the_whole_prefix(switches, seed):
    model, batch = translator(switches, seed=seed), padded_batch()
    assert difference([stepwise(model, batch)], [logits_of(model, batch)]) < EXACT


@every_variant
def test_padding_changes_no_loss(switches):
    padding_changes_nothing(translator(switches))


@every_variant
def test_words_translate_alike_alone_and_together(switches):
    company_changes_nothing(translator(switches))


@every_variant
def test_no_gradient_comes_from_later_symbols(switches):
    model, source, prefix = translator(switches), words(1, 4), words(1, 5)
    embedded = []
    model.decoder.embedding.register_forward_hook(lambda _, given, x: embedded.append(x))
    logits = model(source, prefix)
    for t in range(5):
        (grad,) = torch.autograd.grad(logits[:, t].sum(), embedded, retain_graph=True)
        assert (grad[:, t + 1 :] == 0).all()


@every_variant
def test_the_order_of_the_source_matters(switches):
    source, prefix = torch.tensor([[1, 2, 3, EOS]]), torch.tensor([[SOS, 4, 5]])
    model = translator(switches)
    turned = model(source[:, [2, 0, 1, 3]], prefix)
    assert not torch.allclose(model(source, prefix), turned, atol=1e-9)


@every_variant
def test_every_switch_changes_parameters_or_logits(switches):
    model, plain = translator(switches), translator(MODERN)
    same_names = model.state_dict().keys() == plain.state_dict().keys()
    shapes = [[value.shape for value in one.state_dict().values()] for one in (model, plain)]
    same = same_names and shapes[0] == shapes[1]
    if same:
        model.load_state_dict(plain.state_dict())
        same = torch.allclose(model(words(1, 4), words(1, 3)), plain(words(1, 4), words(1, 3)))
    assert same == (switches == MODERN)


def test_the_pointer_mixes_two_distributions():
    """Logits are the log of a distribution; with an open gate only source symbols come."""
    model, source, prefix = translator(MODERN), words(2, 5), words(2, 4)
    memory = model.encoder(source)
    total = model.decoder(prefix, memory).exp().sum(2)
    torch.testing.assert_close(total, torch.ones(2, 4, dtype=torch.double))
    with torch.no_grad():
        model.decoder.pointer.gate.bias.fill_(100)  # copy only
    copied = model.decoder(prefix, memory).exp()
    for n in range(2):
        outside = [symbol for symbol in range(V) if symbol not in source[n].tolist()]
        assert copied[n][:, outside].max() < 1e-12


def test_the_pointer_sees_no_padding():
    model, prefix = translator(MODERN), words(1, 4)
    with torch.no_grad():
        model.decoder.pointer.gate.bias.fill_(100)  # copy only
    source, mask = torch.tensor([[1, 2, 20, 21]]), torch.tensor([[True, True, False, False]])
    copied = model(source, prefix, mask).exp()
    assert copied[:, :, [20, 21]].max() < 1e-12


def test_large_logits_keep_the_log_finite():
    model = translator(MODERN).float()
    with torch.no_grad():
        model.decoder.out.weight.mul_(1e4)
        model.decoder.pointer.gate.bias.fill_(-100)
    assert model(words(2, 4), words(2, 3)).isfinite().all()


def test_it_runs_in_bfloat16_or_says_why_not():
    """As every other translator does; or one ValueError that names the precision."""
    model = translator(MODERN).to(torch.bfloat16)
    try:
        logits = logits_of(model, padded_batch())
    except ValueError as error:
        assert "precision" in str(error)
    else:
        assert logits.isfinite().all()
