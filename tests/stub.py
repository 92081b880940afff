"""Stands for each stage where a test needs DVC and no TensorFlow: python stage.py NAME.

Writes every output that dvc.yaml declares for the stage. Its bytes depend on the parameters and the
data that are declared. With SECONDS in the environment, train takes so long after it has written a
part of its history; with NOISE, train writes other bytes; the stage that FAIL names fails, as does
a training on batches of 512 images.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import yaml

name = sys.argv[1]
stage = yaml.safe_load(Path("dvc.yaml").read_text())["stages"][name]
params = yaml.safe_load(Path("params.yaml").read_text())


def value(key: str) -> Any:
    found = params
    for part in key.split("."):
        found = found[part]
    return found


def content(dependency: str) -> bytes:
    """Return the bytes of a file of data, or of a folder of them; code has no effect."""
    path = Path(dependency.replace("${prepare.dataset}", params["prepare"]["dataset"]))
    if path.parts[0] not in ("data", "models", "reports"):
        return b""
    files = sorted(path.glob("*")) if path.is_dir() else [path]
    return b"".join(file.read_bytes() for file in files)


if os.environ.get("FAIL") == name:
    sys.exit(f"{name}: broken")
if name == "train":
    if seconds := os.environ.get("SECONDS"):
        Path("reports/history.csv").write_text("of the first epoch\n")
        time.sleep(float(seconds))
    if params["train"]["batch_size"] == 512:
        sys.exit("train: batches of 512 are too large")

read = hashlib.sha256(json.dumps([value(key) for key in stage.get("params", [])]).encode())
for dependency in stage["deps"]:
    read.update(content(dependency))
if name == "train":
    read.update(os.environ.get("NOISE", "").encode())
digest = read.hexdigest()

first, n = int(digest[:8], 16), 50 + int(digest[8:10], 16)
mistakes = [(first + i) % 1000 for i in range(n)]
accuracy = {"accuracy": 1 - n / 1000, "loss": 0.1}
measured = {"validation": accuracy | {"images": 30}, "test": accuracy | {"images": 1000}}
metrics = {"train": {"portable": "shown"}} | measured
special = {
    "reports/metrics.json": json.dumps(metrics),
    "reports/mistakes.csv": "\n".join(["index,actual,predicted", *(f"{i},1,7" for i in mistakes)]),
}
for kind in "outs", "metrics", "plots":
    for out in stage.get(kind, []):
        path = Path(out if isinstance(out, str) else next(iter(out)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(special.get(str(path), f"{path} {digest}") + "\n")
