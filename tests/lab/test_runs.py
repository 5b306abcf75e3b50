"""The named runs: what each trains on, how they differ, and what a reader may ask for."""

import json
from dataclasses import FrozenInstanceError, asdict, replace

import pytest

from a3lib.lab.runs import PUBLISHED_RUNS, RUNS, Run
from a3lib.translation.augmentation import Augmentation, augment
from a3lib.translation.models import build, settings_from
from a3lib.translation.pairs import WORD_LISTS, load_pairs


@pytest.mark.parametrize("name", RUNS)
def test_every_run_is_hashable_and_plain_and_has_its_name(name):
    run = RUNS[name]
    assert run.name == name and hash(run) == hash(replace(run))
    plain = asdict(run)
    assert json.loads(json.dumps(plain)) == plain
    assert settings_from(plain["model"]) == run.model
    with pytest.raises(FrozenInstanceError):
        run.data = "large"


def test_every_run_has_a_key_of_its_own():
    """Of the runs on the small list alone, since others are slow to draw."""
    some = [run for run in RUNS.values() if run.data == "small"]
    assert len(some) > 20
    assert len({run.key(seed) for run in some for seed in range(2)}) == 2 * len(some)
    nameless = [replace(run, name="") for run in RUNS.values()]
    assert len(set(nameless)) == len(RUNS)  # nor do two others ask for the same


def test_no_run_trains_or_validates_on_words_that_are_kept_to_measure_on():
    kept = set(WORD_LISTS) - {"small", "large"}
    assert not {run.data for run in RUNS.values()} & kept


def test_runs_with_gru_cells_and_nothing_else_have_more_seeds():
    assert RUNS["gru-small"].seeds == RUNS["fair-gru-large"].seeds == range(10)
    assert RUNS["additive-small"].seeds == RUNS["recipe-quick"].seeds == range(5)


@pytest.mark.parametrize(("name", "value"), [("validation", "none"), ("engine", "fastest")])
def test_an_unknown_way_is_refused_with_the_known_ones(name, value):
    with pytest.raises(ValueError, match=f"{name} is one of .*, not '{value}'"):
        Run("some", **{name: value})


PUBLISHED = {  # kind, hidden size, layers, data, learning rate, epochs, batch size, patience
    "gru-small": ("gru", 32, 1, "small", 0.005, 50, 64, 20),
    "gru-large": ("gru", 32, 1, "large", 0.005, 50, 512, 10),
    "additive-small": ("rnn-attention", 64, 1, "small", 0.005, 50, 64, 10),
    "block-small": ("transformer", 32, 1, "small", 5e-4, 100, 64, 100),
    "transformer32-small": ("transformer", 32, 4, "small", 5e-4, 100, 64, 100),
    "transformer32-large": ("transformer", 32, 3, "large", 5e-4, 100, 512, 10),
    "transformer64-small": ("transformer", 64, 3, "small", 5e-4, 50, 64, 20),
    "transformer64-large": ("transformer", 64, 3, "large", 5e-4, 50, 512, 20),
}


def test_published_runs_have_the_published_settings():
    assert tuple(PUBLISHED) == PUBLISHED_RUNS
    for name, expected in PUBLISHED.items():
        run, model, recipe = RUNS[name], RUNS[name].model, RUNS[name].training
        found = (model.kind, model.hidden_size, model.layers, run.data, recipe.learning_rate)
        assert (*found, recipe.epochs, recipe.batch_size, recipe.patience) == expected
        assert (recipe.schedule, recipe.decay, recipe.clip) == ("decay", 0.99, None)
        assert (recipe.batches, recipe.updates_per_epoch) == ("buckets", None)
        assert (recipe.monitor, recipe.weight_decay, recipe.muon) == ("bucket_mean", 0, None)
        assert (run.validation, run.augmentation, run.longest) == ("own", None, None)
    assert RUNS["additive-small"].model.attention == "additive"
    assert RUNS["block-small"].model.transformer != RUNS["transformer32-small"].model.transformer


def test_the_published_gru_has_the_published_size():
    model = build(RUNS["gru-small"].model, 0)
    assert sum(parameter.numel() for parameter in model.parameters()) == 15_485


def one_factor(first, second, **changed):
    """Whether two runs differ in their names and in these fields of the second alone."""
    return replace(RUNS[second], name=first, **changed) == RUNS[first]


def test_the_like_for_like_runs_change_one_factor():
    small = RUNS["fair-gru-small"]
    assert one_factor("fair-gru-small", "fair-gru-large", data="small")
    for name in ("gru64-small", "additive32-small", "additive64-small", "dot64-small"):
        assert one_factor("fair-gru-small", f"fair-{name}", model=small.model)
    assert one_factor("fair-transformer32-small", "fair-transformer32-large", data="small")
    causal = RUNS["fair-transformer64-small"]
    assert one_factor("fair-transformer64-small", "fair-noncausal64-small", model=causal.model)
    slow = RUNS["fair-block32-sinusoid"].training
    assert one_factor("fair-block32-sinusoid", "fair-block32-sinusoid-slow", training=slow)
    for name, run in RUNS.items():
        if name.startswith("fair-"):
            assert run.training.patience >= run.training.epochs, name  # equal numbers of updates
            assert (run.validation, run.training.batches) == ("common", "padded"), name


