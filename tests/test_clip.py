"""CLIP's true architecture on random weights from disk, and the stand-in that says what it is."""

import json

import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from a3lib import clip, weights
from a3lib.clip import load_clip
from a3lib.weights import WeightsUnavailable

CONFIG = open_clip.get_model_config("ViT-B-32-quickgelu")
PREPROCESS = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
SMALL = {  # the same kind of network at a size for tests of the loading
    "embed_dim": 8,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def write(folder, config, **tensors):
    """(folder, network) as open_clip saves them."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    model = open_clip.CLIP(**config).eval()
    save_file({**model.state_dict(), **tensors}, folder / "open_clip_model.safetensors")
    known = {"model_cfg": config, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(known), encoding="utf8")
    return folder, model


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """(the published architecture loaded from disk, the network that was saved)."""
    folder, model = write(tmp_path_factory.mktemp("clip"), CONFIG)
    loaded = load_clip(str(folder))
    (folder / "open_clip_model.safetensors").unlink()  # 605 MB
    return loaded, model


@pytest.fixture(scope="module")
def stand_in():
    return load_clip("auto", "offline")


def picture(colour="red", size=(320, 240)):
    image = Image.new("RGB", size, colour)
    image.paste("white", (size[0] // 3, 0, size[0] // 2, size[1]))
    return image


def test_the_published_architecture_has_its_published_size(full):
    loaded, _ = full
    assert sum(value.numel() for value in loaded.model.parameters()) == 151_277_313
    assert loaded.is_clip and loaded.context_length == 77 and loaded.label.startswith("CLIP from the folder")
    assert loaded.logit_scale == pytest.approx(1 / 0.07, rel=1e-6)
    assert "QuickGELU" in {type(module).__name__ for module in loaded.model.modules()}
    assert not loaded.model.training


def test_it_computes_what_the_saved_network_computes(full):
    loaded, model = full
    images = torch.stack([loaded.preprocess(picture("red")), loaded.preprocess(picture("blue", (100, 500)))])
    texts = ["a red wall", "🦋 на цветке", ""]
    assert images.shape == (2, 3, 224, 224)
    with torch.no_grad():
        pictures = model.encode_image(images, normalize=True)
        captions = model.encode_text(open_clip.get_tokenizer("ViT-B-32-quickgelu")(texts), normalize=True)
    torch.testing.assert_close(loaded.encode_image(images), pictures)
    torch.testing.assert_close(loaded.encode_text(texts), captions)
    torch.testing.assert_close(loaded.encode_text(texts).norm(dim=1), torch.ones(3))
    assert not loaded.encode_image(images).requires_grad


def test_the_preprocessing_is_the_models_own(full):
    grey = Image.new("L", (500, 300), 128)
    channels = full[0].preprocess(grey).mean((1, 2))
    mean, std = torch.tensor(PREPROCESS["mean"]), torch.tensor(PREPROCESS["std"])
    torch.testing.assert_close(channels, (128 / 255 - mean) / std)


def test_clip_reads_77_tokens_and_counts_all(full):
    loaded, _ = full
    assert loaded.count_tokens("a butterfly on a purple flower") == 8
    long = "flower " * 75
    assert loaded.count_tokens(long) == 77 and loaded.count_tokens(long + "bee") == 78
    same = loaded.encode_text([long, long + "bee", "bee " + long])
    assert torch.equal(same[0], same[1])  # the 78th is not read
    assert not torch.allclose(same[0], same[2])
    assert loaded.count_tokens("x " * 5000) > 5000 and loaded.encode_text(["x " * 5000]).shape == (1, 512)


def test_every_published_name_leads_to_its_repository_and_is_not_mixed_up(tmp_path, monkeypatch):
    folder, _ = write(tmp_path / "small", SMALL)
    plain, _ = write(tmp_path / "plain", {**SMALL, "quick_gelu": False})
    asked = []

    def hub(repository, source, small, patterns):
        asked.append(repository)
        return plain if "laion" in repository else folder

    monkeypatch.setattr(weights, "hub_folder", hub)
    assert load_clip("ViT-B-32", "hub").label == "CLIP: ViT-B-32-quickgelu with the weights openai."
    assert load_clip("auto", "hub").name == load_clip("ViT-B-32", "auto").name == "ViT-B-32-quickgelu/openai"
    assert load_clip("ViT-B-32/laion2b_s34b_b79k", "auto").label == "CLIP: ViT-B-32 with the weights laion2b_s34b_b79k."
    openai = "timm/vit_base_patch32_clip_224.openai"
    assert asked == [openai, openai, openai, "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"]


def test_an_activation_that_the_weights_were_not_trained_with_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(
        weights, "hub_folder", lambda *args: write(tmp_path / "plain", {**SMALL, "quick_gelu": False})[0]
    )
    with pytest.raises(ValueError, match="ViT-B-32/openai: its weights were trained with QuickGELU, not GELU"):
        load_clip("ViT-B-32/openai", "hub")
    with pytest.raises(ValueError, match="plain: its weights were trained with QuickGELU, not GELU"):
        load_clip("ViT-B-32", "hub")


@pytest.mark.parametrize("name", ["ViT-B-33", "ViT-B-32/nobody", "no/such/folder"])
def test_an_unknown_name_is_told_with_the_names_there_are(name):
    with pytest.raises(ValueError, match="take auto, ViT-B-32, ViT-B-32/laion2b_s34b_b79k or standin"):
        load_clip(name, "offline")


def test_without_a_hub_auto_takes_the_stand_in_and_a_name_does_not(monkeypatch):
    def hub(*args):
        raise WeightsUnavailable("no hub")

    monkeypatch.setattr(weights, "hub_folder", hub)
    monkeypatch.setattr(clip, "_stand_in", lambda: "the stand-in")
    assert load_clip("auto", "auto") == load_clip("standin", "hub") == "the stand-in"
    for name, source in (("ViT-B-32", "auto"), ("auto", "hub"), ("ViT-B-32", "offline")):
        with pytest.raises(WeightsUnavailable, match="no hub"):
            load_clip(name, source)


def test_offline_takes_the_stand_in_whatever_a_cache_holds(monkeypatch):
    monkeypatch.setattr(weights, "hub_folder", None)  # asking would fail
    monkeypatch.setattr(clip, "_stand_in", lambda: "the stand-in")
    assert load_clip("auto", "offline") == "the stand-in"


def test_a_broken_folder_is_told(tmp_path):
    with pytest.raises(WeightsUnavailable, match=r"no readable open_clip_config.json"):
        load_clip(str(tmp_path))
    folder, _ = write(tmp_path / "small", SMALL, extra=torch.zeros(1))
    with pytest.raises(ValueError, match=r"do not fit open_clip_config.json .*extra"):
        load_clip(str(folder))
    path = folder / "open_clip_model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(WeightsUnavailable, match="is cut off or damaged"):
        load_clip(str(folder))
    path.unlink()
    with pytest.raises(WeightsUnavailable, match="holds no weights"):
        load_clip(str(folder))
    (folder / "open_clip_config.json").write_text("{")
    with pytest.raises(WeightsUnavailable, match="no readable"):
        load_clip(str(folder))


def test_a_model_with_another_tokenizer_is_refused(tmp_path):
    config = {**SMALL, "text_cfg": {**SMALL["text_cfg"], "hf_tokenizer_name": "someone/else"}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}), encoding="utf8")
    with pytest.raises(ValueError, match="another tokenizer than CLIP's"):
        load_clip(str(tmp_path))


def test_loading_says_nothing(tmp_path, capfd, caplog):
    folder, _ = write(tmp_path / "small", SMALL)
    capfd.readouterr()
    assert load_clip(str(folder)).context_length == 12
    assert capfd.readouterr() == ("", "") and caplog.records == []


def test_the_stand_in_says_that_it_is_not_clip(stand_in):
    assert not stand_in.is_clip and "not CLIP" in stand_in.label and stand_in.name == "standin"


def test_the_stand_in_is_the_sum_over_classes_that_it_says(stand_in):
    images = torch.stack([stand_in.preprocess(picture(colour)) for colour in ("red", "green", "white")])
    with torch.no_grad():
        probabilities = (stand_in.tower(images) / clip.TEMPERATURE).softmax(-1)
    for row, vector in zip(probabilities, stand_in.encode_image(images), strict=True):
        likeliest = sorted(range(1000), key=row.tolist().__getitem__)[-clip.LIKELIEST :]
        total = sum(row[index] * stand_in.classes[index] for index in likeliest)
        torch.testing.assert_close(vector, total / total.norm(), atol=1e-5, rtol=1e-4)


def test_the_stand_in_knows_its_classes_by_their_names(stand_in):
    names = open_clip.IMAGENET_CLASSNAMES
    some = [0, 323, 508, 985]
    texts = stand_in.encode_text([names[index] for index in some])
    assert (texts @ stand_in.classes.T).argmax(1).tolist() == some
    assert names[323] == "monarch butterfly" and stand_in.classes.shape == (1000, 384)


def test_a_vector_does_not_depend_on_its_company(stand_in):
    texts = ["a bee", "a butterfly on a purple flower", "", "   ", "🦋", "蝶", "flower " * 5000]
    together = stand_in.encode_text(texts)
    for text, vector in zip(texts, together, strict=True):
        torch.testing.assert_close(stand_in.encode_text([text])[0], vector, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(len(texts)))
    images = torch.stack([stand_in.preprocess(picture("red", (40 * size, 300))) for size in (1, 5, 9)])
    alone = torch.cat([stand_in.encode_image(image[None]) for image in images])
    torch.testing.assert_close(stand_in.encode_image(images), alone, atol=1e-5, rtol=1e-4)


def test_the_number_of_threads_changes_no_bit_of_the_stand_in(stand_in):
    images = torch.stack([stand_in.preprocess(picture(colour)) for colour in ("red", "blue")])
    one = stand_in.encode_image(images), stand_in.encode_text(["a bee"])
    torch.set_num_threads(2)
    try:
        two = stand_in.encode_image(images), stand_in.encode_text(["a bee"])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])


def test_the_stand_in_counts_what_it_reads(stand_in):
    assert stand_in.count_tokens("a butterfly on a purple flower") == 8
    long = "flower " * 254
    assert stand_in.count_tokens(long) == 256 == stand_in.context_length
    vectors = stand_in.encode_text([long, long + "bee"])
    torch.testing.assert_close(vectors[0], vectors[1])
    assert stand_in.count_tokens(long + "bee") == 257
