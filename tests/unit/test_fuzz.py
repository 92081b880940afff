"""Raw files and params.yaml, changed at random: each run ends well, or with one line."""

import gzip
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from stages.backend import dense, determinism
from stages.common import params
from stages.common.errors import in_one_line
from stages.common.paths import PARAMS, RAW
from stages.prepare import __main__ as prepare
from stages.train import __main__ as train
from stages.train import checkpoint, seeding
from stages.visualize.schema import VisualizeParams
from tests.builders import write_data_set

# A hundred by default, more where somebody asks.
ROUNDS = int(os.environ.get("FUZZ", "120"))

# What may stand for a value or a key of params.yaml, or between them.
SCALARS = "0 1 -1 3.5 1e400 -1e-400 .nan .inf 0x 1_ 08 ~ '' yes true 2024-02-30 2024-01-01 é"
SIGNS = "[ ] { } [] {} [[[[ - # --- ... %TAG | > ' @ ` &a *a !x"
TOKENS = (
    *(*SCALARS.split(), *SIGNS.split()),
    *('"', "\\", "\0", "\x7f", "\ufeff", "\t", "\n", "9" * 400, "a" * 999, "%YAML 1.1"),
    *("{1: 2}", "{[1]: 2}", "? ", "- ", ": ", "&a [*a]", "<<: *a", "!!int x", "!!binary ="),
    *("!!set {a}", "!!omap [a]", "!!python/name:os.system"),
)


def damage(content: bytes, chance: random.Random) -> bytes:
    """Change some bytes, or take out, double, zero or insert some."""
    start = chance.choice([chance.randrange(20), chance.randrange(len(content) + 1)])
    end = start + chance.choice([0, 1, 4, 100, len(content)])
    part = content[start:end]
    instead = chance.choice([b"", part * 2, bytes(len(part)), chance.randbytes(len(part) or 3)])
    return content[:start] + instead + content[end:]


def damage_text(content: bytes, chance: random.Random) -> bytes:
    """Put a token in the place of a word or of a value, or double a line, or take one out."""
    lines = content.decode().splitlines(keepends=True)
    i = chance.randrange(len(lines))
    match chance.randrange(4):
        case 0:
            words = lines[i].split(" ")
            words[chance.randrange(len(words))] = chance.choice(TOKENS)
            lines[i] = " ".join(words)
        case 1:
            key, colon, _ = lines[i].partition(":")
            lines[i] = f"{key}{colon} {chance.choice(TOKENS)}\n"
        case 2:
            lines.insert(chance.randrange(len(lines)), lines[i])
        case 3:
            del lines[i]
    return "".join(lines).encode()


def pack(content: bytes, chance: random.Random) -> bytes:
    return damage(gzip.compress(content), chance) if chance.random() < 0.9 else content


def check_params() -> None:
    params.load("visualize", VisualizeParams)


STAGES: dict[str, Callable[[], None]] = {
    "prepare": prepare.main,
    "train": lambda: train.main(lambda: None),
    "visualize": check_params,
}


def ending(i: int, stage: str, main: Callable[[], None]) -> str:
    """Run a stage; return its one line, or that it is done."""
    try:
        with in_one_line(stage):
            main()
        line = f"{stage}: done"
    except SystemExit as stopped:
        line = str(stopped.code)
    except BaseException as error:
        pytest.fail(f"round {i}, {stage}: {error!r}\n{PARAMS.read_bytes()!r}")
    assert line.startswith(f"{stage}: "), (i, line)
    assert line.isprintable(), (i, line)
    assert len(line) < 600, (i, line)
    return line


def test_random_damage_to_pictures_ends_well_or_in_one_line(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    PARAMS.write_text(PARAMS.read_text().replace("dataset: mnist", "dataset: ours"))
    good: dict[Path, bytes] = {}
    for i in range(12):
        path = RAW / f"ours/{'ab'[i % 2]}/{i}.{('png', 'jpg', 'jpeg')[i % 3]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = "P" if i == 0 else ("L", "RGB")[i % 2]
        Image.effect_noise((9, 7), 50).convert(mode).save(path)
        good[path] = path.read_bytes()
    ended: dict[str, int] = {}
    for i in range(ROUNDS // 2):
        chance = random.Random(i)  # noqa: S311
        path = chance.choice(list(good))
        path.write_bytes(damage(good[path], chance))
        line = ending(i, "prepare", prepare.main)
        ended[line] = ended.get(line, 0) + 1
        path.write_bytes(good[path])
    assert len(ended) > 5, "kinds of endings"
    assert 0 < ended["prepare: done"] < ROUNDS / 2


def test_random_damage_ends_well_or_in_one_line(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of prepare, train up to the network, and the check of what visualize is told."""
    for name in "build", "summarise", "compile_model", "fit_epoch":
        monkeypatch.setattr(train, name, lambda *_: None)
    monkeypatch.setattr(seeding, "draw_weights", lambda *_: None)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # most of the time otherwise
    monkeypatch.setattr(dense, "replace", lambda _: None)
    monkeypatch.setattr(determinism, "portability", lambda _: "shown")
    monkeypatch.setattr(checkpoint, "prune", lambda path: sys.exit(f"train: {path}"))
    write_data_set(RAW / "mnist", train=60, test=20)
    (RAW / "mnist/classes.txt").write_text("".join(f"class {i}\n" for i in range(10)))
    good = {path: path.read_bytes() for path in [*(RAW / "mnist").iterdir(), PARAMS]}
    ended: dict[str, int] = {}
    for i in range(ROUNDS):
        chance = random.Random(i)  # noqa: S311
        for path in (RAW / "mnist").iterdir():
            path.unlink()
        for path, content in good.items():
            path.write_bytes(content)
        for path in chance.choices(list(good), k=chance.choice([1, 1, 2])):
            if path.suffix in (".txt", ".yaml"):
                change = chance.choice([damage, damage_text])
                path.write_bytes(change(good[path], chance))
            elif chance.random() < 0.5:
                path.write_bytes(damage(good[path], chance))
            else:
                path.unlink(missing_ok=True)
                path.with_name(f"{path.name}.gz").write_bytes(pack(good[path], chance))
        for stage, main in STAGES.items():
            line = ending(i, stage, main)
            ended[line] = ended.get(line, 0) + 1
        capsys.readouterr()
    assert len(ended) > ROUNDS / 10, "kinds of endings: else the damage is always the same"
    assert ended["prepare: done"] < ROUNDS / 2
