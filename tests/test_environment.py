"""The set-up of a notebook: what is missing is installed, what a kernel runs on stays."""

import re
import subprocess
import sys

import pytest

from a3lib import environment
from a3lib.environment import KEPT, install_missing, missing_packages


def without(monkeypatch, *names):
    """Let some packages be missing."""
    real = environment._version
    monkeypatch.setattr(environment, "_version", lambda name: None if name in names else real(name))


class Pip:
    """Stands for pip: notes the command, and ends with a status and a message."""

    def __init__(self, status=0, message=""):
        self.returncode, self.stderr, self.commands = status, message, []

    def __call__(self, command, **options):
        self.commands.append(command)
        return self


def names(requirements):
    return [re.match(r"[\w.-]+", text).group() for text in requirements]


def test_nothing_is_missing_here_and_nothing_is_installed(monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_: pytest.fail("pip was called"))
    assert missing_packages() == install_missing() == []


def test_a_missing_package_is_found_unless_a_kernel_can_do_without(monkeypatch):
    without(monkeypatch, "open_clip_torch", "jupyterlab", "nbval", "hypothesis")
    assert names(missing_packages()) == ["open_clip_torch"]


def test_what_is_missing_is_installed_beside_the_versions_that_a_kernel_runs_on(monkeypatch):
    without(monkeypatch, "open_clip_torch", "timm")
    pip = Pip()
    monkeypatch.setattr(subprocess, "run", pip)
    assert sorted(names(install_missing())) == ["open_clip_torch", "timm"]
    ((python, *command),) = pip.commands
    assert python == sys.executable and command[:3] == ["-m", "pip", "install"]
    pinned = dict(text.split("==") for text in command if "==" in text)
    assert pinned.keys() == {name for name in KEPT if environment._version(name)}
    for name, version in pinned.items():
        assert environment._version(name).startswith(version) and "+" not in version


def test_a_failed_install_is_told_with_pip_s_words(monkeypatch):
    without(monkeypatch, "timm")
    monkeypatch.setattr(subprocess, "run", Pip(1, "a long story\nERROR: no space left\n"))
    with pytest.raises(RuntimeError, match=r"(?s)could not install timm.*no space left$"):
        install_missing()


def test_a_real_failure_of_pip_is_told(monkeypatch):
    wanted = ["no-such-package-a3lib @ file:///nowhere"]
    monkeypatch.setattr(environment, "missing_packages", lambda: wanted)
    with pytest.raises(RuntimeError, match="pip could not install no-such-package-a3lib"):
        install_missing()
