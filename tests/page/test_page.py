"""The page without a server, in a real browser: it computes what PyTorch does, and asks for nothing."""

import base64
import json
import re
from pathlib import Path

import chromium
import numpy as np
import pytest
import torch

from a3lib.clip.small import SmallClip
from a3lib.common import one_thread
from a3lib.lab.clip_runs import CLIP_RUNS, start, vocabulary
from a3lib.page import __main__ as command
from a3lib.page import build, notebooks, packing
from a3lib.translation.batches import SOS, encode_pairs, indices
from a3lib.translation.greedy_decoding import translate_words
from a3lib.translation.metrics import predictions
from a3lib.translation.pairs import load_pairs
from a3lib.translation.sentences import translate

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "notebooks/records"
FILES = {name: file for file, (name, _) in build.TRANSLATORS.items()}
WORDS = list(load_pairs("unseen"))[::2]  # 1,000
EVIL = "<img src=x onerror=alert(1)>"
LOGITS = """
(() => {
  const one = built(data.models[%s]), all = [];
  for (const [word, target] of %s) {
    one.start(encoded(word));
    const symbols = encoded(target);
    [SOS, ...symbols.slice(0, -1)].forEach((symbol) => all.push(...one.step(symbol)));
  }
  const bytes = new Uint8Array(new Float32Array(all).buffer);
  let text = "";
  bytes.forEach((byte) => { text += String.fromCharCode(byte); });
  return btoa(text);
})()"""


@pytest.fixture(scope="module")
def clip():
    """A small CLIP without training, its weights as half precision holds them."""
    model, _ = start(CLIP_RUNS["live-noto"], seed=0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.half())
    return SmallClip(model, vocabulary())


