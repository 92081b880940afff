"""Compare the model of REVISION, or of the workspace, with that of BASE on the same test images."""

import argparse
import json
from io import StringIO
from math import comb
from typing import Any, NamedTuple

import pandas as pd
import yaml
from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from dvc.utils.flatten import flatten

from stages.common.errors import InputError, in_one_line
from stages.common.paths import METRICS, MISTAKES, X_TEST, Y_TEST
from stages.visualize.intervals import wilson


class Results(NamedTuple):
    accuracy: dict[str, Any]  # of validation and test, with the name of the revision
    images: int
    mistakes: set[int]
    test_set: list[str]  # md5s
    outputs: dict[str, str]  # the md5 of each
    metrics: dict[str, float]  # all of them, such as test.loss


def load(revision: str | None) -> Results:
    """Read a revision's results, or the workspace's, from git; raise InputError if one lacks."""
    name = revision or "workspace"
    try:
        files = DVCFileSystem(rev=revision)
        metrics = flatten(json.loads(files.read_text(METRICS)))
        mistakes = pd.read_csv(StringIO(files.read_text(MISTAKES)))["index"]
        stages = yaml.safe_load(files.read_text("dvc.lock"))["stages"].values()
        outputs = {out["path"]: out["md5"] for stage in stages for out in stage["outs"]}
        accuracy = {split: metrics[f"{split}.accuracy"] for split in ("validation", "test")}
        test_set = [outputs[str(path)] for path in (X_TEST, Y_TEST)]
        images = metrics["test.images"]
    except (DvcException, KeyError, OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{name} lacks results ({reason}): expected those of dvc repro") from None
    return Results({"revision": name} | accuracy, images, set(mistakes), test_set, outputs, metrics)


def compare(base: Results, other: Results) -> dict[str, Any]:
    """Return how many images were fixed and broken, and what that says of test accuracy.

    `p` is that of the exact McNemar test: how often a fair coin would divide the images on which
    the models differ so unevenly. The 95 % interval of the difference, `low` to `high`, is
    conditional on these images: it is Wilson's interval of the share that was fixed, mapped.
    Raises InputError if the test sets differ.
    """
    if base.test_set != other.test_set:
        names = f"{base.accuracy['revision']} and {other.accuracy['revision']}"
        raise InputError(f"{names} have different test sets ({X_TEST}, {Y_TEST})")
    fixed, broken = len(base.mistakes - other.mistakes), len(other.mistakes - base.mistakes)
    n = fixed + broken
    low, high = ((2 * share * n - n) / base.images for share in wilson(fixed, n))
    tail = sum(comb(n, i) for i in range(min(fixed, broken) + 1)) / 2**n
    images = {"fixed": fixed, "broken": broken, "difference": (fixed - broken) / base.images}
    statistics = {"low": low, "high": high, "p": min(1.0, 2 * tail)}
    return {"base": base.accuracy, "other": other.accuracy} | images | statistics


def describe(found: dict[str, Any]) -> str:
    """Return a comparison as Markdown, with a judgement."""
    table = pd.DataFrame([found["base"], found["other"]]).set_index("revision").T
    difference, low, high = (100 * found[key] for key in ("difference", "low", "high"))
    judgement = (
        "The difference is within chance on these images."
        if found["p"] >= 0.05
        else "The two models differ on these images; whether the change or the seed did it takes "
        "several seeds of both (python -m sweep seed=1,2,3)."
    )
    return f"""\
{table.rename_axis("accuracy").to_markdown(floatfmt=".2%")}

{found["fixed"]} images fixed, {found["broken"]} broken: test accuracy {difference:+.2f} points, \
95 % interval {low:+.2f} to {high:+.2f}; exact McNemar test p = {found["p"]:.3g}.
{judgement}"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.compare", description=__doc__)
    parser.add_argument("base", metavar="BASE", help="a commit, a branch or an experiment")
    parser.add_argument("revision", metavar="REVISION", nargs="?", help="default: the workspace")
    parser.add_argument("--json", action="store_true", help="print the figures for programs")
    arguments = parser.parse_args()
    with in_one_line("compare"):
        found = compare(load(arguments.base), load(arguments.revision))
        print(json.dumps(found, indent=2) if arguments.json else describe(found))
