"""The shape of every translator: encode and decode, memories, and the maps of what attends."""

import pytest
import torch
from handout_classes import HandoutAdditive, HandoutCausal, HandoutScaledDot
from tiny_translators import EXACT, MODELS, built, difference, logits_of, padded_batch, stepwise
from torch import nn

from a3lib.translation.batches import EOS, SOS
from a3lib.translation.models import ModelSettings, build
from a3lib.translation.modern import ModernSettings
from a3lib.translation.translator import Memory, Translator

ATTENDING = {name: one for name, one in MODELS.items() if name != "gru"}
every_model = pytest.mark.parametrize("name", MODELS)


@every_model
def test_teacher_forcing_is_encoding_and_decoding(name):
    model, batch = built(name), padded_batch()
    memory = model.encoder(batch.source, batch.source_mask)
    assert torch.equal(memory.source, batch.source)
    assert torch.equal(memory.mask, batch.source_mask)
    assert torch.equal(model.decoder(batch.prefix, memory), logits_of(model, batch))


@every_model
def test_rows_of_a_memory_are_the_memory_of_those_words(name):
    model, batch = built(name), padded_batch()
    memory = model.encoder(batch.source, batch.source_mask)
    chosen = torch.tensor([2, 0])
    expected = model.encoder(batch.source[chosen], batch.source_mask[chosen])
    for found, part in zip(memory.rows(chosen), expected, strict=True):
        assert (found is None) == (part is None)
        assert part is None or difference([found.double()], [part.double()]) < EXACT


def test_parts_that_are_missing_stay_missing():
    states = torch.randn(3, 2, 4)
    memory = Memory(states, None, None, torch.zeros(3, 2, dtype=torch.long)).rows(torch.tensor([1]))
    assert memory.last is None and memory.mask is None
    assert torch.equal(memory.states, states[1:2])


# maps


def some_words():
    source = torch.tensor([[1, 2, 3, EOS], [4, EOS, 0, 0]])
    prefix = torch.tensor([[SOS, 5, 6, 7, 8], [SOS, 9, 10, EOS, EOS]])
    return source, prefix, torch.tensor([[True] * 4, [True, True, False, False]])


@pytest.mark.parametrize("name", ATTENDING)
def test_maps_are_distributions_in_every_layer_and_head(name):
    maps = built(name).attention_maps(*some_words())
    layers, heads = MODELS[name].layers, MODELS[name].modern.heads if name == "modern" else 1
    own = [] if "rnn" in MODELS[name].kind else [(2, heads, 4, 4)] * layers
    assert [one.shape for one in maps.encoder] == own
    assert [one.shape for one in maps.decoder] == ([(2, heads, 5, 5)] * layers if own else [])
    assert [one.shape for one in maps.cross] == [(2, heads, 4, 5)] * layers
    for weights in (*maps.encoder, *maps.decoder, *maps.cross):
        torch.testing.assert_close(weights.sum(2), torch.ones_like(weights.sum(2)))
    for weights in (*maps.encoder, *maps.cross):
        assert (weights[1, :, 2:] == 0).all()  # padded source symbols
    for weights in maps.decoder:
        assert (weights.tril(-1) == 0).all()  # later symbols


def test_a_decoder_without_the_causal_mask_looks_ahead():
    switches = ModelSettings("transformer", 6).transformer
    chosen = ModelSettings("transformer", 6, transformer=type(switches)(causal=False))
    (own,) = build(chosen, 0).attention_maps(*some_words()).decoder
    assert (own[0, 0].tril(-1)[1:, 0] > 0).all()


@pytest.mark.parametrize("name", ATTENDING)
def test_maps_are_those_that_make_the_logits(name):
    """What a hook does to the weights is in the map, and maps leave no hook behind."""
    model, words = built(name), some_words()
    before = model.attention_maps(*words).cross[0]
    parts = dict(model.named_modules())
    part = next(parts[one] for one in parts if one.endswith("cross") or one == "decoder.attention")
    handle = part.register_forward_hook(lambda _, given, out: (out[0], out[1] / 2))
    assert difference([model.attention_maps(*words).cross[0]], [before / 2]) < EXACT
    handle.remove()
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(model.attention_maps(*words).cross[0], before)


@pytest.mark.parametrize("name", ATTENDING)
def test_maps_leave_mode_and_gradients_alone(name):
    model = built(name).train()
    maps = model.attention_maps(*some_words())
    assert model.training
    assert not any(one.requires_grad for one in maps.cross)


def test_an_error_leaves_no_hook_behind():
    model = built("additive")
    source, prefix, _ = some_words()
    with pytest.raises(IndexError):
        model.attention_maps(source + 100, prefix)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_translator_without_attention_has_no_maps():
    model = built("gru")
    with pytest.raises(ValueError, match="RNNDecoder does not attend"):
        model.attention_maps(*some_words())


def test_classes_of_the_hand_out_show_their_maps():
    source, prefix, _ = some_words()
    for kind in (HandoutAdditive, HandoutScaledDot):
        model = build(ModelSettings("rnn-attention", 6), 0, attention=kind)
        maps = model.attention_maps(source, prefix)
        assert maps.encoder == maps.decoder == () and maps.cross[0].shape == (2, 1, 4, 5)
    chosen = ModelSettings("transformer", 6, layers=2)
    model = build(chosen, 0, attention=HandoutScaledDot, causal_attention=HandoutCausal)
    maps = model.attention_maps(source, prefix)
    assert [len(kind) for kind in maps] == [2, 2, 2]
    assert (maps.decoder[1].tril(-1) == 0).all()


def test_only_classes_of_the_hand_out_take_no_masks():
    for chosen in MODELS.values():
        assert build(chosen, 0).takes_masks
    chosen = ModelSettings("rnn-attention", 6)
    assert not build(chosen, 0, attention=HandoutAdditive).takes_masks
    chosen = ModelSettings("transformer", 6)
    assert not build(chosen, 0, attention=HandoutScaledDot).takes_masks
    assert not build(chosen, 0, causal_attention=HandoutCausal).takes_masks


# a changed translator


class Reversed(nn.Module):
    """An encoder of one's own: it reads every word backwards."""

    def __init__(self, encoder):
        super().__init__()
        self.inner = encoder

    def forward(self, source, mask=None):
        return self.inner(source.flip(1), None if mask is None else mask.flip(1))


class Halved(nn.Module):
    """A decoder of one's own: half the logits."""

    def __init__(self, decoder):
        super().__init__()
        self.inner = decoder

    def forward(self, prefix, memory):
        return self.inner(prefix, memory) / 2


@every_model
def test_an_encoder_and_a_decoder_of_ones_own_train_and_decode(name):
    plain = built(name)
    model, batch = Translator(Reversed(plain.encoder), Halved(plain.decoder)), padded_batch()
    assert difference([stepwise(model, batch)], [stepwise(plain, batch)]) > 1e-6
    assert difference([logits_of(model, batch)], [stepwise(model, batch)]) < EXACT


def test_modern_settings_do_not_reach_the_published_models():
    chosen = ModelSettings("transformer", 6, modern=ModernSettings(heads=3))
    assert (
        difference(
            build(chosen, 0).parameters(), build(ModelSettings("transformer", 6), 0).parameters()
        )
        == 0
    )
