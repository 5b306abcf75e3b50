"""Fine-tuning: the recipe's details, equality with a plain loop, resuming, freezing."""

import math

import pytest
import torch
from tiny_bert import tiny_encoder

from a3lib import tuning
from a3lib.arithmetic import expressions, split
from a3lib.bert import SentenceClassifier, encode
from a3lib.checkpoints import Checkpoint
from a3lib.training import Diverged
from a3lib.tuning import TuningSettings, fine_tune, learning_rate, make_optimizer, only_used_rows

ENCODER = tiny_encoder()
PARTS = split(expressions(), 0)
TRAIN, VALIDATION = (encode(ENCODER, part.head(80)) for part in PARTS[:2])
QUICK = TuningSettings(learning_rate=5e-3, epochs=4)


def classifier(seed=0):
    return SentenceClassifier(ENCODER, seed, "mean")


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_the_defaults_are_the_published_settings():
    settings = TuningSettings()
    assert (settings.learning_rate, settings.epochs, settings.batch_size, settings.clip) == (5e-5, 3, 32, 1.0)
    assert settings.epochs * math.ceil(512 / settings.batch_size) == 48


@pytest.mark.parametrize("updates", [1, 7, 48, 100])
def test_the_schedule_is_that_of_transformers(updates):
    from transformers import get_linear_schedule_with_warmup

    settings = TuningSettings()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=settings.learning_rate)
    schedule = get_linear_schedule_with_warmup(optimizer, int(settings.warm_up * updates), updates)
    for update in range(updates):
        assert learning_rate(settings, update, updates) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        schedule.step()


def test_biases_and_layer_norms_and_nothing_else_have_no_decay():
    model = classifier()
    groups = make_optimizer(model, QUICK).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    plain = [names[id(p)] for p in groups[1]["params"]]
    assert [group["weight_decay"] for group in groups] == [0.01, 0.0]
    assert all(name.endswith("bias") or "LayerNorm" in name for name in plain)
    assert not any(names[id(p)].endswith("bias") or "LayerNorm" in names[id(p)] for p in groups[0]["params"])
    assert sum(len(group["params"]) for group in groups) == len(names)


def test_decay_acts_on_matrices_only():
    model = classifier()
    settings = TuningSettings(learning_rate=0.1, weight_decay=0.5)
    optimizer = make_optimizer(model, settings)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        factor = 0.95 if parameter.ndim > 1 else 1.0
        assert torch.allclose(parameter, factor * before[name], atol=1e-6), name


def test_it_equals_a_plain_loop_with_all_word_vectors():
    """Leaving out the unused rows changes nothing but their decay, which is switched off here."""
    settings = TuningSettings(learning_rate=1e-3, epochs=2, weight_decay=0.0)
    encoder = tiny_encoder(dropout=0.0)
    ours, plain = SentenceClassifier(encoder, 0), SentenceClassifier(encoder, 0)
    fine_tune(ours, TRAIN, VALIDATION, settings, seed=5)
    optimizer, update = torch.optim.AdamW(plain.parameters(), weight_decay=0.0), iter(range(6))
    plain.train()
    for epoch in range(2):
        torch.manual_seed(1_000_003 * 5 + epoch)
        for rows in torch.randperm(len(TRAIN)).split(32):
            inputs, labels = TRAIN.batch(rows)
            optimizer.param_groups[0]["lr"] = learning_rate(settings, next(update), 6)
            optimizer.zero_grad()
            plain(labels=labels, **inputs)[1].backward()
            torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
            optimizer.step()
    assert torch.allclose(weights(ours), weights(plain), atol=2e-5)
    assert not torch.allclose(weights(ours), weights(SentenceClassifier(encoder, 0)), atol=1e-3)


def test_unused_word_vectors_stay_as_they_were_and_used_ones_learn():
    model = classifier()
    before = model.trunk.embeddings.word_embeddings.weight.detach().clone()
    fine_tune(model, TRAIN, VALIDATION, QUICK, seed=0)
    after = model.trunk.embeddings.word_embeddings.weight
    changed = (before != after).any(1).nonzero().flatten().tolist()
    used = set(TRAIN.inputs["input_ids"].flatten().tolist())
    assert set(changed) == used and len(used) < len(before)


def test_a_word_that_was_left_out_is_an_error_not_another_word():
    model = classifier()
    with only_used_rows(model, TRAIN), pytest.raises(IndexError):
        model(input_ids=torch.tensor([[2, 1, 3]]), attention_mask=torch.ones(1, 3))


def test_same_seed_same_bits_other_seed_other_bits():
    found = []
    for seed in (3, 3, 4):
        model = classifier()
        fine_tune(model, TRAIN, VALIDATION, QUICK, seed)
        found.append(weights(model))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_a_tiny_network_learns_the_signs_and_the_history_tells_it():
    model, seen = classifier(), []
    settings = TuningSettings(learning_rate=1e-2, epochs=15)
    history = fine_tune(model, TRAIN, VALIDATION, settings, seed=0, on_epoch=lambda history: seen.append(len(history)))
    assert seen == list(range(1, 16)) and history.updates == [3 * number for number in seen]
    assert history.train[-1] < 0.6 * history.train[0]
    assert tuning.evaluate(model, VALIDATION) == {
        name: getattr(history, name)[-1] for name in ("loss", "accuracy", "balanced")
    }
    assert not model.training and history.accuracy[-1] > 0.75


class Killed(Exception):
    pass


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path):
    whole = classifier()
    expected = fine_tune(whole, TRAIN, VALIDATION, QUICK, seed=2)

    def kill(history):
        if len(history) == 2:
            raise Killed

    with pytest.raises(Killed):
        fine_tune(classifier(), TRAIN, VALIDATION, QUICK, 2, kill, Checkpoint(tmp_path))
    resumed = classifier(seed=9)  # its own start does not matter
    history = fine_tune(resumed, TRAIN, VALIDATION, QUICK, 2, checkpoint=Checkpoint(tmp_path))
    assert torch.equal(weights(resumed), weights(whole))
    assert (history.train, history.loss, history.updates) == (expected.train, expected.loss, expected.updates)


def test_an_interrupt_returns_what_was_reached_with_the_whole_embedding():
    def interrupt(history):
        raise KeyboardInterrupt

    model = classifier()
    history = fine_tune(model, TRAIN, VALIDATION, QUICK, 0, interrupt)
    assert len(history) == 1 and not model.training
    assert model.trunk.embeddings.word_embeddings.weight.shape == ENCODER.model.embeddings.word_embeddings.weight.shape


def test_a_frozen_trunk_stays_and_its_head_learns():
    model = classifier()
    model.trunk.requires_grad_(False)
    before = model.classifier.weight.detach().clone()
    fine_tune(model, TRAIN, VALIDATION, QUICK, seed=0)
    for name, value in model.trunk.state_dict().items():
        assert torch.equal(value, ENCODER.model.state_dict()[name]), name
    assert not torch.equal(model.classifier.weight, before)


def test_a_loss_that_is_not_finite_is_told():
    model = classifier()
    with torch.no_grad():
        model.classifier.bias[0] = math.inf
    with pytest.raises(Diverged, match="epoch 1"):
        fine_tune(model, TRAIN, VALIDATION, QUICK, seed=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_learns_on_a_gpu_in_mixed_precision():
    model = classifier().to("cuda")
    history = fine_tune(model, TRAIN, VALIDATION, QUICK, seed=0)
    assert history.train[-1] < history.train[0] and history.device.startswith("cuda")
