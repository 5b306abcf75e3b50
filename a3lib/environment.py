"""What the notebooks' set-up cell calls: install what is missing or too old, and nothing else."""

import subprocess
import sys
from importlib import metadata

from packaging.requirements import Requirement

# not needed inside a running kernel, and Colab has its own in place of JupyterLab
NOT_IN_A_KERNEL = ("jupyterlab", "nbval")
# replacing one of these under a running kernel breaks it
KEPT = ("torch", "torchvision", "numpy", "transformers", "ipywidgets", "ipython", "ipykernel")
KEPT += ("matplotlib", "pandas")


def requirements():
    """The project's requirements, as `Requirement`s with name and versions."""
    texts = [text for text in metadata.requires("a3lib") or [] if "extra ==" not in text]
    return [Requirement(text) for text in texts]


def unmet(requirement):
    """Whether a package is missing here, or older than what was tested."""
    version = installed_version(requirement.name)
    return version is None or not requirement.specifier.contains(version, prereleases=True)


def install_missing():
    """Install what is missing or too old; what a running kernel depends on stays as it is.

    Returns the list of what was installed. Raises RuntimeError with pip's last words if it fails,
    and with what to do if a package that has to stay is too old.
    """
    needed = [one for one in requirements() if unmet(one) and one.name not in NOT_IN_A_KERNEL]
    old = [one for one in needed if one.name in KEPT and installed_version(one.name)]
    if old:
        told = ", ".join(f"{one.name} {installed_version(one.name)}" for one in old)
        remedy = f"pip install {' '.join(repr(str(one)) for one in old)}"
        raise RuntimeError(f"too old: {told}. Run `{remedy}`, restart the kernel, begin again")
    if needed:
        versions = {name: installed_version(name) for name in KEPT}
        kept = [f"{n}=={v.partition('+')[0]}" for n, v in versions.items() if v]
        wanted = [str(one) for one in needed]
        command = [sys.executable, "-m", "pip", "install", "-q", *wanted, *kept]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            words = done.stderr.strip()[-500:]
            raise RuntimeError(f"pip could not install {', '.join(wanted)}: {words}")
    return [str(one) for one in needed]


def installed_version(name):
    """The version of a package here, None without it."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
