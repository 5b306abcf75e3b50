"""The set-up of a notebook: what is missing or too old is installed, what a kernel runs on stays."""

import subprocess
import sys

import pytest
from packaging.requirements import Requirement

from a3lib import environment
from a3lib.environment import KEPT, install_missing, installed_version, requirements, unmet


def with_versions(monkeypatch, **versions):
    """Let some packages have other versions, or be missing (None)."""
    real = installed_version
    found = lambda name: versions[name] if name in versions else real(name)  # noqa: E731
    monkeypatch.setattr(environment, "installed_version", found)


class Pip:
    """Stands for pip: notes the command, and ends with a status and a message."""

    def __init__(self, status=0, message=""):
        self.returncode, self.stderr, self.commands = status, message, []

    def __call__(self, command, **options):
        self.commands.append(command)
        return self


def names(texts):
    return sorted(Requirement(text).name for text in texts)


def test_nothing_is_missing_here_and_nothing_is_installed(monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_: pytest.fail("pip was called"))
    assert install_missing() == [] and not any(map(unmet, requirements()))


def test_a_missing_package_is_installed_unless_a_kernel_can_do_without(monkeypatch):
    with_versions(monkeypatch, open_clip_torch=None, jupyterlab=None, nbval=None, hypothesis=None)
    monkeypatch.setattr(subprocess, "run", Pip())
    assert names(install_missing()) == ["open_clip_torch"]


@pytest.mark.parametrize(("version", "old"), [("1.0.27", True), ("1.0.28", False), ("2.0", False)])
def test_an_old_package_is_replaced_and_a_newer_one_is_not(monkeypatch, version, old):
    with_versions(monkeypatch, timm=version)
    monkeypatch.setattr(subprocess, "run", Pip())
    assert names(install_missing()) == ["timm"] * old


def test_what_is_missing_is_installed_beside_the_versions_that_a_kernel_runs_on(monkeypatch):
    with_versions(monkeypatch, open_clip_torch=None, timm="0.1")
    pip = Pip()
    monkeypatch.setattr(subprocess, "run", pip)
    assert names(install_missing()) == ["open_clip_torch", "timm"]
    ((python, *command),) = pip.commands
    assert python == sys.executable and command[:3] == ["-m", "pip", "install"]
    pinned = dict(text.split("==") for text in command if "==" in text)
    assert pinned.keys() == {name for name in KEPT if installed_version(name)}
    for name, version in pinned.items():
        assert installed_version(name).startswith(version) and "+" not in version


def test_a_package_that_must_stay_and_is_too_old_is_told_with_the_remedy(monkeypatch):
    with_versions(monkeypatch, torch="1.13+cu117")
    monkeypatch.setattr(subprocess, "run", lambda *_: pytest.fail("pip was called"))
    with pytest.raises(RuntimeError, match=r"torch 1.13.*pip install 'torch>=.*restart the kernel"):
        install_missing()


def test_a_failed_install_is_told_with_pip_s_words(monkeypatch):
    with_versions(monkeypatch, timm=None)
    monkeypatch.setattr(subprocess, "run", Pip(1, "a long story\nERROR: no space left\n"))
    with pytest.raises(RuntimeError, match=r"(?s)could not install timm.*no space left$"):
        install_missing()


def test_a_real_failure_of_pip_is_told(monkeypatch):
    wanted = [Requirement("no-such-package-a3lib @ file:///nowhere")]
    monkeypatch.setattr(environment, "requirements", lambda: wanted)
    with pytest.raises(RuntimeError, match="pip could not install no-such-package-a3lib"):
        install_missing()
