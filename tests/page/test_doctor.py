"""The doctor: what is well is told in a line, each problem with what to do, and nothing is changed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from a3lib import environment
from a3lib.page import doctor
from a3lib.pretrained import weights

ROOT = Path(__file__).parents[2]


def problems(monkeypatch=None):
    return {one.topic: one for one in doctor.report(measured=doctor.SPEED) if one.remedy}


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_here_all_is_well_and_the_report_fits_a_screen():
    command = [sys.executable, "-m", "a3lib"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.endswith("all is well\n") and not done.stderr
    assert len(done.stdout.splitlines()) <= 24 and "5_clip" in done.stdout


def test_a_missing_and_an_old_package_are_told_with_the_command(monkeypatch):
    real = environment.installed_version
    versions = {"timm": None, "pandas": "1.0"}
    monkeypatch.setattr(
        environment, "installed_version", lambda n: versions[n] if n in versions else real(n)
    )
    found = problems()
    assert found["timm"].told == "missing" and found["pandas"].told == "1.0"
    assert found["timm"].remedy.startswith('python -m pip install "timm>=')
    assert set(found) == {"timm", "pandas"}


def test_an_old_python_is_told(monkeypatch):
    monkeypatch.setattr(doctor, "OLDEST", (4, 0))
    assert problems()["Python"].remedy == "install Python 4.0 or newer"


def test_weights_that_would_be_fetched_are_told_with_their_size(monkeypatch, tmp_path):
    monkeypatch.setenv("A3_CACHE", str(tmp_path))
    found = {one.topic: one.told for one in doctor.pretrained()}
    assert found["all-MiniLM-L6-v2"] == "fetched when first used, 90 MB"
    folder = tmp_path / weights.EFFICIENTNET.name
    folder.mkdir()
    (folder / weights.EFFICIENTNET_FILE).write_bytes(b"")
    assert {one.topic: one.told for one in doctor.pretrained()}["efficientnet-lite0"] == "at hand"


def test_a_wrong_switch_is_told(monkeypatch):
    monkeypatch.setenv("A3_WEIGHTS", "nowhere")
    assert "auto, hub, offline, not 'nowhere'" in problems()["A3_WEIGHTS"].remedy


def test_a_cache_that_cannot_be_written_is_told_and_nothing_is_left(monkeypatch, tmp_path):
    def refused(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refused)
    found = problems()
    assert found["cache"].remedy.endswith("set A3_CACHE to a folder of yours")
    assert found["here"].remedy.startswith("it cannot be written (Permission denied)")


def test_a_full_disk_and_a_small_memory_are_told(monkeypatch):
    monkeypatch.setattr(doctor, "FREE", 1e9)
    monkeypatch.setattr(doctor, "MEMORY", 1e9)
    found = problems()
    assert (
        found["cache"].remedy == "free some disk"
        and "close other programs" in found["memory"].remedy
    )


def test_a_damaged_record_is_told_with_the_way_back(monkeypatch, tmp_path):
    folder = tmp_path / "notebooks" / "records"
    folder.mkdir(parents=True)
    whole = json.dumps({"run": "a"}) + "\n"
    (folder / "gru.jsonl").write_text(whole + whole[:5] + "\n" + whole, encoding="utf8")
    monkeypatch.chdir(folder)
    found = {one.topic: one for one in doctor.records()}
    assert (
        found["gru.jsonl"].told == "1 of 3 lines are damaged" and found["records"].told == "2 lines"
    )
    assert "git checkout gru.jsonl" in found["gru.jsonl"].remedy
    monkeypatch.chdir(tmp_path.parent)


def test_elsewhere_it_says_where_to_run_it(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert problems()["records"].remedy == "run this in the project's folder"


def test_twice_as_slow_a_machine_needs_twice_the_minutes():
    (once,), (twice,) = doctor.notebooks(doctor.SPEED), doctor.notebooks(2 * doctor.SPEED)
    minutes = [[float(part.split()[-1]) for part in one.told.split(",")] for one in (once, twice)]
    assert minutes[1] == pytest.approx([2 * value for value in minutes[0]], abs=0.11)
    assert set(doctor.NOTEBOOKS) == {path.stem for path in ROOT.glob("notebooks/*.ipynb")}
