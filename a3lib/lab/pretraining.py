"""Continued pretraining of an encoder: masked language modelling (Devlin et al. 2019, 3.1)."""

import copy
import lzma
from dataclasses import dataclass, replace
from importlib import resources

import torch
from torch import nn

from a3lib.bert.fine_tuning import FineTuningSettings, train_on
from a3lib.common import one_thread
from a3lib.optimization import Updates

CORPORA = ("mathematics", "austen")


@dataclass(frozen=True)
class PretrainingSettings:
    """How long and on what."""

    corpus: str
    steps: int = 100  # 25,600 tokens: a first dose, a quarter of either corpus
    batch_size: int = 8  # pieces
    length: int = 32  # tokens of a piece
    masked: float = 0.15  # share of the tokens to be guessed, as published
    learning_rate: float = 1e-4  # as in BERT's own pretraining


class MaskedLanguageModel(nn.Module):
    """A copy of an encoder's network under a head whose matrix is the word embedding."""

    def __init__(self, encoder):
        super().__init__()
        self.trunk = copy.deepcopy(encoder.model)
        embedding = self.trunk.get_input_embeddings().weight
        V, H = embedding.shape
        self.decoder = nn.Linear(H, V, device="meta")  # without numbers: the next line has them
        self.decoder.weight, self.decoder.bias = embedding, nn.Parameter(torch.zeros(V))
        self.transform = nn.Sequential(nn.Linear(H, H), nn.GELU(), nn.LayerNorm(H))

    def forward(self, labels, **inputs):
        """(logits (G, V), mean cross entropy in nats) at the G labels (B, S) that are not -100."""
        guessed = (labels != -100).nonzero(as_tuple=True)
        states = self.trunk(**inputs).last_hidden_state  # (B, S, H)
        logits = self.decoder(self.transform(states[guessed]))
        return logits, nn.functional.cross_entropy(logits, labels[guessed])


def corpus(name):
    """The text of one of the CORPORA. Raises ValueError for another name."""
    if name not in CORPORA:
        raise ValueError(f"the corpus is one of {', '.join(CORPORA)}, not {name!r}")
    file = resources.files("a3lib").joinpath(f"data/corpora/{name}.txt.xz")
    return lzma.decompress(file.read_bytes()).decode()


def pieces(tokenizer, text, length):
    """Token ids (N, length): the text cut into equal pieces, each between [CLS] and [SEP]."""
    options = {"truncation": True, "max_length": length, "return_overflowing_tokens": True}
    rows = tokenizer(text, **options)["input_ids"]
    return torch.tensor([row for row in rows if len(row) == length])


def mask(ids, tokenizer, share, generator):
    """(changed ids, labels), both (B, S): a share is guessed, all other labels are -100."""
    guessed = torch.rand(ids.shape, generator=generator) < share
    guessed[:, 0] = guessed[:, -1] = False  # [CLS] and [SEP]
    guessed[0, 1] = True  # a batch has a loss
    fate = torch.rand(ids.shape, generator=generator)  # 80 % [MASK], 10 % left, 10 % random
    other = torch.randint(len(tokenizer), ids.shape, generator=generator)
    changed = torch.where(guessed & (fate < 0.8), tokenizer.mask_token_id, ids)
    return torch.where(guessed & (fate >= 0.9), other, changed), ids.masked_fill(~guessed, -100)


def pretrain(encoder, settings, seed):
    """(a new `Encoder` that was trained on, the loss of every step in nats). Raises Diverged."""
    generator, device = torch.Generator().manual_seed(seed), encoder.model.device
    rows = pieces(encoder.tokenizer, corpus(settings.corpus), settings.length)
    rows = rows[torch.randperm(len(rows), generator=generator)]

    def batches():
        for places in torch.arange(settings.steps * settings.batch_size).split(settings.batch_size):
            batch = rows[places % len(rows)]
            ids, labels = mask(batch, encoder.tokenizer, settings.masked, generator)
            yield {"input_ids": ids.to(device)}, labels.to(device)

    with one_thread(), torch.random.fork_rng():
        torch.manual_seed(seed)
        model = MaskedLanguageModel(encoder).to(device)
        recipe = FineTuningSettings(settings.learning_rate, epochs=1)
        losses = train_on(model, batches(), Updates(model, recipe, settings.steps), first=0)
    task = f"{settings.steps} steps of masked language modelling on {settings.corpus}, seed {seed}"
    name, origin = f"{encoder.name} + {settings.corpus}", f"{encoder.origin} Then {task}."
    return replace(encoder, model=model.trunk.eval(), name=name, origin=origin), losses