@pytest.fixture(scope="module")
def path(tmp_path_factory, clip):
    """The page, built into a temporary folder."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    build.build(ROOT, path, clip)
    return path


@pytest.fixture(scope="module")
def browser(path, tmp_path_factory):
    """A browser that shows the page, with the network cut."""
    if chromium.found() is None:
        pytest.skip("no Chromium is installed")
    browser = chromium.Browser(tmp_path_factory.mktemp("profile"))
    options = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.call("Network.emulateNetworkConditions", offline=True, **options)
    browser.open(path.as_uri())
    yield browser
    browser.close()


@pytest.fixture
def page(browser, path):
    """The page as it is after opening."""
    browser.complaints.clear()
    browser.open(path.as_uri())
    return browser


@one_thread()
@torch.no_grad()
def torch_logits(model, pairs):
    """Logits under teacher forcing, words of equal lengths at once: rows as models.js has them."""
    rows, lengths = [None] * len(pairs), {}
    for place, (word, target) in enumerate(pairs):
        lengths.setdefault((len(word), len(target)), []).append(place)
    for places in lengths.values():
        source = torch.tensor([indices(pairs[place][0]) for place in places])
        prefix = torch.tensor([[SOS, *indices(pairs[place][1])[:-1]] for place in places])
        for place, logits in zip(places, model(source, prefix), strict=True):
            rows[place] = logits
    return torch.cat(rows).double()


def page_logits(browser, name, pairs):
    text = browser.evaluate(LOGITS % (json.dumps(name), json.dumps(pairs)))
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), "<f4").copy()).view(-1, 29)


def gap(found, wanted):
    smallest = np.log(np.finfo(np.float32).tiny)  # where single precision ends
    return (found.double() - wanted.clamp_min(smallest)).abs().max()


def typed(browser, name, text):
    """Put text into a field as a reader does."""
    browser.evaluate(f"document.getElementById('{name}').select()")
    browser.type(text)


def text_of(browser, name):
    return browser.evaluate(f"document.getElementById('{name}').textContent")


def choose(browser, name, value):
    browser.evaluate(
        f"(({name}) => {{ {name}.value = {json.dumps(value)};"
        f" {name}.dispatchEvent(new Event('input', {{ bubbles: true }})); }})"
        f"(document.getElementById('{name}'))"
    )


@pytest.mark.parametrize("name", FILES)
def test_logits_of_a_thousand_words_are_pytorchs(browser, name):
    model, _ = packing.translator(RECORDS / f"{FILES[name]}.safetensors")
    found = page_logits(browser, name, WORDS)
    single = torch_logits(model, WORDS)
    assert gap(found, torch_logits(model.double(), WORDS)) < 1e-4
    if name == "recipe":  # single precision loses the logarithms of tiny shares, not the shares
        assert (found.exp() - single.exp()).abs().max() < 1e-5
    else:
        assert gap(found, single) < 3e-4  # PyTorch's own rounding: 9e-5 where this was written


def test_a_word_takes_less_than_50_ms(browser):
    words = json.dumps([word for word, _ in WORDS[:300]])
    times = browser.evaluate(
        f"((one) => {words}.map((word) => {{ const start = performance.now();"
        " translated(one, word); return performance.now() - start; }))(built(data.models.recipe))"
    )
    assert np.median(times) < 50


@pytest.mark.parametrize("name", FILES)
def test_words_are_decoded_as_in_python(browser, name):
    model, _ = packing.translator(RECORDS / f"{FILES[name]}.safetensors")
    words = [word for word, _ in WORDS[::10]] + ["a", "-", "y", "a-", "x" * 64]
    one = f"built(data.models[{json.dumps(name)}])"
    decoded = f"((one) => {json.dumps(words)}.map((word) => translated(one, word)))({one})"
    for word, found, wanted in zip(
        words, browser.evaluate(decoded), translate_words(model, words), strict=True
    ):
        assert len(found) == len(wanted.probabilities), word
        shares = [share for _, share in found]
        assert np.allclose(shares, wanted.probabilities, atol=1e-3), word


def test_a_head_that_is_off_adds_nothing(browser):
    model, _ = packing.translator(RECORDS / f"{FILES['transformer']}.safetensors")
    model.double().decoder.blocks[2].cross.register_forward_hook(
        lambda _, given, out: (torch.zeros_like(out[0]), out[1])
    )
    recipe, _ = packing.translator(RECORDS / f"{FILES['recipe']}.safetensors")
    with torch.no_grad():
        recipe.double().encoder.blocks[0].attention.out.weight[:, 32:] = 0
    for name, changed, key in (
        ("transformer", model, "cross 2 0"),
        ("recipe", recipe, "encoder 0 1"),
    ):
        pairs = json.dumps(WORDS[:20])
        code = LOGITS % (json.dumps(name), pairs)
        code = code.replace(", all = []", f", all = []; one.off.add('{key}')")
        text = browser.evaluate(code)
        found = torch.from_numpy(np.frombuffer(base64.b64decode(text), "<f4").copy()).view(-1, 29)
        assert gap(found, torch_logits(changed, WORDS[:20])) < 1e-4
        whole, _ = packing.translator(RECORDS / f"{FILES[name]}.safetensors")
        assert gap(found, torch_logits(whole, WORDS[:20])) > 0.1


def test_the_reader_sees_what_the_library_says(page):
    model, _ = packing.translator(RECORDS / f"{FILES['transformer']}.safetensors")
    choose(page, "model", "transformer")
    for text in (
        "The air-conditioning isn't WORKING",
        "Dr. No's 7 naïve cafés, I say: ’tis a-b_c!",
        " ".join(["x" * 65, "Y", "II"]),
        "",
    ):
        typed(page, "text", text) if text else choose(page, "text", "")
        assert text_of(page, "translation") == translate(text, model).text
    choose(page, "text", "shopping")
    choose(page, "map", "cross 1 0")
    shown = page.evaluate("[...document.querySelectorAll('#letters tr')].map((r) => r.innerText)")
    maps = model.attention_maps(
        torch.tensor([indices("shopping")]),
        torch.tensor([[SOS, *indices(translate("shopping", model).text)[:-1]]]),
    ).cross[1][0, 0]
    assert len(shown) == 1 + len("shopping") + 1
    for line, weights in zip(shown[1:], maps, strict=True):
        cells = [int(cell or 0) for cell in line.split("\t")[1:]]
        assert np.allclose(cells, 100 * weights, atol=0.51)


def test_switches_and_models_without_attention(page):
    choose(page, "text", "shopping")
    before = text_of(page, "translation")
    page.evaluate("document.querySelectorAll('#switches input').forEach((one) => one.click())")
    assert text_of(page, "translation") != before
    page.evaluate("document.querySelectorAll('#switches input').forEach((one) => one.click())")
    assert text_of(page, "translation") == before
    choose(page, "model", "GRU")
    assert page.evaluate("document.getElementById('heads').hidden")
    assert page.evaluate("document.querySelectorAll('#letters tr').length") == 1
    assert not page.complaints


def test_failures_are_those_of_the_models(page):
    model, _ = packing.translator(RECORDS / f"{FILES['transformer']}.safetensors")
    table = predictions(model, encode_pairs(load_pairs("unseen")))
    choose(page, "failing", "transformer")
    choose(page, "low", "9")
    choose(page, "high", "11")
    choose(page, "begins", "s")
    choose(page, "holds", "in")
    chosen = table[table.letters.between(9, 11)]
    chosen = chosen[chosen.word.str.startswith("s") & chosen.word.str.contains("in")]
    wrong = chosen[~chosen.correct]
    assert 0 < len(wrong) < 21
    told = (
        f"{len(chosen)} words, {len(wrong)} of them wrong in transformer; {len(wrong)} are listed."
    )
    assert text_of(page, "counted") == told
    lines = page.evaluate(
        "[...document.querySelectorAll('#failed tr')].slice(1).map((one) => one.innerText)"
    )
    for line, row in zip(lines, wrong.itertuples(), strict=True):
        cells = [cell.strip() for cell in line.split("\t")]
        assert cells[:2] == [row.word, row.target] and cells[3] == f"✗ {row.output}"
    page.evaluate("document.querySelector('#failed button').click()")
    assert page.evaluate("document.getElementById('text').value") == wrong.word.iloc[0]
    assert page.evaluate("document.activeElement.id") == "text"


def test_the_hunt_ranks_as_the_model_does(page, clip):
    captions = ["rocket", "A red heart", "animals, with wings", "zzz", " ".join(["yellow"] * 30)]
    found = torch.tensor(page.evaluate(f"{json.dumps(captions)}.map(scores)"))
    order = torch.randperm(1241, generator=torch.Generator().manual_seed(0))[: packing.HUNTED]
    features = packing.gallery(clip, "noto").features[order].half().float()
    wanted = clip.encode_text([one.lower().replace(",", "") for one in captions]) @ features.T
    assert (found - wanted).abs().max() < 1e-4
    name = page.evaluate("hunt.names[target][0]")
    page.evaluate("document.getElementById('caption').focus()")
    page.type(name)
    page.press("Enter", 13, "\r")
    row = found.new_tensor(page.evaluate(f"scores({json.dumps(name)})"))
    rank = int((row >= row[page.evaluate("target")]).sum())
    assert f"Ranks so far: {rank}." in text_of(page, "hunted")
    assert page.evaluate("document.querySelectorAll('#found figure').length") == 5
    page.evaluate("document.getElementById('hint').click()")
    assert text_of(page, "hunted").startswith("It goes with: ")
    pixels = page.evaluate(
        "document.getElementById('sheet').decode().then(() => [...document.querySelector('#target"
        " canvas').getContext('2d').getImageData(0, 0, 32, 32).data])"
    )
    assert len(set(pixels)) > 2  # it is drawn


def test_what_is_typed_stays_text(page):
    tags = "[...new Set([...document.querySelectorAll('*')].map((one) => one.tagName))].sort()"
    images, before = "document.querySelectorAll('img, script').length", page.evaluate(tags)
    count = page.evaluate(images)
    for name in ("text", "begins", "holds", "caption"):
        typed(page, name, EVIL)
        page.evaluate("document.getElementById('look').click()")
    assert page.evaluate(images) == count and set(page.evaluate(tags)) <= {*before, "FIGCAPTION"}
    assert re.fullmatch(r"<\S+ \S+=\S+ \S+=\S+\(1\)>", text_of(page, "translation"))
    assert "onerror" in text_of(page, "hunted") and not page.complaints


def test_what_notebooks_hold_is_escaped(tmp_path):
    output = {"data": {"text/html": EVIL, "text/plain": EVIL}, "metadata": {}}
    png = base64.b64encode((ROOT / "notebooks/picture.png").read_bytes()).decode()
    picture = {"data": {"image/png": png}, "metadata": {"image/png": {"alt": f'"{EVIL}'}}}
    text = (
        f'# {EVIL}\n\n## {EVIL}\n\n**The answer.** {EVIL} [✓](#a "{EVIL}") [b](javascript:c)\n\n* d'
    )
    cells = [
        {"cell_type": "markdown", "source": [text]},
        {"cell_type": "code", "source": [EVIL], "outputs": [output, picture]},
        {"cell_type": "markdown", "source": ["## nothing follows"]},
    ]
    path = tmp_path / "one.ipynb"
    path.write_text(json.dumps({"cells": cells}), encoding="utf8")
    title, section = notebooks.section(path)
    assert title == EVIL and "<img src=x" not in section and "javascript" not in section
    assert section.count("<img") == 1 and "<li>d</li>" in section and "nothing" not in section
    page = build.page({"failures": ["</script>" + EVIL]}, {title: section}, {EVIL: EVIL})
    assert "<img src=x" not in page and page.count("</script>") == 2


def test_markdown_of_answers_becomes_html():
    text = "**A** *b* `c<d`.\n\n* one\n* two\n\n| | pro |\n|---|---|\n| $x$ | **<y>** |"
    table = "<tr><td><th>pro<tr><th><i>x</i><td><b>&lt;y&gt;</b>"
    wanted = "<p><b>A</b> <i>b</i> <code>c&lt;d</code>.</p><ul><li>one</li><li>two</li></ul>"
    assert notebooks.blocks(text) == f'{wanted}<table class="text">{table}</table>'


def test_the_page_asks_for_nothing_and_is_small(browser, path):
    text = path.read_text(encoding="utf8")
    assert path.stat().st_size < 12e6
    assert all(one.startswith(("file:", "data:")) for one in browser.requests)
    assert not re.search(r"""(?:src|href|action)=["'](?!#|data:)|url\(|@import|import\(""", text)
    script = text[text.rindex("<script>") :]
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|fetch\(|http", script)
    assert not browser.complaints


def test_every_control_has_a_name_and_every_place_a_link(page):
    unnamed = page.evaluate(
        "[...document.querySelectorAll('input, select, button, img:not([hidden]), canvas')].filter("
        "(one) => !(one.labels?.length || one.textContent || one.alt || one.ariaLabel)).length"
    )
    assert unnamed == 0
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    links = page.evaluate("[...document.links].map((one) => one.getAttribute('href').slice(1))")
    assert set(links) <= set(ids) and len(links) == 10
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((h) => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert page.evaluate("document.querySelectorAll('[role=status]').length") == 3


def test_it_works_by_keyboard(page):
    page.evaluate("document.activeElement.blur()")
    page.press("Tab", 9)
    assert page.evaluate("document.activeElement.className") == "skip"
    page.press("Enter", 13, "\r")
    page.press("Tab", 9)
    assert page.evaluate("document.activeElement.id") == "text"
    typed(page, "text", "stop")
    assert text_of(page, "translation") == "opstay"
    page.press("Tab", 9)
    page.press("ArrowDown", 40)
    assert page.evaluate("document.getElementById('model').value") == "transformer"
    outline = "getComputedStyle(document.activeElement).outlineWidth"
    assert page.evaluate(outline) == "3px"


@pytest.mark.parametrize("width", [390, 900])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_the_screen_and_can_be_read(page, width, theme):
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=900,
        deviceScaleFactor=1,
        mobile=False,
    )
    features = [{"name": "prefers-color-scheme", "value": theme}]
    page.call("Emulation.setEmulatedMedia", features=features)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    colours = page.evaluate(
        "['body', 'small', 'a', '.wrong', '#letters td'].map((where) => {"
        " const style = getComputedStyle(document.querySelector(where)); return style.color; })"
    )
    heat = page.evaluate(
        "(() => { const cell = document.querySelector('#letters td + td') ??"
        " document.querySelector('#letters td'); cell.style.setProperty('--weight', '100%');"
        " return getComputedStyle(cell).backgroundColor; })()"
    )
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for colour in colours:
        assert contrast(colour, ground) >= 4.5
    assert contrast(colours[-1], heat) >= 4.5


def contrast(one, other):
    """The ratio of the luminances of two colours, as WCAG counts it."""

    def luminance(colour):
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_unknown_settings_and_missing_records_are_refused(tmp_path):
    (tmp_path / "notebooks/records").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="recipe-best-small-0"):
        build.build(tmp_path, tmp_path / "page.html")
    assert [one.name for one in tmp_path.iterdir()] == ["notebooks"]
    with pytest.raises(ValueError, match=r"models\.js has no"):
        packing.translator(RECORDS / "fair-noncausal64-small-0.safetensors")


def test_the_command_builds_a_page_without_a_hunt(tmp_path, monkeypatch, capsys):
    called = []
    monkeypatch.setattr(command, "build", lambda *given: called.append(given) or page.touch())
    page = tmp_path / "page.html"
    monkeypatch.chdir(ROOT / "notebooks")
    command.main(["-o", str(page), "--no-hunt"])
    assert called == [(ROOT, page, None)] and "page.html: 0.0 MB" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        command.main([])
    assert "go to the project's folder" in capsys.readouterr().err


def test_a_kept_small_clip_is_taken_and_a_missing_one_trained(tmp_path, monkeypatch):
    from a3lib.lab import clip_experiments

    made = []
    monkeypatch.setattr(clip_experiments, "run", lambda *a, **options: made.append((a, options)))
    monkeypatch.setattr(clip_experiments, "load", lambda *given: given)
    wanted = ("live-noto", tmp_path / "live-noto-0.safetensors")
    assert command.small_clip(tmp_path) == wanted
    assert made == [(("live-noto",), {"seed": 0, "models": tmp_path})]
    wanted[1].touch()
    assert command.small_clip(tmp_path) == wanted and len(made) == 1
