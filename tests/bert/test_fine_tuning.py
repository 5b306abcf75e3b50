"""Fine-tuning: the recipe's details, equality with a plain loop, freezing, divergence."""

import math

import pytest
import torch
from tiny_bert import tiny_encoder
from torch.utils._python_dispatch import TorchDispatchMode

from a3lib.bert.arithmetic import expressions, harder, split, table
from a3lib.bert.fine_tuning import (
    FineTuningSettings,
    evaluate,
    fine_tune,
    freeze,
    logits_of,
    only_used_rows,
)
from a3lib.bert.heads import Encoded, Head, SentenceClassifier, encode
from a3lib.common import Diverged
from a3lib.optimization import Updates, rate_share

ENCODER = tiny_encoder()
PARTS = split(expressions(), 0)
TRAIN, VALIDATION = (encode(ENCODER, part.head(80)) for part in PARTS[:2])
QUICK = FineTuningSettings(learning_rate=5e-3, epochs=4)


def classifier(seed=0):
    return SentenceClassifier(ENCODER, seed, "mean")


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_the_defaults_are_the_published_settings():
    settings = FineTuningSettings()
    assert (settings.learning_rate, settings.schedule, settings.warm_up) == (5e-5, "linear", 0.1)
    assert (settings.epochs, settings.batch_size) == (3, 32)
    assert (settings.weight_decay, settings.clip, settings.muon) == (0.01, 1.0, None)
    assert settings.epochs * math.ceil(512 / settings.batch_size) == 48


@pytest.mark.parametrize("updates", [1, 7, 48, 100])
def test_the_schedule_is_that_of_transformers(updates):
    from transformers import get_linear_schedule_with_warmup

    settings = FineTuningSettings(epochs=1)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = get_linear_schedule_with_warmup(optimizer, int(settings.warm_up * updates), updates)
    for update in range(updates):
        expected = optimizer.param_groups[0]["lr"]
        assert rate_share(settings, update, updates) == pytest.approx(expected, abs=1e-12)
        optimizer.step()
        schedule.step()


def test_biases_and_layer_norms_and_nothing_else_have_no_decay():
    model = classifier()
    with only_used_rows(model, TRAIN):
        matrices, vectors = Updates(model, QUICK, 1).optimizers[0].param_groups
        names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.01, 0.0)
    for group, plain in ((matrices, False), (vectors, True)):
        for parameter in group["params"]:
            name = names.pop(id(parameter))
            assert (name.endswith("bias") or "LayerNorm" in name) == plain, name
    assert not names


def test_decay_acts_on_matrices_only():
    model = classifier()
    settings = FineTuningSettings(learning_rate=0.1, weight_decay=0.5, warm_up=0.0)
    updates = Updates(model, settings, per_epoch=10)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    updates.step(0)
    for name, parameter in model.named_parameters():
        factor = 0.95 if parameter.ndim > 1 else 1.0
        assert torch.allclose(parameter, factor * before[name], atol=1e-6), name


@pytest.mark.parametrize("pooling", ["pooler", "mean"])
@pytest.mark.parametrize("padded", [False, True])
def test_it_equals_a_plain_loop_with_all_word_vectors(pooling, padded):
    """Leaving out the unused rows changes nothing but their decay, which is switched off here."""
    settings = FineTuningSettings(learning_rate=1e-3, epochs=2, weight_decay=0.0)
    encoder = tiny_encoder(dropout=0.0)
    texts = [*PARTS.train["input"].head(50), *harder("three terms", 0, 30)["input"]]
    train = encode(encoder, table(texts)) if padded else TRAIN
    ours, plain = (SentenceClassifier(encoder, 0, pooling) for _ in range(2))
    fine_tune(ours, train, VALIDATION, settings, seed=5)
    optimizer, update = torch.optim.AdamW(plain.parameters(), weight_decay=0.0), iter(range(6))
    plain.train()
    for epoch in range(2):
        torch.manual_seed(1_000_003 * 5 + epoch)
        for rows in torch.randperm(len(train)).split(32):
            inputs, labels = train.batch(rows)
            rate = settings.learning_rate * rate_share(settings, next(update), 3)
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
            plain(labels=labels, **inputs)[1].backward()
            torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
            optimizer.step()
    assert torch.allclose(weights(ours), weights(plain), atol=2e-5)
    start = weights(SentenceClassifier(encoder, 0, pooling))
    assert not torch.allclose(weights(ours), start, atol=1e-3)


