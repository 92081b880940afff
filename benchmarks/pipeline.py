"""Measure the pipeline against the same work in one script, on this machine, and print tables.

Each round clones HEAD into a fresh folder and runs the script and the pipeline in turn. Nothing
else should run meanwhile. Takes about a quarter of an hour on two cores.
"""

from collections.abc import Iterable, Iterator
from statistics import median

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.measuring import measure_parts, measure_run
from stages.common.paths import PARAMS, RAW, X_TRAIN, Y_TRAIN
from stages.prepare import idx
from tools.clone import fresh_clone
from tools.dvc_internals import apply_overrides

Row = tuple[str, float, float]  # what was measured, of the reference, of the pipeline


def run_round() -> Iterator[Row]:
    """Run the script, the pipeline, both after a change, and single commands, in a fresh clone."""
    script, cold = measure_run("python -m benchmarks.baseline"), measure_run("dvc repro")
    yield "fit, one epoch (s)", median(script.epochs), median(cold.epochs)
    yield "everything, cold (s)", script.seconds, cold.seconds
    apply_overrides(PARAMS, ["visualize.dpi=120"])
    yield "again with another dpi (s)", script.seconds, measure_run("dvc repro").seconds
    apply_overrides(PARAMS, ["train.epochs=1"])
    short_script, short = measure_run("python -m benchmarks.baseline"), measure_run("dvc repro")
    yield "again with one epoch (s)", short_script.seconds, short.seconds
    for _ in range(3):
        nothing, version = measure_run("dvc repro").seconds, measure_run("dvc version").seconds
        yield "again with nothing changed (s)", script.seconds, nothing
        yield "nothing to do, against `dvc version` (s)", version, nothing
    # Stages run by hand come last: they write their outputs anew, and `dvc repro` would hash them.
    for stage in ["prepare", "visualize"] * 3:
        imports = measure_run("python -c 'import tensorflow'").seconds
        seconds = measure_run(f"python -m stages.{stage}").seconds
        yield f"{stage}, against `import tensorflow` (s)", imports, seconds
    evaluate, prepare = measure_parts("stages.evaluate"), measure_parts("stages.prepare")
    more = {"export": cold.stages["export"], "doubts": evaluate["doubts"]}
    more |= {"maps": evaluate["occlusion"], "near copies": prepare["copies"]}
    for name, seconds in more.items():
        yield f"{name}, a part of everything cold (s)", script.seconds, seconds
    yield "everything cold but these four (s)", script.seconds, cold.seconds - sum(more.values())
    apply_overrides(PARAMS, ["train.instructions=native"])
    native = measure_run("python -m stages.train")
    yield "the first epoch, against all instructions (s)", native.epochs[0], short.epochs[0]
    for (kind, module), peak in cold.memory.filter(like="stages.", axis=0).unstack().items():
        reference = script.memory.loc["benchmarks.baseline", kind]
        yield f"peak {kind} memory, {module} (MB)", reference, peak


def tabulate_costs(rows: Iterable[Row]) -> str:
    """Return a table of medians, as Markdown; the reference is the script, or what a row names."""
    table = pd.DataFrame(rows, columns=["", "reference", "pipeline"])
    costs = table.groupby("", sort=False).median()
    costs["ratio"] = costs["pipeline"] / costs["reference"]
    return str(costs.to_markdown(floatfmt=("", ".1f", ".1f", ".2f")))


def measure_growth(module: str, sizes: Iterable[int]) -> str:
    """Return the seconds and the memory that a stage needs for each of `sizes` of its data.

    `sizes` yields a number of images when the data are that large. Train is timed by its epoch.
    """
    rows = []
    for images in sizes:
        run = measure_run(f"python -m {module}")
        seconds = sum(run.epochs) or run.seconds
        rows.append((images, seconds, images / seconds, *run.memory.loc[module]))
    columns = ["images", f"{module} (s)", "images a second", "private (MB)", "resident (MB)"]
    table = pd.DataFrame(rows, columns=columns)
    return str(table.to_markdown(index=False, floatfmt=(",.0f", ".1f", ",.0f", ".0f", ".0f")))


def repeat_images() -> Iterator[int]:
    """Repeat the training set that prepare wrote; yield each of four sizes when it has it."""
    arrays = {path: np.load(path) for path in (X_TRAIN, Y_TRAIN)}
    for scale in (1, 2, 4, 8):
        for path, array in arrays.items():
            np.save(path, np.concatenate([array] * scale))
        yield scale * len(array)


def write_pictures() -> Iterator[int]:
    """Write MNIST's images as PNG files in folders; yield each of four sizes when it is reached."""
    images = idx.read_array(RAW / "mnist/train-images-idx3-ubyte.gz", 3)
    for i in range(70_000):
        path = RAW / f"pictures/{i % 10}/{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[i % len(images)]).save(path)
        if i + 1 in (10_000, 20_000, 40_000, 70_000):
            yield i + 1


if __name__ == "__main__":
    rows: list[Row] = []
    for _ in range(2):
        with fresh_clone():
            rows += run_round()
    print(tabulate_costs(rows), end="\n\n", flush=True)
    with fresh_clone():
        apply_overrides(PARAMS, ["train.epochs=1"])
        measure_run("python -m stages.prepare")
        print(measure_growth("stages.train", repeat_images()), end="\n\n", flush=True)
        apply_overrides(PARAMS, ["prepare.dataset=pictures"])
        print(measure_growth("stages.prepare", write_pictures()))
        measure_run("dvc repro prepare")
        print(f"Nothing to do: {measure_run('dvc repro prepare').seconds:.1f} s")