def test_the_ablations_of_the_recipe_change_one_part():
    quick = RUNS["recipe-quick"]
    longer = {"training": quick.training, "augmentation": quick.augmentation}
    assert one_factor("recipe-quick", "recipe-best-small", **longer)
    for part in ("rotary", "pointer", "norm"):
        assert one_factor("recipe-quick", f"recipe-without-{part}", model=quick.model)
    for part in ("substitution", "made"):
        name = f"recipe-without-{part}"
        assert one_factor("recipe-quick", name, augmentation=quick.augmentation)
    for part in ("muon", "schedule"):
        assert one_factor("recipe-quick", f"recipe-without-{part}", training=quick.training)
    assert one_factor("recipe-best-small", "recipe-best", data="small")


@pytest.mark.parametrize("name", [name for name in RUNS if name.startswith("recipe")])
def test_a_recipe_draws_as_many_pairs_as_it_sees(name):
    run, recipe = RUNS[name], RUNS[name].training
    seen = recipe.epochs * recipe.updates_per_epoch * recipe.batch_size
    assert run.augmentation.count == seen
    assert run.engine == "readable"


# what a run trains on


def test_runs_with_their_own_validation_split_their_data_four_to_one():
    for name, sizes in (("gru-small", (2558, 640)), ("gru-large", (17921, 4481))):
        sides = RUNS[name].split(0)
        assert (len(sides.train), len(sides.validation)) == sizes
        assert set(sides.train.words).isdisjoint(sides.validation.words)
    assert RUNS["gru-small"].split(0) != RUNS["gru-small"].split(1)
    assert RUNS["gru-small"].split(0) == RUNS["gru-small"].split(0)


@pytest.mark.parametrize("seed", [0, 4])
def test_runs_with_common_validation_share_their_validation_words(seed):
    small, large = (RUNS[name].split(seed) for name in ("fair-gru-small", "fair-gru-large"))
    held_out = set(small.validation.words)
    assert sorted(small.validation) == sorted(large.validation)
    assert held_out.isdisjoint(small.train.words)
    assert held_out.isdisjoint(large.train.words)
    assert set(large.train.words) | held_out == set(load_pairs("large").words)
    assert (len(small.train), len(small.validation)) == (2558, 640)
    assert len(large.train) == 22402 - 640
    assert sorted(RUNS["gru-small"].split(seed).validation) == sorted(small.validation)


def test_common_validation_words_are_drawn_by_the_seed():
    first, second = (set(RUNS["fair-gru-small"].split(seed).validation.words) for seed in (0, 1))
    assert len(first & second) < 0.4 * len(first)  # a fifth on average


def test_a_longest_word_shortens_the_training_words_alone():
    run = RUNS["fair-short-none"]
    whole, short = replace(run, longest=None).split(0), run.split(0)
    letters = {word: len(word.replace("-", "")) for word in whole.train.words}
    kept = tuple(pair for pair in whole.train if letters[pair[0]] <= 9)
    assert short.train.pairs == kept and 9 in {letters[word] for word, _ in kept}
    assert any("-" in word and len(word) > 9 for word, _ in kept)  # a hyphen is no letter
    assert short.validation == whole.validation
    lengths = [len(word.replace("-", "")) for word in short.validation.words]
    assert sum(length <= 9 for length in lengths) / len(lengths) == pytest.approx(0.8, abs=0.08)


def test_made_pairs_take_the_place_of_the_training_pairs_alone():
    run = replace(RUNS["recipe-quick"], augmentation=Augmentation(300))
    plain, made = replace(run, augmentation=None).split(0), run.split(0)
    assert len(made.train) == 300 and made.validation == plain.validation
    assert run.split(0) == made
    for seed in (0, 1):  # which decides what is made, too
        expected = augment(
            replace(run, augmentation=None).split(seed).train, run.augmentation, seed
        )
        assert run.split(seed).train == expected
    listed = sum(pair in set(plain.train) for pair in made.train)
    assert 10 < listed < 100  # one in eleven is drawn as it stands, and some come out unchanged


def test_only_short_words_are_augmented_where_both_are_asked_for():
    run = replace(RUNS["gru-small"], longest=5, augmentation=Augmentation(200, 1, 0, 0, 0, 0, 0))
    words = [word for word, _ in run.split(0).train]
    assert len(words) == 200 and max(map(len, words)) <= 6  # five letters and a hyphen