def test_the_training_loss_is_the_mean_of_the_examples():
    """Also where the last batch is smaller; nothing learns here, so that the losses are known."""
    settings = FineTuningSettings(learning_rate=0.0, epochs=2)
    encoder = tiny_encoder(dropout=0.0)
    model = SentenceClassifier(encoder, 0)
    history = fine_tune(model, TRAIN, VALIDATION, settings, seed=0)
    assert len(TRAIN) % settings.batch_size
    assert history.train == pytest.approx([evaluate(model, TRAIN)["loss"]] * 2, rel=1e-5)


def test_unused_word_vectors_stay_as_they_were_and_used_ones_learn():
    model = classifier()
    embedding = model.trunk.embeddings.word_embeddings
    before = embedding.weight.detach().clone()
    fine_tune(model, TRAIN, VALIDATION, QUICK, seed=0)
    assert model.trunk.embeddings.word_embeddings is embedding
    changed = (before != embedding.weight).any(1).nonzero().flatten().tolist()
    used = set(TRAIN.inputs["input_ids"].flatten().tolist())
    assert set(changed) == used and len(used) < len(before)


def test_within_it_the_used_words_are_read_as_before_and_another_is_an_error():
    model = classifier().eval()
    inputs, _ = TRAIN.batch(torch.arange(20))
    expected = model(**inputs)[0]
    with only_used_rows(model, TRAIN):
        assert torch.equal(model(**inputs)[0], expected)
        assert len(model.trunk.get_input_embeddings().weight) < ENCODER.model.config.vocab_size
        with pytest.raises(IndexError):
            model(input_ids=torch.tensor([[2, 1, 3]]), attention_mask=torch.ones(1, 3))
    assert torch.equal(model(**inputs)[0], expected)


def test_same_seed_same_bits_other_seed_other_bits():
    found = []
    for seed in (3, 3, 4):
        model = classifier()
        torch.rand(seed)  # what was drawn before does not matter
        fine_tune(model, TRAIN, VALIDATION, QUICK, seed)
        found.append(weights(model))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_it_leaves_the_random_numbers_and_threads_of_others_alone():
    model, threads = classifier(), torch.get_num_threads()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fine_tune(model, TRAIN, VALIDATION, QUICK, seed=0)
    assert torch.equal(torch.rand(3), expected) and torch.get_num_threads() == threads


def test_a_tiny_network_learns_the_signs_and_the_history_tells_it():
    model, seen = classifier(), []
    settings = FineTuningSettings(learning_rate=1e-2, epochs=15)

    def see(history):
        seen.append((len(history), history.best))

    history = fine_tune(model, TRAIN, VALIDATION, settings, 0, see)
    assert seen == [(epoch + 1, epoch) for epoch in range(15)]
    assert history.updates == [3 * (epoch + 1) for epoch in range(15)] and history.epochs == 15
    assert history.train[-1] < 0.6 * history.train[0]
    assert history.seconds == sorted(history.seconds) and not history.interrupted
    last = {name: values[-1] for name, values in history.validation.items()}
    assert evaluate(model, VALIDATION) == last and set(last) == {"loss", "accuracy", "balanced"}
    assert not model.training and last["accuracy"] > 0.75


