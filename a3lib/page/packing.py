"""What the page computes with: weights in half precision, words and their failures, emoji."""

import base64
import io
import json

import torch
from PIL import Image
from safetensors import safe_open

from a3lib.data.emoji import emoji, gallery
from a3lib.lab.widgets.failure_explorer import ABOUT, word_table
from a3lib.translation.models import load_model
from a3lib.translation.pairs import load_pairs

KNOWN = [{"positions": name, "causal": True} for name in ("none", "sinusoid")]
HUNTED = 52  # pictures of the short hunt
RENAMED = {  # parts of open_clip's text tower, as the page's transformer calls them
    "token_embedding": "embedding",
    "positional_embedding": "positions",
    "transformer.resblocks": "blocks",
    "ln_1": "attention_norm",
    "ln_2": "mlp_norm",
    "attn.out_proj": "attention.out",
    "mlp.c_fc": "mlp.0",
    "mlp.c_proj": "mlp.2",
    "ln_final": "norm",
}


def text(tensor):
    """A tensor in half precision, low byte first, as base64."""
    return base64.b64encode(tensor.detach().cpu().numpy().astype("<f2").tobytes()).decode()


def packed(weights):
    """Named tensors as one text, with the number of values of each."""
    names = [[name, value.numel()] for name, value in weights.items()]
    return {"names": names, "data": text(torch.cat([one.flatten() for one in weights.values()]))}


def translator(path):
    """A kept translator with weights rounded to half precision, and the same for models.js.

    Raises ValueError for settings that models.js does not know.
    """
    model = load_model(path)
    with safe_open(path, framework="pt") as file, torch.no_grad():
        settings = json.loads(file.metadata()["settings"])
        for weight in model.parameters():  # its tables of places stay exact
            weight.copy_(weight.half())
    known = {
        "gru": True,
        "rnn-attention": settings["attention"] == "additive",
        "transformer": settings["transformer"] in KNOWN,
        "modern": all(settings["modern"].values()),
    }
    if not known[settings["kind"]]:
        raise ValueError(f"{path}: models.js has no {settings}, take a model as recorded")
    return model, {"settings": settings, "weights": packed(model.state_dict())}


def failures(models):
    """The unseen words: [[word, target, each model's output or '' where it is right], ...]."""
    table = word_table(models, load_pairs("unseen")).drop(columns=ABOUT[2:])
    return [
        [word, target, *("" if one == target else one for one in outputs)]
        for word, target, *outputs in table.itertuples(index=False)
    ]


def text_tower(model):
    """The text tower of open_clip's `CustomTextCLIP` as models.js builds it."""
    tower, weights = model.text, {}
    for name, value in tower.state_dict().items():
        for old, new in RENAMED.items():
            name = name.replace(old, new)
        if "in_proj" in name:  # the three maps of an attention in one
            kind = name.rpartition("_")[2]
            for letter, part in zip("QKV", value.chunk(3), strict=True):
                weights[f"decoder.{name.rpartition('.')[0]}.{letter}.{kind}"] = part
        elif name == "text_projection":
            weights["projection.weight"] = value.T.contiguous()
            weights["projection.bias"] = value.new_zeros(value.shape[1])
        else:
            weights[f"decoder.{name}"] = value
    names = {name.replace("attn.", "attention."): value for name, value in weights.items()}
    heads, layers = tower.heads, len(tower.transformer.resblocks)
    return {
        "settings": {"heads": heads, "layers": layers, "hidden_size": tower.width},
        "weights": packed(names),
    }


def words_of(vocabulary):
    """{word: places of its tokens} of names, keywords and frequent English words."""
    named = {word for one in emoji() for word in f"{one.name} {one.keywords}".lower().split()}
    listed = sorted({word.strip(",.:!?“”") for word in named} | set(load_pairs("large").words))
    found = {word: vocabulary.tokens(word)[1:-1] for word in listed}
    return {word: tokens for word, tokens in found.items() if tokens}


def hunt(clip, style="noto", seed=0):
    """The hunt among the emoji of a style that the `SmallClip` has not seen."""
    pictures = gallery(clip, style)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(pictures), generator=generator).tolist()
    start, end = (clip.vocabulary.places[token] for token in clip.vocabulary.ends)
    return {
        "tower": text_tower(clip.model),
        "words": words_of(clip.vocabulary),
        "ends": [start, end],
        "longest": clip.context_length,
        "features": text(pictures.features),
        "names": [[one.name, one.keywords] for one in emoji()],
        "credit": pictures.photographs[0].credit,
        "label": clip.label,
        "short": order[:HUNTED],
        "sheet": sheet([one.pixels for one in pictures.photographs]),
    }


def sheet(tiles, columns=40):
    """Pictures (3, side, side) in rows of `columns`, as one WebP address."""
    side = tiles[0].shape[1]
    whole = Image.new("RGB", (columns * side, -(-len(tiles) // columns) * side), "white")
    for place, tile in enumerate(tiles):
        corner = place % columns * side, place // columns * side
        whole.paste(Image.fromarray(tile.movedim(0, 2).numpy()), corner)
    return address(whole, quality=80)


def address(image, **options):
    """A picture as a WebP data address."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", **options)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
