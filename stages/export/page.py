"""The page on which one tries the model: one file of HTML, which asks no network for anything."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

FOLDER = Path(__file__).parent
SCRIPTS = "network.js", "prepare.js", "page.js"


def encode(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()


def pick(images: np.ndarray, labels: np.ndarray, most: int = 20) -> list[dict[str, Any]]:
    """Return the first image of each class, for as many as `most` classes, and their labels.

    `images` are float32 (n, height, width, channels) in [0, 1]; they are encoded as bytes.
    """
    _, first = np.unique(labels, return_index=True)
    pixels = {i: np.rint(images[i] * 255).astype(np.uint8) for i in first[:most]}
    return [{"image": encode(image), "label": int(labels[i])} for i, image in pixels.items()]


def render(**content: Any) -> str:
    """Fill the template, with `model` as the data of its scripts; a name it lacks is an error."""
    script = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    blocks: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True}
    html = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, **blocks)
    template = html.from_string((FOLDER / "try.html.jinja").read_text(encoding="utf-8"))
    return template.render(content, script=script, digest=digest) + "\n"
