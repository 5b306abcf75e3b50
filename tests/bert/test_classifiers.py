"""The assignment's classifier and the general one: contract, pooling, weights that do not fit."""

import pickle
import subprocess
import sys

import pytest
import torch
from tiny_bert import tiny_encoder, tiny_roberta
from torch.nn import functional as F

from a3lib.bert.arithmetic import expressions, harder, table
from a3lib.bert.classifier import BertForSentenceClassification, from_encoder
from a3lib.bert.heads import POOLINGS, Encoded, Head, SentenceClassifier, encode, pool
from a3lib.pretrained.encoders import Encoder, load_checked

ENCODER = tiny_encoder()
TABLE = expressions().sample(12, random_state=0)
MIXED = table(
    [
        "one plus two",
        "seventy seven minus ninety nine",
        "one minus two plus three",
        "ten minus ten",
    ]
)


def published(encoder=ENCODER, seed=0):
    return from_encoder(BertForSentenceClassification, encoder, seed)


@pytest.mark.parametrize("make", [published, lambda: SentenceClassifier(ENCODER, 0)])
def test_the_contract_of_the_assignment(make):
    model, data = make().eval(), encode(ENCODER, TABLE)
    inputs, labels = data.batch(torch.arange(12))
    (logits,) = model(**inputs)
    again, loss = model(labels=labels, **inputs)
    assert logits.shape == (12, 3) and torch.equal(again, logits)
    assert torch.equal(loss, F.cross_entropy(logits, labels))
    by_hand = model.classifier(ENCODER.model(**inputs).pooler_output)
    assert torch.allclose(logits, by_hand, atol=1e-6)


def test_a_head_is_the_classifier_alone():
    head, vectors, labels = Head(16, seed=3), torch.randn(5, 16), torch.tensor([0, 1, 2, 1, 0])
    (logits,) = head(features=vectors)
    again, loss = head(labels=labels, features=vectors)
    assert torch.equal(logits, head.classifier(vectors)) and torch.equal(again, logits)
    assert torch.equal(loss, F.cross_entropy(logits, labels))
    assert torch.equal(head.classifier.weight, SentenceClassifier(ENCODER, 3).classifier.weight)


def test_both_classifiers_are_one_function_given_one_head():
    ours, general = published(), SentenceClassifier(ENCODER, 1)
    general.classifier.load_state_dict(ours.classifier.state_dict())
    inputs, _ = encode(ENCODER, MIXED).batch(torch.arange(4))
    assert torch.allclose(ours.eval()(**inputs)[0], general.eval()(**inputs)[0], atol=1e-6)


@pytest.mark.parametrize(
    "make", [published, lambda: SentenceClassifier(ENCODER, 0, "mean"), lambda: Head(16, 0)]
)
def test_a_classifier_can_be_pickled(make):
    model = make().eval()
    again = pickle.loads(pickle.dumps(model))
    assert type(again) is type(model) and not again.training
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_a_classifier_of_the_assignment_is_saved_and_loaded_by_transformers(tmp_path):
    model = published()
    model.save_pretrained(tmp_path)
    again = BertForSentenceClassification.from_pretrained(tmp_path)
    assert torch.equal(again.classifier.weight, model.classifier.weight)


