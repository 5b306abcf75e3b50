"""The assignment's transformer: against PyTorch's attention, padding, order, causality."""

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

from a3lib.translation.attention import CausalScaledDotAttention, ScaledDotAttention
from a3lib.translation.batches import EOS, SOS, V
from a3lib.translation.models import ModelSettings, build
from a3lib.translation.positional_encoding import POSITIONS
from a3lib.translation.transformer import (
    BLOCK,
    PUBLISHED,
    TransformerDecoder,
    TransformerEncoder,
    TransformerSettings,
)
from a3lib.translation.translator import Translator

H = 8
VARIANTS = {
    **{name: TransformerSettings(positions=name) for name in POSITIONS},
    "not causal": TransformerSettings(causal=False),
    "block, not causal": replace(BLOCK, causal=False),
}
every_variant = pytest.mark.parametrize("switches", VARIANTS.values(), ids=VARIANTS)
few = settings(max_examples=10, deadline=None, database=None, derandomize=True)


def translator(switches, layers=2, seed=0):
    chosen = ModelSettings("transformer", H, layers=layers, transformer=switches)
    return build(chosen, seed).double().eval()


def words(B, S, seed=0):
    return torch.randint(0, 27, (B, S), generator=torch.Generator().manual_seed(seed))


def test_parameters_are_those_of_the_table():
    table = {(32, 1, BLOCK): 14_429, (32, 4, PUBLISHED): 49_277}
    table |= {(32, 3, PUBLISHED): 37_661, (64, 3, PUBLISHED): 142_877}
    for (size, layers, switches), parameters in table.items():
        model = build(ModelSettings("transformer", size, layers=layers, transformer=switches), 0)
        assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@few
@given(layers=st.integers(1, 3), S=st.integers(1, 6), T=st.integers(1, 6), seed=st.integers(0, 99))
def test_published_equals_a_plain_transformer(layers, S, T, seed):
    """The whole model, written down once more with PyTorch's own attention."""
    model, source, prefix = (
        translator(PUBLISHED, layers, seed),
        words(2, S, seed),
        words(2, T, seed),
    )

    def attend(a, x, y, causal=False):
        projected = (a.Q(x), a.K(y), a.V(y))
        return x + torch.nn.functional.scaled_dot_product_attention(*projected, is_causal=causal)

    def embed(part, symbols):
        return part.embedding(symbols) + part.positions.encodings[: symbols.shape[1]]

    y = embed(model.encoder, source)
    for block in model.encoder.blocks:
        y = attend(block.attention, y, y)
        y = y + torch.relu(block.mlp[0](y))
    x = embed(model.decoder, prefix)
    for block in model.decoder.blocks:
        x = attend(block.cross, attend(block.attention, x, x, causal=True), y)
        x = x + torch.relu(block.mlp[0](x))
    assert difference([model(source, prefix)], [model.decoder.out(x)]) < EXACT


@every_variant
@few
@given(seed=st.integers(0, 99))
def test_decoding_step_by_step_equals_the_whole_prefix(switches, seed):
    """Without the causal mask it cannot: teacher forcing shows what decoding has yet to find."""
    model, batch = translator(switches, seed=seed), padded_batch()
    agree = difference([stepwise(model, batch)], [logits_of(model, batch)]) < EXACT
    assert agree == switches.causal


@every_variant
def test_padding_changes_no_loss(switches):
    padding_changes_nothing(translator(switches))


@every_variant
def test_words_translate_alike_alone_and_together(switches):
    company_changes_nothing(translator(switches))


@every_variant
def test_later_symbols_reach_earlier_logits_only_without_the_mask(switches):
    model, source, prefix = translator(switches), words(1, 4), words(1, 5)
    changed = prefix.clone()
    changed[0, 3] = (changed[0, 3] + 1) % 27
    memory = model.encoder(source)
    before, after = model.decoder(prefix, memory), model.decoder(changed, memory)
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


def test_a_word_without_any_symbol_has_no_context():
    model, source, prefix = translator(PUBLISHED), words(2, 4), words(2, 5)
    mask = torch.tensor([[False] * 4, [True] * 4])
    logits = model(source, prefix, mask)
    assert logits.isfinite().all()
    assert difference([logits[1:]], [model(source[1:], prefix[1:])]) < EXACT
    other = model((source + 1) % 27, prefix, mask)
    assert torch.equal(other[0], logits[0])


def test_own_classes_are_asked_where_the_library_asks_its_own():
    """Encoder and cross attention ask one class, the decoder's self-attention the causal one."""
    asked = []

    class Own(ScaledDotAttention):
        def forward(self, queries, keys, values, mask=None):
            asked.append("own")
            return super().forward(queries, keys, values.flip(1), mask)

    class OwnCausal(CausalScaledDotAttention):
        def forward(self, queries, keys, values, mask=None):
            asked.append("causal")
            return super().forward(queries, keys, 2 * values, mask)

    chosen = ModelSettings("transformer", H)
    own = build(chosen, 0, attention=Own, causal_attention=OwnCausal).double()
    published = build(chosen, 0).double()
    source, prefix = words(2, 4), words(2, 3)
    logits = own(source, prefix)
    assert asked == ["own", "causal", "own"]
    assert not torch.allclose(logits, published(source, prefix))
    memory = own.encoder(source)
    assert difference([own.decoder(prefix[:, :2], memory)], [logits[:, :2]]) < EXACT


def test_without_the_mask_the_decoder_asks_the_class_that_is_not_causal():
    class Own(ScaledDotAttention):
        pass

    switches = replace(PUBLISHED, causal=False)
    decoder = TransformerDecoder(V, H, 1, switches, Own)
    assert type(decoder.blocks[0].attention) is type(decoder.blocks[0].cross) is Own


@pytest.mark.parametrize("positions", ["polar", "", None])
def test_unknown_positions_are_refused(positions):
    with pytest.raises(ValueError, match="none, sinusoid, learned, one-hot"):
        TransformerSettings(positions=positions)


def test_a_word_beyond_the_last_place_is_refused():
    model = Translator(TransformerEncoder(V, H, 1), TransformerDecoder(V, H, 1))
    with pytest.raises(ValueError, match="split the text into words"):
        model(words(1, 1001), words(1, 2))
