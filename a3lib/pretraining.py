"""Continued pretraining of an encoder: masked language modelling (Devlin et al. 2019, section 3.1)."""

import copy
import lzma
from dataclasses import dataclass, replace
from importlib import resources

import torch
from torch import nn
from torch.nn import functional as F

from a3lib.training import one_thread
from a3lib.tuning import TuningSettings, learning_rate, make_optimizer, step

CORPORA = ("mathematics", "austen")


@dataclass(frozen=True)
class PretrainingSettings:
    """How long and on what."""

    corpus: str
    steps: int = 100  # 25,600 tokens: a first dose, a quarter of either corpus
    batch_size: int = 8  # pieces
    length: int = 32  # tokens of a piece
    masked: float = 0.15  # share of the tokens to be guessed; of these 80 % are masked, 10 % replaced, 10 % left
    learning_rate: float = 1e-4  # as in BERT's own pretraining


class TiedHead(nn.Module):
    """Logits over the vocabulary from states (N, H): dense, GELU, layer norm, then the word embedding transposed."""

    def __init__(self, embedding):
        super().__init__()
        V, H = embedding.weight.shape
        self.transform = nn.Sequential(nn.Linear(H, H), nn.GELU(), nn.LayerNorm(H))
        self.embedding, self.bias = embedding, nn.Parameter(torch.zeros(V))

    def forward(self, states):
        return F.linear(self.transform(states), self.embedding.weight, self.bias)


class MaskedLanguageModel(nn.Module):
    """A copy of an encoder's trunk under a `TiedHead`; labels -100 are not guessed. Called like a classifier."""

    def __init__(self, encoder):
        super().__init__()
        self.trunk = copy.deepcopy(encoder.model)
        self.head = TiedHead(self.trunk.get_input_embeddings())

    def forward(self, labels=None, **inputs):
        states = self.trunk(**inputs).last_hidden_state  # (B, S, H)
        chosen = slice(None) if labels is None else labels != -100
        logits = self.head(states[chosen])
        return (logits,) if labels is None else (logits, F.cross_entropy(logits, labels[chosen]))


def corpus(name):
    """The text of a corpus. Raises ValueError for an unknown name."""
    if name not in CORPORA:
        raise ValueError(f"the corpus is one of {', '.join(CORPORA)}, not {name!r}")
    return lzma.decompress(
        resources.files("a3lib").joinpath(f"data/corpora/{name}.txt.xz").read_bytes()
    ).decode()


def pieces(tokenizer, text, length):
    """Token ids (N, length): the text cut into pieces of equal length, each between [CLS] and [SEP]."""
    ids = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
    inner = length - 2
    rows = torch.tensor(ids[: len(ids) // inner * inner]).view(-1, inner)
    first, last = (
        torch.full((len(rows), 1), token)
        for token in (tokenizer.cls_token_id, tokenizer.sep_token_id)
    )
    return torch.cat([first, rows, last], 1)


def mask(ids, tokenizer, share, generator):
    """(changed ids, labels): a share of the tokens to be guessed; the labels of all others are -100."""
    special = (ids == tokenizer.cls_token_id) | (ids == tokenizer.sep_token_id)
    guessed = (torch.rand(ids.shape, generator=generator) < share) & ~special
    guessed[0, 1] = True  # a batch has a loss
    fate = torch.rand(ids.shape, generator=generator)
    other = torch.randint(len(tokenizer), ids.shape, generator=generator)
    changed = torch.where(guessed & (fate < 0.8), tokenizer.mask_token_id, ids)
    return torch.where(guessed & (fate >= 0.9), other, changed), ids.masked_fill(~guessed, -100)


def pretrain(encoder, settings, seed):
    """(an `Encoder` with the continued trunk, the loss of every step in nats); the given encoder stays as it was."""
    generator = torch.Generator().manual_seed(seed)
    rows = pieces(encoder.tokenizer, corpus(settings.corpus), settings.length)
    order = torch.randperm(len(rows), generator=generator)
    recipe = TuningSettings(learning_rate=settings.learning_rate)
    with one_thread(), torch.random.fork_rng():
        torch.manual_seed(seed)
        model = MaskedLanguageModel(encoder).train()
        optimizer, losses = make_optimizer(model, recipe), []
        device = next(model.parameters()).device
        for number in range(settings.steps):
            places = torch.arange(
                number * settings.batch_size, (number + 1) * settings.batch_size
            ) % len(order)
            ids, labels = mask(rows[order[places]], encoder.tokenizer, settings.masked, generator)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, number, settings.steps)
            inputs = {
                "input_ids": ids.to(device),
                "attention_mask": torch.ones_like(ids, device=device),
            }
            losses.append(step(model, optimizer, inputs, labels.to(device), recipe.clip).item())
    name = f"{encoder.name} + {settings.corpus}"
    origin = f"{encoder.origin} Then {settings.steps} steps of masked language modelling on {settings.corpus}, seed {seed}."
    return replace(encoder, model=model.trunk.eval(), name=name, origin=origin), losses
