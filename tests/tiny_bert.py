"""A BERT of some thousand weights with a vocabulary of number words: everything but its size is like the real one."""

import json

import torch

from a3lib.bert.arithmetic import SIGNS, TENS, UNITS
from a3lib.pretrained.encoders import Encoder

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *UNITS,
    *TENS,
    *SIGNS,
    "the",
    "of",
    "is",
    "a",
    ".",
]
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


def tiny_encoder(seed=0, dropout=0.1):
    """An untrained `Encoder`."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    tokenizer = BertTokenizerFast(
        vocab={word: number for number, word in enumerate(WORDS)}, model_max_length=32
    )
    config = BertConfig(
        vocab_size=len(WORDS),
        max_position_embeddings=32,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        **SIZES,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Encoder(BertModel(config).eval(), tokenizer, "tiny", "a tiny untrained BERT")


def tiny_roberta(folder):
    """A checkpoint of a tiny RoBERTa in a folder, keys `roberta.*` as in BERTweet's; returns the folder."""
    from transformers import RobertaConfig, RobertaForMaskedLM

    torch.manual_seed(0)
    RobertaForMaskedLM(
        RobertaConfig(vocab_size=len(WORDS), max_position_embeddings=34, **SIZES)
    ).save_pretrained(folder)
    return folder


def tiny_bertweet(folder):
    """Fill a folder as BERTweet's repository: its tokenizer's files, pickled `roberta.*` tensors."""
    from transformers import RobertaConfig, RobertaForMaskedLM

    pieces = [
        f"{letter}{end}" for letter in "0123456789abcdefghijklmnopqrstuvwxyz" for end in ("@@", "")
    ]
    (folder / "vocab.txt").write_text("".join(f"{piece} 1\n" for piece in pieces), encoding="utf8")
    (folder / "bpe.codes").write_text("a b</w> 1\n", encoding="utf8")
    torch.manual_seed(0)
    sizes = {"max_position_embeddings": 130, "type_vocab_size": 1, **SIZES}
    model = RobertaForMaskedLM(RobertaConfig(vocab_size=len(pieces) + 5, **sizes))
    config = {**model.config.to_dict(), "architectures": ["RobertaForMaskedLM"]}
    config["tokenizer_class"] = "BertweetTokenizer"
    (folder / "config.json").write_text(json.dumps(config), encoding="utf8")
    positions = torch.arange(130)[None]  # which old versions of the library stored, too
    tensors = {**model.state_dict(), "roberta.embeddings.position_ids": positions}
    torch.save(tensors, folder / "pytorch_model.bin")
    return folder
