"""The named runs: the eight of the hand-out, comparisons that change one factor, the recipe and its ablation."""

from dataclasses import dataclass, replace

from a3lib.models import ModelSettings
from a3lib.training import TrainingSettings
from a3lib.transformer_blocks import BLOCK, PUBLISHED, TransformerSettings


@dataclass(frozen=True)
class Run:
    """Everything but the seed."""

    name: str
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    data: str = "small"  # what `load_pairs` takes
    validation: str = "own"  # 'own': a fifth of the data's words; 'common': a fifth of small's, whatever the data
    joined: int | list = 0  # pairs made of two training pairs to add, or [of two, of three], see `with_joined`
    longest: int | None = None  # letters of the longest training word; None: all words


def _gru_runs():
    yield Run("gru-small")
    yield Run("gru-large", training=TrainingSettings(batch_size=512, patience=10), data="large")
    yield Run("gru-small-shuffled", training=TrainingSettings(batches="shuffled"))
    # 30 is what the buckets of at most 64 hold on average: as many words an update as gru-small has
    yield Run("gru-small-padded", training=TrainingSettings(batches="padded", batch_size=30))
    yield Run("gru-small-by-source", training=TrainingSettings(batches="by-source-length", batch_size=30))


def _published(epochs, batch_size=64, patience=20):
    """The hand-out's recipe for Part 2.2."""
    return TrainingSettings(learning_rate=5e-4, epochs=epochs, batch_size=batch_size, patience=patience)


def _attention_runs():
    """Part 2, as published."""
    yield Run("additive-small", ModelSettings("rnn-attention", 64), TrainingSettings(patience=10))
    yield Run("block-small", ModelSettings("transformer", 32, transformer=BLOCK), _published(100, patience=100))
    yield Run("transformer32-small", ModelSettings("transformer", 32, layers=4), _published(100, patience=100))
    yield Run("transformer32-large", ModelSettings("transformer", 32, layers=3), _published(100, 512, 10), "large")
    yield Run("transformer64-small", ModelSettings("transformer", 64, layers=3), _published(50))
    yield Run("transformer64-large", ModelSettings("transformer", 64, layers=3), _published(50, 512), "large")


_LIKE_FOR_LIKE = TrainingSettings(
    batches="padded",  # shuffled, all of 64 words: an update means the same on both data sets
    updates_per_epoch=84,  # as many as gru-small has in a pass, so that the learning rate falls alike
    patience=50,  # no early stop: equal updates
    monitor="per_token",
)


def _fair_rnn_runs():
    """Part 1 and 2.1, and the single block, also on words longer than in training: one recipe, one validation set."""

    def run(name, kind="gru", H=32, data="small", attention="additive", transformer=PUBLISHED):
        model = ModelSettings(kind, H, attention, transformer=transformer)
        return Run(f"fair-{name}", model, _LIKE_FOR_LIKE, data, "common")

    yield run("gru-small")
    yield run("gru-large", data="large")
    yield run("gru64-small", H=64)
    for H in (32, 64):
        yield run(f"additive{H}-small", "rnn-attention", H)
    yield run("dot64-small", "rnn-attention", 64, attention="scaled_dot")
    yield run("block32-small", "transformer", transformer=BLOCK)
    yield run("block32-sinusoid", "transformer")
    for positions in ("none", "sinusoid", "learned", "one-hot"):
        # 9 letters: four fifths of the validation words are not longer
        short = run(f"short-{positions}", "transformer", data="large", transformer=TransformerSettings(positions))
        yield replace(short, longest=9)


_TRANSFORMER_TRAINING = replace(_LIKE_FOR_LIKE, learning_rate=5e-4)  # at .005 the loss of the widest one jumps


def _fair_transformer_runs():
    """Part 2.2: hidden size and data, and the decoder's mask."""

    def run(name, H=64, data="small", **switches):
        model = ModelSettings("transformer", H, layers=3, transformer=TransformerSettings(**switches))
        return Run(f"fair-{name}", model, _TRANSFORMER_TRAINING, data, "common")

    for H in (32, 64):
        for data in ("small", "large"):
            yield run(f"transformer{H}-{data}", H, data)
    yield run("noncausal64-small", causal=False)


RECIPE = TransformerSettings(
    positions="rotary",  # copying asks for distances, and they are the same in longer words
    heads=2,  # as good as 4 and faster; one more than the published model
    pre_norm=True,  # trains at six times the published learning rate
    expansion=2,  # a hidden layer in the MLP
    dropout=0.1,  # 2,558 words are few
    copy=True,  # nearly all output symbols stand in the source
)
_RECIPE_TRAINING = TrainingSettings(
    learning_rate=3e-3,
    schedule="one-cycle",
    epochs=25,
    updates_per_epoch=100,  # about a pass over small's training words and the joined ones
    patience=25,  # no early stop: the last epochs, at the lowest rate, are the best
    batches="padded",
    monitor="per_token",
    weight_decay=0.01,
    clip=1.0,
)


def _recipe_runs():
    """The recipe, and what is lost when one part of it is taken away."""

    def run(name, data="small", joined=4000, training=_RECIPE_TRAINING, **switches):
        model = ModelSettings("transformer", 64, layers=3, transformer=replace(RECIPE, **switches))
        return Run(name, model, training, data, joined=joined)

    yield run("recipe-small")
    # words of three parts (five-and-twenty) are not rare there; 405 updates show each word and joined one about once
    yield run("recipe-large", "large", [8000, 3000], replace(_RECIPE_TRAINING, epochs=10, updates_per_epoch=405))
    # how fast is it? The same in 300 steps, so that the learning rate is at its top after 30; of 32 words, as many as
    # the published steps on the small list have
    brief = replace(_RECIPE_TRAINING, epochs=12, updates_per_epoch=25, batch_size=32)
    yield run("recipe-brief-small", training=brief)
    brief = replace(_RECIPE_TRAINING, epochs=6, updates_per_epoch=50)  # validating takes longer there
    yield run("recipe-brief-large", "large", 8000, brief)
    yield run("recipe-without-joined", joined=0)
    yield run("recipe-without-rotary", positions="sinusoid")
    yield run("recipe-without-copy", copy=False)
    yield run("recipe-without-dropout", dropout=0.0)
    yield run("recipe-without-norm", pre_norm=False)
    published = replace(_RECIPE_TRAINING, learning_rate=5e-4, schedule="decay", weight_decay=0.0, clip=None)
    yield run("recipe-without-schedule", training=published)


PUBLISHED_RUNS = (
    "gru-small",
    "gru-large",
    "additive-small",
    "block-small",
    "transformer32-small",
    "transformer32-large",
    "transformer64-small",
    "transformer64-large",
)
RUNS = {
    run.name: run
    for family in (_gru_runs, _attention_runs, _fair_rnn_runs, _fair_transformer_runs, _recipe_runs)
    for run in family()
}
