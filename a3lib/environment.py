"""What the notebooks' set-up cell calls: install what is missing, and nothing else."""

import re
import subprocess
import sys
from importlib import metadata

# not needed inside a running kernel, and Colab has its own in place of JupyterLab
NOT_IN_A_KERNEL = ("jupyterlab", "nbval")
# replacing one of these under a running kernel breaks it
KEPT = ("torch", "torchvision", "numpy", "transformers", "ipywidgets", "ipython", "ipykernel")
KEPT += ("matplotlib", "pandas")


def missing_packages():
    """The project's requirements that this environment does not have, as pip takes them."""
    requirements = [text for text in metadata.requires("a3lib") or [] if "extra ==" not in text]
    names = {text: re.match(r"[\w.-]+", text).group() for text in requirements}
    needed = {text: name for text, name in names.items() if name not in NOT_IN_A_KERNEL}
    return [text for text, name in needed.items() if _version(name) is None]


def install_missing():
    """Install the missing requirements; what a running kernel depends on stays as it is.

    Returns the list of what was installed. Raises RuntimeError with pip's last words if it fails.
    """
    missing = missing_packages()
    if missing:
        kept = [f"{name}=={_version(name).partition('+')[0]}" for name in KEPT if _version(name)]
        command = [sys.executable, "-m", "pip", "install", "-q", *missing, *kept]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            words = done.stderr.strip()[-500:]
            raise RuntimeError(f"pip could not install {', '.join(missing)}: {words}")
    return missing


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
