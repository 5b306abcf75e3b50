#!/usr/bin/env bash
# Gradescope runs this once, as root, when the image is built.
set -e
apt-get update && apt-get install -y python3 python3-pip
python3 -m pip install torch --index-url https://download.pytorch.org/whl/cpu
python3 -m pip install numpy pandas scipy transformers joblib tqdm
chmod -R go-rwx "$(dirname "$0")" # submissions run as another user
