"""The named runs of Parts 1 and 2: the hand-out's, comparisons that change one factor, recipes."""

from dataclasses import dataclass, replace

from a3lib.lab.keys import run_key
from a3lib.translation.augmentation import Augmentation, augment
from a3lib.translation.models import ModelSettings
from a3lib.translation.modern import ModernSettings
from a3lib.translation.pairs import Pairs, load_pairs
from a3lib.translation.splits import Split, split
from a3lib.translation.training import TrainingSettings
from a3lib.translation.transformer import BLOCK, TransformerSettings


@dataclass(frozen=True)
class Run:
    """Everything but the seed."""

    name: str
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    data: str = "small"  # what `load_pairs` takes
    validation: str = "own"  # 'own': a fifth of the data's words; 'common': a fifth of small's
    augmentation: Augmentation | None = None  # None: the training pairs as they are
    longest: int | None = None  # letters of the longest training word; None: all words
    engine: str = "fast"  # the twin, where it proves equal; 'readable': the classes themselves

    def __post_init__(self):
        for name, known in (("validation", ("own", "common")), ("engine", ("fast", "readable"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is one of {known}, not {getattr(self, name)!r}")

    @property
    def seeds(self):
        """The seeds that are recorded: GRU runs differ so much that five decide little."""
        return range(10) if self.model.kind == "gru" else range(5)

    def split(self, seed):
        """The `Split` that the run trains on with a seed."""
        held_out = None
        if self.validation == "common":
            held_out = split(load_pairs("small"), seed).validation.words
        sides = split(load_pairs(self.data), seed, held_out)
        train = sides.train
        if self.longest is not None:
            short = [p for p in train if len(p[0].replace("-", "")) <= self.longest]
            train = Pairs(f"{train.name}, up to {self.longest} letters", tuple(short))
        if self.augmentation is not None:
            train = augment(train, self.augmentation, seed)
        return Split(train, sides.validation)

    def key(self, seed):
        """The run's key, see `run_key`."""
        sides = self.split(seed)
        return run_key(self, seed, sides.train.sha256 + sides.validation.sha256)


def _published(epochs, batch_size=64, patience=20):
    """The hand-out's recipe for Part 2.2."""
    return TrainingSettings(5e-4, epochs=epochs, batch_size=batch_size, patience=patience)


def _transformer(H, layers, **switches):
    settings = TransformerSettings(**switches)
    return ModelSettings("transformer", H, layers=layers, transformer=settings)


def _published_runs():
    """The eight runs of the hand-out."""
    yield Run("gru-small")
    yield Run("gru-large", training=TrainingSettings(batch_size=512, patience=10), data="large")
    yield Run("additive-small", ModelSettings("rnn-attention", 64), TrainingSettings(patience=10))
    block = ModelSettings("transformer", 32, transformer=BLOCK)
    yield Run("block-small", block, _published(100, patience=100))
    yield Run("transformer32-small", _transformer(32, 4), _published(100, patience=100))
    yield Run("transformer32-large", _transformer(32, 3), _published(100, 512, 10), "large")
    yield Run("transformer64-small", _transformer(64, 3), _published(50))
    yield Run("transformer64-large", _transformer(64, 3), _published(50, 512), "large")


def _batch_runs():
    """What the hand-out's buckets do: other batches of the same words, as many per update."""
    yield Run("gru-small-shuffled", training=TrainingSettings(batches="shuffled"))
    # 30 is what the buckets of at most 64 hold on average
    by_source = TrainingSettings(batches="by-source-length", batch_size=30)
    yield Run("gru-small-by-source", training=by_source)
    yield Run("gru-small-padded", training=replace(by_source, batches="padded"))


_LIKE_FOR_LIKE = TrainingSettings(
    batches="padded",  # shuffled, all of 64 words: an update means the same on both data sets
    updates_per_epoch=84,  # as many as gru-small has in a pass, so that the rate falls alike
    patience=50,  # no early stop: equal updates
    monitor="per_token",
)


_SLOWER = replace(_LIKE_FOR_LIKE, learning_rate=5e-4)  # at .005 the widest one's loss jumps


def _fair(name, model, data="small", training=_LIKE_FOR_LIKE, **changes):
    return Run(f"fair-{name}", model, training, data, "common", **changes)


def _fair_runs():
    """One validation set, updates alike: cells, attention, positions, hidden size, data, mask."""
    yield _fair("gru-small", ModelSettings())
    yield _fair("gru-large", ModelSettings(), "large")
    yield _fair("gru64-small", ModelSettings(hidden_size=64))
    for H in (32, 64):
        yield _fair(f"additive{H}-small", ModelSettings("rnn-attention", H))
    yield _fair("dot64-small", ModelSettings("rnn-attention", 64, "scaled_dot"))
    yield _fair("block32-small", _transformer(32, 1, positions="none"))
    yield _fair("block32-sinusoid", _transformer(32, 1))
    # is it the rate? the block with positions, at the rate of the transformers below
    yield _fair("block32-sinusoid-slow", _transformer(32, 1), training=_SLOWER)
    for positions in ("none", "sinusoid", "learned", "one-hot"):
        # 9 letters: four fifths of the validation words are not longer
        model = _transformer(32, 1, positions=positions)
        yield _fair(f"short-{positions}", model, "large", longest=9)
    for H in (32, 64):
        for data in ("small", "large"):
            yield _fair(f"transformer{H}-{data}", _transformer(H, 3), data, _SLOWER)
    yield _fair("noncausal64-small", _transformer(64, 3, causal=False), training=_SLOWER)


_RECIPE = TrainingSettings(
    learning_rate=0.01,  # AdamW's, for embeddings and output: 20 times the published rate
    muon=0.02,  # of .01 to .04 the best on validation words
    schedule="one-cycle",
    epochs=9,
    updates_per_epoch=60,
    batch_size=32,
    batches="by-source-length",  # nothing is padded, so nothing is masked
    patience=9,  # no early stop: the last epochs, at the lowest rate, are the best
    monitor="per_token",
    weight_decay=0.01,
    clip=1.0,
)


def _recipe(name, data="small", training=_RECIPE, made=None, **switches):
    """A run of the recipe; as many pairs are drawn as it sees."""
    count = training.epochs * training.updates_per_epoch * training.batch_size
    model = ModelSettings("modern", 64, layers=3, modern=ModernSettings(**switches))
    augmentation = Augmentation(count, **(made or {}))
    return Run(name, model, training, data, augmentation=augmentation, engine="readable")


def _recipe_runs():
    """The quick recipe and what is lost without each part of it; the best one, on both lists."""
    yield _recipe("recipe-quick")
    best = replace(_RECIPE, epochs=12, updates_per_epoch=250, patience=12)
    yield _recipe("recipe-best", "large", best)
    yield _recipe("recipe-best-small", training=best)
    invented = {"substituted": 0.0, "moving": 0.0, "led": 0.0}
    yield _recipe("recipe-without-substitution", made=invented)
    yield _recipe("recipe-without-made", made={**invented, "run_together": 0.0, "hyphenated": 0.0})
    yield _recipe("recipe-without-rotary", rotary=False)
    yield _recipe("recipe-without-pointer", pointer=False)
    yield _recipe("recipe-without-norm", pre_norm=False)
    # at the rate that the earlier recipe was trained with; .01 is Muon's companion
    yield _recipe("recipe-without-muon", training=replace(_RECIPE, muon=None, learning_rate=3e-3))
    yield _recipe("recipe-without-schedule", training=replace(_RECIPE, schedule="decay", decay=1.0))


_ALL = (*_published_runs(), *_batch_runs(), *_fair_runs(), *_recipe_runs())
RUNS = {run.name: run for run in _ALL}
PUBLISHED_RUNS = tuple(run.name for run in _published_runs())