def test_a_classifier_is_a_copy_and_its_head_depends_on_the_seed_alone():
    before = {name: value.clone() for name, value in ENCODER.model.state_dict().items()}
    one, same, other = (published(seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.classifier.weight, same.classifier.weight)
    assert not torch.equal(one.classifier.weight, other.classifier.weight)
    assert one.classifier.weight.std() < 0.04 and not one.classifier.bias.any()
    for name, value in before.items():
        assert torch.equal(one.state_dict()[name], value), name
    with torch.no_grad():
        for parameter in [*one.parameters(), *SentenceClassifier(ENCODER, 0).parameters()]:
            parameter.zero_()
    for name, value in ENCODER.model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_drawing_a_head_leaves_the_random_numbers_of_others_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    published(seed=7)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_changes_nothing(pooling):
    model, data = SentenceClassifier(ENCODER, 0, pooling).eval(), encode(ENCODER, MIXED)
    together = model(**data.batch(torch.arange(4))[0])[0]
    alone = torch.cat([model(**data.batch(torch.tensor([row]))[0])[0] for row in range(4)])
    assert torch.allclose(together, alone, atol=1e-6)
    first = data.batch(torch.tensor([0]))[0]["input_ids"]
    assert first.shape == (1, 5)  # [CLS] one plus two [SEP]
    assert data.batch(torch.arange(4))[0]["input_ids"].shape == (4, 7)


def test_mean_pooling_is_the_mean_of_the_real_tokens():
    states, mask = torch.randn(2, 3, 4), torch.tensor([[1, 1, 0], [1, 1, 1]])
    mean = pool(states, None, mask, "mean")
    assert torch.allclose(mean[0], states[0, :2].mean(0))
    assert torch.allclose(mean[1], states[1].mean(0))
    assert torch.equal(pool(states, None, mask, "cls"), states[:, 0])


def test_an_unknown_pooling_and_a_pooler_that_is_not_there_are_refused():
    states, mask = torch.randn(2, 3, 4), torch.ones(2, 3)
    with pytest.raises(ValueError, match="'cls', 'mean' or"):
        pool(states, states[:, 0], mask, "max")
    with pytest.raises(ValueError, match="with a pooler"):
        pool(states, None, mask, "pooler")


def test_encoded_rows_keep_their_labels():
    data = Encoded({"features": torch.arange(6.0)[:, None]}, [0, 1, 2, 0, 1, 2])
    inputs, labels = data.batch(torch.tensor([4, 2]))
    assert inputs["features"].flatten().tolist() == [4.0, 2.0] and labels.tolist() == [1, 2]


def test_the_trap_a_bert_class_on_a_roberta_checkpoint(tmp_path):
    """As the write-up's BERTweet: not one tensor is loaded. Here it is refused, in both ways."""
    from transformers import RobertaModel
    from transformers.utils import logging

    folder = tiny_roberta(tmp_path)
    right, missing = load_checked(RobertaModel, folder, new=("pooler.",))
    assert all(name.startswith("pooler.") for name in missing)
    logging.set_verbosity_error()  # the warning that the hand-out tells to ignore
    trapped, info = BertForSentenceClassification.from_pretrained(folder, output_loading_info=True)
    positions = {name for name in trapped.state_dict() if "position_ids" in name}
    assert set(info["missing_keys"]) == set(trapped.state_dict()) - positions
    shared = right.embeddings.word_embeddings.weight
    assert not torch.equal(trapped.embeddings.word_embeddings.weight, shared)
    with pytest.raises(ValueError, match="roberta"):
        load_checked(BertForSentenceClassification, folder)
    with pytest.raises(ValueError, match="is no RobertaModel"):  # equal names, other positions
        published(Encoder(right, ENCODER.tokenizer, "tweets", ""))


def test_a_class_that_only_holds_a_bert_model_is_refused():
    class Holder(torch.nn.Module):
        def __init__(self, config):
            super().__init__()
            self.bert = type(ENCODER.model)(config)
            self.classifier = torch.nn.Linear(config.hidden_size, 3)

    with pytest.raises(ValueError, match=r"Holder is no BertModel.*SentenceClassifier"):
        from_encoder(Holder, ENCODER, 0)


def test_an_encoder_of_another_kind_is_refused_by_the_class_and_taken_by_the_general_one():
    from transformers import DistilBertConfig, DistilBertModel

    sizes = {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32}
    model = DistilBertModel(DistilBertConfig(vocab_size=50, **sizes)).eval()
    other = Encoder(model, ENCODER.tokenizer, "other", "")
    with pytest.raises(ValueError, match="takes any encoder"):
        published(other)
    inputs, _ = encode(other, MIXED).batch(torch.arange(4))
    del inputs["token_type_ids"]  # its own tokenizer makes none
    for pooling in ("cls", "mean"):
        assert SentenceClassifier(other, 0, pooling)(**inputs)[0].shape == (4, 3)
    with pytest.raises(ValueError, match="with a pooler"):
        SentenceClassifier(other, 0)(**inputs)


def test_words_outside_the_numbers_can_be_classified():
    data = encode(ENCODER, harder("three terms", seed=0, size=30))
    model = SentenceClassifier(ENCODER, 0, "mean")
    assert model(**data.batch(torch.arange(30))[0])[0].shape == (30, 3)


def test_what_does_not_need_transformers_does_not_load_it():
    names = ("arithmetic", "heads", "fine_tuning", "probes")
    imports = "; ".join(f"import a3lib.bert.{name}" for name in names)
    heavy = "{'transformers', 'pandas', 'sklearn', 'matplotlib'} & set(sys.modules)"
    command = [sys.executable, "-c", f"import sys; {imports}; print({heavy})"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