def test_an_interrupt_returns_what_was_reached_with_the_whole_embedding():
    def interrupt(history):
        raise KeyboardInterrupt

    model = classifier()
    history = fine_tune(model, TRAIN, VALIDATION, QUICK, 0, interrupt)
    assert len(history) == 1 and history.best == 0 and history.interrupted and not model.training
    shape = ENCODER.model.embeddings.word_embeddings.weight.shape
    assert model.trunk.embeddings.word_embeddings.weight.shape == shape


def test_a_frozen_trunk_stays_and_its_head_learns():
    model = classifier()
    freeze(model)
    learning = {name for name, value in model.named_parameters() if value.requires_grad}
    assert learning == {"classifier.weight", "classifier.bias"}
    before = model.classifier.weight.detach().clone()
    fine_tune(model, TRAIN, VALIDATION, QUICK, seed=0)
    for name, value in model.trunk.state_dict().items():
        assert torch.equal(value, ENCODER.model.state_dict()[name]), name
    assert not torch.equal(model.classifier.weight, before)
    still = {name for name, value in model.named_parameters() if value.requires_grad}
    assert still == learning


class Breaks(Head):
    """Its loss is NaN from a call on."""

    def __init__(self, first):
        super().__init__(16, seed=0)
        self.first, self.calls = first, 0

    def forward(self, labels=None, features=None):
        outputs = super().forward(labels, features)
        self.calls += labels is not None
        return (outputs[0], outputs[1] * math.nan) if self.calls >= self.first else outputs


VECTORS = Encoded({"features": torch.randn(80, 16, generator=torch.Generator())}, [0, 1, 2, 1] * 20)


@pytest.mark.parametrize("step, rate", [(1, "0"), (2, "0.0009"), (3, "0.0018"), (12, "0.0009")])
def test_a_loss_that_is_not_finite_is_told_with_its_step_and_rate(step, rate):
    """20 updates: the rate rises over two of them, then falls by 0.0001 per update."""
    settings = FineTuningSettings(learning_rate=1.8e-3, epochs=2, batch_size=8, warm_up=0.1)
    with pytest.raises(Diverged, match=f"at step {step} with learning rate {rate}:"):
        fine_tune(Breaks(step), VECTORS, VECTORS, settings, seed=0)


def test_divergence_at_the_first_step_is_told_and_the_embedding_is_put_back():
    model = classifier()
    embedding = model.trunk.embeddings.word_embeddings
    with torch.no_grad():
        model.classifier.bias[0] = math.inf
    with pytest.raises(Diverged, match="at step 1 with learning rate 0: lower the learning rate"):
        fine_tune(model, TRAIN, VALIDATION, FineTuningSettings(epochs=4), seed=0)
    assert model.trunk.embeddings.word_embeddings is embedding


def test_a_validation_loss_that_is_not_finite_is_told():
    broken = Encoded({"features": torch.full((4, 16), math.inf)}, [0, 1, 2, 1])
    with pytest.raises(Diverged, match="the validation loss became nan at step 3"):
        fine_tune(Head(16, 0), VECTORS, broken, QUICK, seed=0)


class Waits(TorchDispatchMode):
    """Counts how often a number is read from a tensor: a GPU would be waited for."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


def test_an_update_waits_for_no_number():
    counts = []
    for batch_size in (4, 40):
        settings = FineTuningSettings(epochs=2, batch_size=batch_size)
        with Waits() as waits:
            fine_tune(Head(16, 0), VECTORS, VECTORS, settings, seed=0)
        counts.append(waits.count)
    assert counts[0] == counts[1]


def test_logits_come_in_order_and_in_evaluation_mode():
    model = classifier().train()
    logits = logits_of(model, TRAIN)
    assert logits.shape == (80, 3) and not model.training and not logits.requires_grad
    alone = model(**TRAIN.batch(torch.tensor([7]))[0])[0]
    assert torch.allclose(logits[7], alone[0], atol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_learns_on_a_gpu_in_mixed_precision():
    model = classifier().to("cuda")
    history = fine_tune(model, TRAIN, VALIDATION, QUICK, seed=0)
    assert history.train[-1] < history.train[0] and history.device.startswith("cuda")
