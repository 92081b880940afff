"""Measure the pipeline against the same work in one script, on this machine, and print tables.

Each round clones HEAD into a fresh folder and runs the script and the pipeline in turn. Nothing
else should run meanwhile. Takes about a quarter of an hour on two cores.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pandas as pd
from dvc.utils.hydra import apply_overrides
from PIL import Image

from benchmarks.measuring import Measured, fresh_clone, measure_run
from stages.common.paths import PARAMS, RAW
from stages.prepare import idx

SCRIPT = "python -m benchmarks.baseline"
IMPORT = "python -c 'import tensorflow'"
PREPARE, VISUALIZE = "python -m stages.prepare", "python -m stages.visualize"

# Stages run by hand come last: they write their outputs anew, and `dvc repro` would hash them.
QUICK = ["dvc repro", "dvc version"] * 3 + [PREPARE, VISUALIZE, IMPORT] * 3
ROWS = [
    ("everything, cold (s)", "script", "cold"),
    ("again with another dpi (s)", "script", "dpi"),
    ("again with one epoch (s)", "short script", "short"),
    ("again with nothing changed (s)", "script", "dvc repro"),
    ("nothing to do, against `dvc version` (s)", "dvc version", "dvc repro"),
    ("prepare, against `import tensorflow` (s)", IMPORT, PREPARE),
    ("visualize, against `import tensorflow` (s)", IMPORT, VISUALIZE),
]


def run_round() -> Iterator[tuple[str, Measured]]:
    """Run the script, the pipeline, both after a change, and the quick commands, in a clone."""
    with fresh_clone() as folder:
        yield "script", measure_run(folder, SCRIPT)
        yield "cold", measure_run(folder, "dvc repro")
        apply_overrides(folder / PARAMS, ["visualize.dpi=120"])
        yield "dpi", measure_run(folder, "dvc repro")
        apply_overrides(folder / PARAMS, ["train.epochs=1"])
        yield "short script", measure_run(folder, SCRIPT)
        yield "short", measure_run(folder, "dvc repro")
        for command in QUICK:
            yield command, measure_run(folder, command)
        yield "limited", measure_run(folder, "python -m stages.train")
        runtime = folder / "stages/backend/runtime.py"
        before, limit, after = runtime.read_text().partition('"AVX2"')
        assert limit, "else both runs would be limited"  # noqa: S101
        runtime.write_text(f'{before}"DEFAULT"{after}')
        yield "unlimited", measure_run(folder, "python -m stages.train")


def compare_costs(runs: list[tuple[str, Measured]]) -> str:
    """Return a table of what runs cost; the reference is the script, or what the row names."""
    names, measured = zip(*runs, strict=True)
    table = pd.DataFrame(measured, names)
    seconds = table["seconds"].groupby(level=0).median()
    epoch = table["epochs"].explode().astype(float).groupby(level=0).median()
    peaks = pd.concat(table["memory"].to_list()).groupby(level=0).max()
    rows = [
        ("fit, one epoch (s)", epoch["script"], epoch["cold"]),
        ("the first epoch, against no limit to AVX2 (s)", epoch["unlimited"], epoch["limited"]),
    ]
    rows += [(what, seconds[reference], seconds[name]) for what, reference, name in ROWS]
    rows += [
        (f"peak {kind} memory, {module} (MB)", peaks[kind]["benchmarks.baseline"], peak)
        for (kind, module), peak in peaks.filter(like="stages.", axis=0).unstack().items()
    ]
    costs = pd.DataFrame(rows, columns=["", "reference", "pipeline"])
    costs["ratio"] = costs["pipeline"] / costs["reference"]
    return str(costs.to_markdown(index=False, floatfmt=("", ".1f", ".1f", ".2f")))


def grow_data() -> pd.DataFrame:
    """Return how an epoch and the memory of train grow with the data, which is repeated."""
    rows = []
    with fresh_clone() as folder:
        apply_overrides(folder / PARAMS, ["train.epochs=1"])
        measure_run(folder, PREPARE)
        arrays = {path: np.load(path) for path in folder.glob("data/prepared/*_train.npy")}
        for scale in (1, 2, 4, 8):
            for path, array in arrays.items():
                np.save(path, np.concatenate([array] * scale))
            run = measure_run(folder, "python -m stages.train")
            rows.append((scale * len(array), run.epochs[0], *run.memory.loc["stages.train"]))
    columns = ["images", "one epoch (s)", "private memory (MB)", "resident memory (MB)"]
    return pd.DataFrame(rows, columns=columns)


def grow_pictures() -> pd.DataFrame:
    """Return what prepare needs for more and more pictures: MNIST's, as PNG files in folders."""
    rows = []
    with fresh_clone() as folder:
        images, labels = (
            idx.read(folder / RAW / f"mnist/train-{kind}-ubyte.gz", ndim)
            for kind, ndim in (("images-idx3", 3), ("labels-idx1", 1))
        )
        apply_overrides(folder / PARAMS, ["prepare.dataset=pictures"])
        for start, stop in pairwise((0, 10_000, 20_000, 40_000, 70_000)):
            for i in range(start, stop):
                path = folder / RAW / f"pictures/{labels[i % 60_000]}/{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(images[i % 60_000]).save(path)
            run = measure_run(folder, PREPARE)
            rows.append((stop, run.seconds, stop / run.seconds, *run.memory.loc["stages.prepare"]))
        measure_run(folder, "dvc repro prepare")
        print(f"Nothing to do: {measure_run(folder, 'dvc repro prepare').seconds:.1f} s")
    memory = ["private memory (MB)", "resident memory (MB)"]
    return pd.DataFrame(rows, columns=["pictures", "prepare (s)", "pictures a second", *memory])


if __name__ == "__main__":
    runs = [run for _ in range(2) for run in run_round()]
    print(compare_costs(runs), end="\n\n", flush=True)
    print(grow_data().to_markdown(index=False, floatfmt=(",.0f", ".1f", ".0f", ".0f")))
    print(grow_pictures().to_markdown(index=False, floatfmt=(",.0f", ".1f", ",.0f", ".0f", ".0f")))
