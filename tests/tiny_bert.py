"""A BERT of some thousand weights with a vocabulary of number words: everything but its size is like the real one."""

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
