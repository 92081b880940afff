"""What tests do with files and folders, in one version: read them all, hash, damage or edit one."""

from hashlib import md5
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML


def read_tree(folder: Path) -> dict[str, bytes]:
    """Return the content of each file below `folder`, by its path from there."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def md5_of(path: Path) -> str:
    return md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def flip_a_byte(content: bytes, place: int | None = None) -> bytes:
    """Return `content` with one bit of the byte at `place` changed, by default in its middle."""
    changed = bytearray(content)
    changed[len(content) // 2 if place is None else place] ^= 1
    return bytes(changed)


def damage(path: Path) -> None:
    """Flip a byte of a file, and keep its mode, which DVC makes 0444 in its cache."""
    content, mode = path.read_bytes(), path.stat().st_mode
    path.chmod(0o644)
    path.write_bytes(flip_a_byte(content))
    path.chmod(mode)


def set_parameter(path: Path, key: str, value: Any) -> None:
    """Change one parameter, such as `train.epochs`, in a YAML file whose comments stay."""
    document = YAML().load(path)
    *sections, leaf = key.split(".")
    target = document
    for section in sections:
        target = target[section]
    target[leaf] = value
    YAML().dump(document, path)
