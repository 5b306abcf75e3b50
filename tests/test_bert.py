"""The classifiers of Part 3: the assignment's contract, pooling, and the trap of weights that are never loaded."""

import pytest
import torch
from tiny_bert import tiny_encoder, tiny_roberta
from torch.nn import functional as F

from a3lib import bert
from a3lib.arithmetic import expressions, harder, table
from a3lib.bert import BertForSentenceClassification, Encoded, SentenceClassifier, encode, from_encoder, pool
from a3lib.encoders import load_checked

ENCODER = tiny_encoder()
TABLE = expressions().sample(12, random_state=0)
MIXED = table(["one plus two", "seventy seven minus ninety nine", "one minus two plus three", "ten minus ten"])


@pytest.mark.parametrize(
    "make", [lambda: from_encoder(BertForSentenceClassification, ENCODER, 0), lambda: SentenceClassifier(ENCODER, 0)]
)
def test_the_contract_of_the_assignment(make):
    model, data = make().eval(), encode(ENCODER, TABLE)
    inputs, labels = data.batch(torch.arange(12))
    (logits,) = model(**inputs)
    again, loss = model(labels=labels, **inputs)
    assert logits.shape == (12, 3) and torch.equal(again, logits)
    assert torch.equal(loss, F.cross_entropy(logits, labels))
    by_hand = model.classifier(ENCODER.model(**inputs).pooler_output)
    assert torch.allclose(logits, by_hand, atol=1e-6)


def test_both_classifiers_are_one_function_given_one_head():
    published, general = from_encoder(BertForSentenceClassification, ENCODER, 0), SentenceClassifier(ENCODER, 1)
    general.classifier.load_state_dict(published.classifier.state_dict())
    inputs, _ = encode(ENCODER, MIXED).batch(torch.arange(4))
    assert torch.allclose(published.eval()(**inputs)[0], general.eval()(**inputs)[0], atol=1e-6)


def test_the_class_is_a_bert_model_and_made_once():
    from transformers import BertModel

    assert issubclass(BertForSentenceClassification, BertModel)
    assert bert.BertForSentenceClassification is BertForSentenceClassification
    with pytest.raises(AttributeError, match="no attribute 'Bert'"):
        bert.Bert  # noqa: B018


def test_a_classifier_is_a_copy_and_its_head_depends_on_the_seed_alone():
    before = {name: value.clone() for name, value in ENCODER.model.state_dict().items()}
    one, same, other = (from_encoder(BertForSentenceClassification, ENCODER, seed) for seed in (1, 1, 2))
    assert torch.equal(one.classifier.weight, same.classifier.weight)
    assert not torch.equal(one.classifier.weight, other.classifier.weight)
    assert one.classifier.weight.std() < 0.04 and not one.classifier.bias.any()
    with torch.no_grad():
        for parameter in [*one.parameters(), *SentenceClassifier(ENCODER, 0).parameters()]:
            parameter.zero_()
    assert all(torch.equal(value, before[name]) for name, value in ENCODER.model.state_dict().items())


@pytest.mark.parametrize("pooling", bert.POOLINGS)
def test_padding_changes_nothing(pooling):
    model, data = SentenceClassifier(ENCODER, 0, pooling).eval(), encode(ENCODER, MIXED)
    together = model(**data.batch(torch.arange(4))[0])[0]
    alone = torch.cat([model(**data.batch(torch.tensor([row]))[0])[0] for row in range(4)])
    assert torch.allclose(together, alone, atol=1e-6)
    assert data.batch(torch.tensor([0]))[0]["input_ids"].shape == (1, 5)  # [CLS] one plus two [SEP]
    assert data.batch(torch.arange(4))[0]["input_ids"].shape == (4, 7)


def test_mean_pooling_is_the_mean_of_the_real_tokens():
    states, mask = torch.randn(2, 3, 4), torch.tensor([[1, 1, 0], [1, 1, 1]])
    mean = pool(states, None, mask, "mean")
    assert torch.allclose(mean[0], states[0, :2].mean(0)) and torch.allclose(mean[1], states[1].mean(0))
    assert torch.equal(pool(states, None, mask, "cls"), states[:, 0])
    with pytest.raises(ValueError, match="pooler, cls, mean"):
        pool(states, None, mask, "max")


def test_encoded_rows_keep_their_labels():
    data = Encoded({"features": torch.arange(6.0)[:, None]}, [0, 1, 2, 0, 1, 2])
    inputs, labels = data.batch(torch.tensor([4, 2]))
    assert inputs["features"].flatten().tolist() == [4.0, 2.0] and labels.tolist() == [1, 2]


def test_the_trap_a_bert_class_on_a_roberta_checkpoint(tmp_path):
    """As the write-up's BERTweet: not one tensor is loaded. Here it is refused; the right way loads all."""
    from transformers import RobertaModel
    from transformers.utils import logging

    folder = tiny_roberta(tmp_path)
    right, missing = load_checked(RobertaModel, folder, new=("pooler.",))
    assert all(name.startswith("pooler.") for name in missing)
    logging.set_verbosity_error()  # the warning that the hand-out tells to ignore
    trapped, info = BertForSentenceClassification.from_pretrained(folder, output_loading_info=True)
    assert set(info["missing_keys"]) == set(trapped.state_dict()) - {
        name for name in trapped.state_dict() if "position_ids" in name
    }
    shared = right.embeddings.word_embeddings.weight
    assert not torch.equal(trapped.embeddings.word_embeddings.weight, shared)
    with pytest.raises(ValueError, match="roberta"):
        load_checked(BertForSentenceClassification, folder)


def test_an_encoder_of_another_kind_is_refused_by_the_class_and_taken_by_the_general_one():
    from transformers import DistilBertConfig, DistilBertModel

    from a3lib.encoders import Encoder

    model = DistilBertModel(DistilBertConfig(vocab_size=50, dim=16, n_layers=1, n_heads=2, hidden_dim=32))
    other = Encoder(model, ENCODER.tokenizer, "other", "")
    with pytest.raises((ValueError, AttributeError)):
        from_encoder(BertForSentenceClassification, other, 0)


def test_words_outside_the_numbers_can_be_classified():
    data = encode(ENCODER, harder("three terms", seed=0, size=30))
    assert SentenceClassifier(ENCODER, 0, "mean")(**data.batch(torch.arange(30))[0])[0].shape == (30, 3)
