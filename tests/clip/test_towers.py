"""CLIP's true architecture on random weights from disk, and the stand-in that says what it is."""

import json

import numpy as np
import open_clip
import pytest
import torch
from fake_clip import paint
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from a3lib.clip import model as clip
from a3lib.clip.gallery import Gallery, Pictures, packaged_photographs
from a3lib.clip.model import OPENAI, StandIn, TwoTowers, efficientnet, load_clip
from a3lib.clip.ranking import explain
from a3lib.clip.zero_shot import label_scores
from a3lib.lab.widgets.caption_game import attempt
from a3lib.pretrained import weights
from a3lib.pretrained.weights import WeightsUnavailable

CONFIG = open_clip.get_model_config("ViT-B-32-quickgelu")
PREPROCESS = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
}
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
    assert loaded.is_clip and loaded.context_length == 77 and loaded.label.startswith("CLIP: ")
    assert loaded.logit_scale == pytest.approx(1 / 0.07, rel=1e-6)
    assert "QuickGELU" in {type(module).__name__ for module in loaded.model.modules()}
    assert not loaded.model.training


def test_it_computes_what_the_saved_network_computes(full):
    loaded, model = full
    images = torch.stack(
        [loaded.preprocess(picture("red")), loaded.preprocess(picture("blue", (100, 500)))]
    )
    texts = ["a red wall", "🦋 на цветке", ""]
    assert images.shape == (2, 3, 224, 224)
    with torch.no_grad():
        pictures = model.encode_image(images, normalize=True)
        captions = model.encode_text(
            open_clip.get_tokenizer("ViT-B-32-quickgelu")(texts), normalize=True
        )
    torch.testing.assert_close(loaded.encode_image(images), pictures, atol=1e-5, rtol=1e-4)
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
    assert loaded.count_tokens("x " * 5000) > 5000 and loaded.encode_text(["x " * 5000]).shape == (
        1,
        512,
    )


def test_names_lead_to_a_repository_of_the_hub(tmp_path, monkeypatch):
    folder, _ = write(tmp_path / "small", SMALL)
    asked = []

    def hub(repository, source, patterns):
        asked.append(repository)
        return folder

    monkeypatch.setattr(weights, "hub_folder", hub)
    assert load_clip("ViT-B-32", "hub").label == f"CLIP: {OPENAI}."
    assert load_clip("auto", "hub").name == load_clip("auto", "auto").name == OPENAI
    laion = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
    assert load_clip(laion, "auto").label == f"CLIP: {laion}."
    assert asked == [OPENAI, OPENAI, OPENAI, laion]


def test_an_activation_that_the_weights_were_not_trained_with_is_an_error(tmp_path, monkeypatch):
    plain, _ = write(tmp_path / "plain", {**SMALL, "quick_gelu": False})
    monkeypatch.setattr(weights, "hub_folder", lambda *args: plain)
    with pytest.raises(ValueError, match="its weights were trained with QuickGELU, not with GELU"):
        load_clip("ViT-B-32", "hub")
    used = {type(module).__name__ for module in load_clip("other/weights", "hub").model.modules()}
    assert "GELU" in used and "QuickGELU" not in used


@pytest.mark.parametrize("name", ["ViT-B-33", "no/such/folder"])
def test_an_unknown_name_is_told(name):
    with pytest.raises(WeightsUnavailable, match=f"{name} is not there"):
        load_clip(name, "offline")


def test_without_a_hub_auto_takes_the_stand_in_and_a_name_does_not(monkeypatch):
    def hub(*args):
        raise WeightsUnavailable("no hub")

    monkeypatch.setattr(weights, "hub_folder", hub)
    monkeypatch.setattr(clip, "StandIn", lambda reason="": "the stand-in")
    assert load_clip("auto", "auto") == load_clip("standin", "hub") == "the stand-in"
    for name, source in (("ViT-B-32", "auto"), ("auto", "hub"), ("ViT-B-32", "offline")):
        with pytest.raises(WeightsUnavailable, match="no hub"):
            load_clip(name, source)


