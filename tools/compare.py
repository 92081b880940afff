"""Compare the model of REVISION, or of the workspace, with that of BASE on their test images."""

import argparse
import json
from collections.abc import Sequence
from io import StringIO
from math import comb
from typing import Any

import pandas as pd
from ruamel.yaml.error import YAMLError

from stages.common.errors import InputError, in_one_line
from stages.common.paths import CLASSES, METRICS, MISTAKES, X_TEST, Y_TEST
from stages.visualize.intervals import wilson
from tools.results import Results, parse, warn_of_validation
from tools.revisions import read_texts
from tools.shared import share

NEEDED = {"validation.accuracy", "test.accuracy", "test.images"}
NEEDED |= {str(path) for path in (X_TEST, Y_TEST, CLASSES)}


def load(revision: str | None) -> Results:
    """Read the results of a revision, or of the workspace; raise InputError if one is missing."""
    called = revision or "workspace"
    try:
        metrics, mistakes, lock = read_texts(revision, METRICS, MISTAKES, "dvc.lock")
        table = pd.read_csv(StringIO(mistakes))
        mistaken = dict(zip(table["index"].tolist(), table["predicted"].tolist(), strict=True))
        results = parse(called, metrics, lock)._replace(mistakes=mistaken)
        for name in NEEDED - results.metrics.keys() - results.outputs.keys():
            raise KeyError(name)
    except (KeyError, OSError, TypeError, ValueError, YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{called} has no results ({reason}): expected those of dvc repro"
        ) from None
    return results


def compare(base: Results, other: Results) -> dict[str, Any]:
    """Return how many shared images were fixed and broken, and what that says of test accuracy.

    `p` is that of the exact McNemar test: how often a fair coin would divide the images on which
    the models differ so unevenly. The 95% interval of the difference, `low` to `high`, is
    conditional on these images: it is Wilson's interval of the share that was fixed, mapped.
    `warning` is empty if the validation accuracies are of the same images. `images` counts those
    that both test sets have, whose accuracy is `shared`, and how the sets differ otherwise. Raises
    InputError if no image is in both, or if one has a class that only one of the runs knows.
    """
    base_wrong, other_wrong, counts = share(base, other)
    fixed, broken = (int(n.sum()) for n in (base_wrong & ~other_wrong, other_wrong & ~base_wrong))
    n, images = fixed + broken, counts["shared"]
    low, high = ((2 * bound * n - n) / images for bound in wilson(fixed, n))
    tail = sum(comb(n, i) for i in range(min(fixed, broken) + 1)) / 2**n
    accuracies = {
        key: {"revision": run.name}
        | {part: run.metrics[f"{part}.accuracy"] for part in ("validation", "test")}
        | {"shared": float(1 - wrong.mean())}
        for key, run, wrong in (("base", base, base_wrong), ("other", other, other_wrong))
    }
    changes = {"fixed": fixed, "broken": broken, "difference": (fixed - broken) / images}
    statistics = {"low": low, "high": high, "p": min(1.0, 2 * tail)}
    warning = {"warning": warn_of_validation([base, other])}
    return accuracies | {"images": counts} | changes | statistics | warning


def describe(found: dict[str, Any]) -> str:
    """Return a comparison as Markdown, with a judgement."""
    table = pd.DataFrame([found["base"], found["other"]]).set_index("revision").T
    counts, sets = found["images"], ""
    if any(counts[change] for change in ("added", "removed", "relabelled")):
        table = table.rename(index={"shared": "test, shared images"})
        sets = (
            "The test sets differ (images added: {added:,}, removed: {removed:,}, relabelled: "
            "{relabelled:,}). The comparison is of the {shared:,} images in both, judged by the "
            "labels of {name}.\n"
        ).format(name=found["other"]["revision"], **counts)
    else:
        table = table.drop(index="shared")
    difference, low, high = (100 * found[key] for key in ("difference", "low", "high"))
    judgement = (
        "The difference is within chance on these images."
        if found["p"] >= 0.05
        else "The models differ on these images. To tell whether the change or just the seed "
        "caused it, train both with several seeds (python -m sweep seed=1,2,3)."
    )
    text = f"""\
{table.rename_axis("accuracy").to_markdown(floatfmt=".2%")}

{sets}{found["fixed"]} images fixed, {found["broken"]} broken: test accuracy {difference:+.2f} \
points, 95% interval {low:+.2f} to {high:+.2f}; exact McNemar test p = {found["p"]:.3g}.
{judgement}"""
    return f"{text}\n\n{found['warning']}" if found["warning"] else text


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.compare", description=__doc__)
    parser.add_argument("base", metavar="BASE", help="a commit, a branch or an experiment")
    parser.add_argument("revision", metavar="REVISION", nargs="?", help="default: the workspace")
    parser.add_argument("--json", action="store_true", help="print the figures for programs")
    given = parser.parse_args(arguments)
    with in_one_line("compare"):
        found = compare(load(given.base), load(given.revision))
        print(json.dumps(found, indent=2) if given.json else describe(found))


if __name__ == "__main__":
    main()
