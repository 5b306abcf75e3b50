"""Named runs of the small CLIP: keys, measures, kept weights, the sweep."""

from dataclasses import replace

import pytest
import torch

from a3lib.clip.contrastive import ContrastiveSettings
from a3lib.data.emoji import STYLES, emoji, gallery
from a3lib.lab import clip_experiments as experiments
from a3lib.lab.clip_runs import CLIP_RUNS, ClipRun, vocabulary
from a3lib.lab.sweep import sweep

TINY = ContrastiveSettings(epochs=1, widths=(8, 8, 8), text_width=32, dimension=16)
RUN = ClipRun("tiny", TINY, seeds=(0,))


def test_a_run_s_key_knows_all_but_its_name_and_its_list_of_seeds():
    assert RUN.key(0) == replace(RUN, name="other", seeds=(4,)).key(0)
    changes = ({"held_out": "fluent"}, {"keywords": 0.1}, {"settings": replace(TINY, epochs=2)})
    keys = [RUN.key(0), RUN.key(1), *(replace(RUN, **change).key(0) for change in changes)]
    assert len(set(keys)) == 5


def test_comparisons_change_one_factor():
    live = CLIP_RUNS["live-noto"]
    for name in ("live-batch-16", "live-batch-64", "live-fixed"):
        other = CLIP_RUNS[name]
        changed = [f for f, v in vars(other.settings).items() if v != getattr(live.settings, f)]
        assert len(changed) == 1 and other.held_out == live.held_out
    for layers in (1, 2):
        plain, hard = (
            replace(CLIP_RUNS[f"scenes-{layers}-layer{end}"], name="") for end in ("", "-hard")
        )
        assert replace(plain, hard_negatives=True) == hard
        assert plain.settings == replace(CLIP_RUNS["scenes-1-layer"].settings, text_layers=layers)
    assert {CLIP_RUNS[f"live-{style}"].held_out for style in STYLES} == set(STYLES)


def test_ranks_count_what_is_at_least_as_good():
    scores = torch.tensor([[0.9, 0.1, 0.0], [0.5, 0.5, 0.1], [0.3, 0.2, 0.1]])
    assert experiments.ranks(scores).tolist() == [1, 2, 3]


def test_no_name_needs_more_tokens_than_a_text_has():
    encoded = vocabulary().encode([one.name for one in emoji()])
    assert len({tuple(row) for row in encoded.tolist()}) == len(emoji())


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    return folder, sweep([RUN], folder / "clip.jsonl", jobs=1, models=folder)


def test_a_sweep_records_a_run_once_and_keeps_its_weights(recorded, monkeypatch):
    folder, (record,) = recorded
    monkeypatch.setattr(experiments, "run", lambda *_, **__: pytest.fail("it ran again"))
    assert sweep([RUN], folder / "clip.jsonl", jobs=1) == [record]
    metrics = record["metrics"]
    assert 0 < metrics["recall@1"] <= metrics["recall@5"] < 1 and len(metrics["withheld ranks"]) > 5
    assert 0 <= metrics["photographs@1"] <= metrics["photographs@5"]


def test_kept_weights_give_the_same_measures_up_to_half_precision(recorded):
    folder, (record,) = recorded
    model = experiments.load(RUN, folder / "tiny-0.safetensors")
    found = experiments.measure_emoji(model, "noto")
    assert found["recall@5"] == pytest.approx(record["metrics"]["recall@5"], abs=0.01)


def test_a_gallery_of_emoji_is_searched_like_one_of_photographs(recorded):
    from a3lib.lab.widgets.caption_game import CaptionGame

    model = experiments.load(RUN, recorded[0] / "tiny-0.safetensors")
    pictures = gallery(model, "noto")
    assert len(pictures) == len(emoji()) and pictures.photographs[3].image().size == (128, 128)
    game = CaptionGame(pictures, pictures.index("rocket"))
    game.field.value = "rocket"
    assert game.attempts[0].rank >= 1 and "Noto" in game.output.value


def test_scenes_are_measured_with_their_chances():
    _, _, record = experiments.run(replace(RUN, held_out="scenes"), 0)
    metrics = record["metrics"]
    assert {"counts", "sides", "unseen pairs"} <= set(metrics)
    assert metrics["sides chance"] == 0.5 and 0.3 < metrics["sides"] < 0.7