@pytest.mark.parametrize(
    "failure",
    [
        ValueError("its weights were trained with QuickGELU"),
        OSError("disk full\nand more"),
        RuntimeError("half a snapshot"),
        ImportError("no tokenizer"),
        WeightsUnavailable("no hub"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_whatever_fails_at_the_hub_the_stand_in_speaks_and_says_why_in_one_line(
    monkeypatch, failure
):
    def hub(*args):
        raise failure

    monkeypatch.setattr(weights, "hub_folder", hub)
    model = load_clip("auto", "auto")
    assert not model.is_clip and "\n" not in model.label
    assert "could not be had" in model.label and str(failure).partition("\n")[0] in model.label
    assert StandIn().label == StandIn.label  # the reason is of this one alone


def test_offline_takes_the_stand_in_whatever_a_cache_holds(monkeypatch):
    monkeypatch.setattr(weights, "hub_folder", None)  # asking would fail
    monkeypatch.setattr(clip, "StandIn", lambda reason="": "the stand-in")
    assert load_clip("auto", "offline") == "the stand-in"


def test_a_broken_folder_is_told(tmp_path):
    with pytest.raises(WeightsUnavailable, match=r"no readable open_clip_config.json"):
        load_clip(str(tmp_path))
    folder, _ = write(tmp_path / "small", SMALL, extra=torch.zeros(1))
    with pytest.raises(ValueError, match=r"(?s)weights and open_clip_config.json differ .*extra"):
        load_clip(str(folder))
    path = folder / "open_clip_model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(WeightsUnavailable, match="is damaged"):
        load_clip(str(folder))
    path.unlink()
    with pytest.raises(WeightsUnavailable, match="holds no weights"):
        load_clip(str(folder))
    (folder / "open_clip_config.json").write_text("{")
    with pytest.raises(WeightsUnavailable, match="no readable"):
        load_clip(str(folder))


def test_a_model_with_another_tokenizer_is_refused(tmp_path):
    config = {**SMALL, "text_cfg": {**SMALL["text_cfg"], "hf_tokenizer_name": "someone/else"}}
    (tmp_path / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config}), encoding="utf8"
    )
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
    images = torch.stack(
        [stand_in.preprocess(picture(colour)) for colour in ("red", "green", "white")]
    )
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
        alone = torch.nn.functional.normalize(stand_in.text_tower([text]).detach(), dim=-1)[0]
        torch.testing.assert_close(alone, vector, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(len(texts)))
    images = torch.stack(
        [stand_in.preprocess(picture("red", (40 * size, 300))) for size in (1, 5, 9)]
    )
    alone = torch.cat([stand_in.encode_image(image[None]) for image in images])
    torch.testing.assert_close(stand_in.encode_image(images), alone, atol=1e-5, rtol=1e-4)


def test_equal_pictures_get_equal_bits_in_any_company(stand_in):
    images = torch.stack([stand_in.preprocess(picture(colour)) for colour in ("red", "blue")])
    alone = stand_in.encode_image(images[:1])[0]
    for rows in ([0, 0, 1], [1, 0], [1, 1, 1, 0]):
        vectors = stand_in.encode_image(images[rows])
        assert all(torch.equal(vectors[i], alone) for i, row in enumerate(rows) if row == 0)


def test_the_number_of_threads_changes_no_bit_of_the_stand_in(stand_in):
    images = torch.stack([stand_in.preprocess(picture(colour)) for colour in ("red", "blue")])

    def vectors():
        stand_in.texts.pop("a bee", None)
        return stand_in.encode_image(images), stand_in.encode_text(["a bee"])

    one = vectors()
    torch.set_num_threads(2)
    try:
        two = vectors()
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


class Counting(TwoTowers):
    """Texts as their length, pictures as their mean; remembers what went through the towers."""

    name = "counting"

    def __init__(self):
        super().__init__()
        self.batches, self.sizes = [], []

    def preprocess(self, image):
        return torch.from_numpy(np.array(image.resize((5, 5)))).permute(2, 0, 1) / 255

    def text_tower(self, texts):
        self.batches.append(list(texts))
        return torch.tensor([[len(text), 1.0, text.count("e")] for text in texts])

    def image_tower(self, images):
        self.sizes.append(len(images))
        return images.mean((2, 3))


@given(st.lists(st.lists(st.text("abe ", max_size=6), min_size=1, max_size=50), max_size=5))
@settings(deadline=None)
def test_each_distinct_text_goes_through_the_tower_once(calls):
    model = Counting()
    for texts in calls:
        vectors = model.encode_text(texts)
        wanted = torch.tensor([[len(text), 1.0, text.count("e")] for text in texts])
        torch.testing.assert_close(vectors, torch.nn.functional.normalize(wanted, dim=-1))
    seen = [text for batch in model.batches for text in batch]
    assert len(seen) == len(set(seen)) and set(seen) == {text for texts in calls for text in texts}
    assert all(len(batch) <= clip.BATCH for batch in model.batches)


def test_scores_and_labels_of_a_gallery_encode_each_text_once(tmp_path):
    gallery = Gallery(Counting(), paint(tmp_path), cache=None)
    first = gallery.scores(["a bee", "a red bee", "a bee"])
    assert torch.equal(gallery.scores(["a red bee"])[0], first[1]) and torch.equal(*first[[0, 2]])
    label_scores(gallery, ["bee", "red bee"], ["a {}", "the {}", "a {}"])
    explain(gallery, "a red bee", 0)
    seen = [text for batch in gallery.model.batches for text in batch]
    assert len(seen) == len(set(seen)) and {"a bee", "the bee", "the red bee"} <= set(seen)


def test_new_texts_go_in_few_full_batches():
    model = Counting()
    model.encode_text([f"text {number}" for number in range(3 * clip.BATCH)])
    assert [len(batch) for batch in model.batches] == [clip.BATCH] * 3


@pytest.mark.parametrize("size", [1, 4, 8])
def test_pictures_go_in_full_batches_of_the_devices_size(size):
    model, images = Counting(), torch.rand(7, 3, 5, 5)
    model.device, model.at_once = torch.device("cpu"), size
    vectors = model.encode_image(images)
    assert set(model.sizes) == {size}
    wanted = torch.nn.functional.normalize(images.mean((2, 3)), dim=-1)
    torch.testing.assert_close(vectors, wanted)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_encodes_pictures_as_the_cpu_does_and_equal_ones_equally(stand_in):
    images = torch.stack([stand_in.preprocess(picture(colour)) for colour in ("red", "blue")])
    vectors = stand_in.encode_image(images[[0, 1, 0]])
    assert vectors.device.type == "cpu" and torch.equal(vectors[0], vectors[2])
    assert torch.equal(stand_in.encode_image(images[:1])[0], vectors[0])
    assert stand_in.tower.conv_stem.weight.device.type == "cuda"


# Layers by name in EfficientNet's wheel and in timm, which counts blocks within a stage
BLOCKS = [(stage, place) for stage, n in enumerate((1, 2, 2, 3, 3, 4, 1)) for place in range(n)]
WHEEL = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
IN_BLOCK = dict(zip(WHEEL, ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3"), strict=True))
IN_FIRST = dict(zip(WHEEL[2:], ("conv_dw", "bn1", "conv_pw", "bn2"), strict=True))  # no expansion
OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
OUTSIDE["_fc"] = "classifier"


def timm_name(name):
    """timm's name of a tensor of the wheel."""
    *block, layer, kind = name.split(".")
    if not block:
        return f"{OUTSIDE[layer]}.{kind}"
    stage, place = BLOCKS[int(block[1])]
    return f"blocks.{stage}.{place}.{(IN_BLOCK if stage else IN_FIRST)[layer]}.{kind}"


def test_efficientnets_weights_taken_by_order_are_those_of_the_same_names():
    stored = weights.read_tensors(weights.wheel_files(weights.EFFICIENTNET), ["*.pth"])
    loaded = efficientnet()[0].state_dict()
    assert loaded.keys() == {timm_name(name) for name in stored}
    assert all(torch.equal(loaded[timm_name(name)], value) for name, value in stored.items())


@pytest.mark.parametrize(
    ("wheel", "timm_s"),
    [
        ("_conv_stem.weight", "conv_stem.weight"),
        ("_bn0.running_mean", "bn1.running_mean"),
        ("_blocks.0._depthwise_conv.weight", "blocks.0.0.conv_dw.weight"),
        ("_blocks.0._project_conv.weight", "blocks.0.0.conv_pw.weight"),
        ("_blocks.0._bn2.bias", "blocks.0.0.bn2.bias"),
        ("_blocks.1._expand_conv.weight", "blocks.1.0.conv_pw.weight"),
        ("_blocks.14._bn2.num_batches_tracked", "blocks.5.3.bn3.num_batches_tracked"),
        ("_blocks.15._project_conv.weight", "blocks.6.0.conv_pwl.weight"),
        ("_bn1.weight", "bn2.weight"),
        ("_fc.bias", "classifier.bias"),
    ],
)
def test_names_in_the_wheel_and_in_timm(wheel, timm_s):
    assert timm_name(wheel) == timm_s


def test_the_stand_ins_preprocessing_is_that_of_its_training(stand_in):
    """Shorter side to 256, bicubic, the centre 224 x 224, values from about -1 to 1."""
    image = picture("red", (400, 320))
    middle = image.resize((320, 256), Image.Resampling.BICUBIC).crop((48, 16, 272, 240))
    values = torch.tensor(np.asarray(middle), dtype=torch.float32).permute(2, 0, 1)  # 0 ... 255
    torch.testing.assert_close(stand_in.preprocess(image), (values - 127) / 128)


def test_an_attempt_of_the_hunt_is_one_batch_of_texts(tmp_path, monkeypatch):
    folder, _ = write(tmp_path / "small", SMALL)
    model, batches = load_clip(str(folder)), []
    tower = model.text_tower
    monkeypatch.setattr(model, "text_tower", lambda texts: batches.append(texts) or tower(texts))
    gallery = Pictures(model, packaged_photographs()[:3], torch.eye(8)[:3])
    attempt(gallery, "a small red boat on a quiet lake in the early morning sun", 1)
    assert len(batches) == 1 and len(batches[0]) == 13  # the caption, and without each of 12 words
