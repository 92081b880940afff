"""Two revisions whose test sets differ are compared on the images that both have."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from stages.common import paths
from stages.common.errors import InputError
from tests.conftest import RunMain
from tests.files import md5_of
from tests.project import Project, environment
from tools.compare import compare, load, main

# A test image (its content is this number), its label, and what a model answered.
Answered = tuple[int, str, str]


@pytest.fixture
def repository(tmp_path: Path, enter: Callable[[Project], None]) -> Project:
    """An empty Git and DVC repository with a remote, in the folder `storage` beside it."""
    root = tmp_path / "clone"
    (root / ".dvc").mkdir(parents=True)
    (root / "reports").mkdir()
    (root / ".dvc/config").write_text(
        "[core]\n    remote = storage\n['remote \"storage\"']\n    url = ../../storage\n"
    )
    (root / ".gitignore").write_text("/data\n/.dvc/cache\n/.dvc/tmp\n")
    repository = Project(root, environment(tmp_path))
    repository.run("git", "init", "--quiet", "--initial-branch", "main")
    enter(repository)
    return repository


def write(
    rows: Sequence[Answered], place: str | None = ".dvc/cache", classes: Sequence[str] = "abc"
) -> None:
    """Write the results of a model on these images, whose arrays are in the store `place`.

    If it is None, they are in the workspace alone.
    """
    contents = {
        paths.X_TEST: np.array([np.full((2, 3, 1), x, np.float32) for x, *_ in rows]),
        paths.Y_TEST: np.array([classes.index(label) for _, label, _ in rows], np.uint8),
    }
    paths.X_TEST.parent.mkdir(parents=True, exist_ok=True)
    for path, array in contents.items():
        np.save(path, array)
    paths.CLASSES.write_text("\n".join(classes) + "\n")
    outs = []
    for path in paths.X_TEST, paths.Y_TEST, paths.CLASSES:
        md5 = md5_of(path)
        outs.append({"path": str(path), "md5": md5, "hash": "md5"})
        if place:
            stored = Path(place, "files/md5", md5[:2], md5[2:])
            stored.parent.mkdir(parents=True, exist_ok=True)
            path.rename(stored)
    stages = {"prepare": {"outs": outs}, "evaluate": {"deps": outs[:2], "outs": []}}
    Path("dvc.lock").write_text(yaml.safe_dump({"stages": stages}))

    wrong = [(i, classes.index(a), classes.index(p)) for i, (_, a, p) in enumerate(rows) if a != p]
    table = [f"{i},train/a/one.png,{actual},{predicted}\n" for i, actual, predicted in wrong]
    paths.MISTAKES.write_text("".join(["index,file,actual,predicted\n", *table]))
    accuracy = {"accuracy": 1 - len(wrong) / len(rows), "images": len(rows)}
    paths.METRICS.write_text(json.dumps({"validation": accuracy, "test": accuracy}))


def commit(repository: Project, rows: Sequence[Answered], **options: str) -> None:
    write(rows, **options)
    repository.commit()


BASE = [(1, "a", "a"), (2, "b", "a"), (3, "a", "b"), (4, "b", "b"), (5, "c", "c")]
# The first is gone, the second was mislabelled, in another order with a new one.
OTHER = [(6, "b", "c"), (5, "c", "a"), (4, "b", "b"), (3, "a", "a"), (2, "a", "a")]


def test_images_of_both_test_sets_are_compared_by_their_content_and_the_newer_labels(
    repository: Project, run_main: RunMain
) -> None:
    commit(repository, BASE)
    write(OTHER)
    found = compare(load("main"), load(None))
    assert found["images"] == {"shared": 4, "added": 1, "removed": 1, "relabelled": 1}
    # Of images 2, 3, 4 and 5, the first model is right about all but 3, the second about all but 5.
    assert (found["fixed"], found["broken"], found["difference"]) == (1, 1, 0)
    assert (found["base"]["shared"], found["other"]["shared"]) == (0.75, 0.75)
    assert (found["base"]["test"], found["other"]["test"]) == (0.6, 0.6)
    code, said = run_main(main, ["main"])
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert code == 0
    assert "| test, shared images | 75.00% | 75.00% |" in lines
    assert (
        "The test sets differ (images added: 1, removed: 1, relabelled: 1). The comparison is of "
        "the 4 images in both, judged by the labels of workspace."
    ) in lines


def test_the_labels_of_the_revision_that_comes_second_count(repository: Project) -> None:
    commit(repository, [(1, "a", "a"), (2, "b", "b")])
    commit(repository, [(1, "b", "a"), (2, "b", "b")])
    found = compare(load("HEAD~1"), load("HEAD"))
    assert (found["base"]["shared"], found["other"]["shared"]) == (0.5, 0.5)
    found = compare(load("HEAD"), load("HEAD~1"))
    assert (found["base"]["shared"], found["other"]["shared"]) == (1, 1)


def test_equal_images_are_matched_by_label_and_then_in_order(repository: Project) -> None:
    commit(repository, [(1, "a", "a"), (1, "b", "b"), (1, "c", "a"), (2, "a", "a")])
    write([(2, "a", "a"), (1, "b", "a"), (1, "a", "a"), (1, "a", "b")])
    found = compare(load("main"), load(None))
    # b to b and a to the first a; then c, for which the first model said a, to the other a.
    assert found["images"] == {"shared": 4, "added": 0, "removed": 0, "relabelled": 1}
    assert found["base"]["shared"] == 1
    assert (found["fixed"], found["broken"]) == (0, 2)


def test_a_new_class_that_changes_the_numbers_of_others_changes_no_label(
    repository: Project,
) -> None:
    commit(repository, [(1, "b", "b"), (2, "c", "b")], classes="bc")
    write([(1, "b", "b"), (2, "c", "c"), (3, "a", "a")], classes="abc")
    found = compare(load("main"), load(None))
    assert found["images"] == {"shared": 2, "added": 1, "removed": 0, "relabelled": 0}
    assert (found["fixed"], found["broken"]) == (1, 0)


@pytest.mark.parametrize(
    ("rows", "classes", "named"),
    [
        # b was renamed to z, of which the first model knows nothing.
        ([(1, "a", "a"), (2, "z", "z"), (3, "z", "z")], "acz", "main: b; workspace: z"),
        # b was divided into b and d.
        ([(1, "a", "a"), (2, "b", "b"), (3, "d", "d")], "abcd", "workspace: d"),
        # b was joined with a.
        ([(1, "a", "a"), (2, "a", "a"), (3, "a", "a")], "ac", "main: b"),
    ],
)
def test_images_whose_class_only_one_of_the_runs_knows_are_not_judged(
    rows: list[Answered], classes: str, named: str, repository: Project, run_main: RunMain
) -> None:
    commit(repository, [(1, "a", "a"), (2, "b", "b"), (3, "b", "b")], classes="abc")
    write(rows, classes=classes)
    assert run_main(main, ["main"]) == (
        1,
        f"compare: test images in both have classes that only one of the runs knows ({named}); "
        "expected the same names in both\n",
    )


@pytest.mark.parametrize("place", ["../storage", ".dvc/cache"])
def test_arrays_are_read_from_the_cache_or_fetched_from_the_remote(
    place: str, repository: Project
) -> None:
    commit(repository, BASE, place=place)
    write(OTHER, place=place)
    assert compare(load("main"), load(None))["images"]["shared"] == 4


def prepare_alone(rows: Sequence[Answered]) -> None:
    """Write what `dvc repro prepare` leaves where evaluate ran on another test set."""
    reports = {path: path.read_text() for path in (paths.METRICS, paths.MISTAKES)}
    evaluate = yaml.safe_load(Path("dvc.lock").read_text())["stages"]["evaluate"]
    write(rows)
    for path, text in reports.items():
        path.write_text(text)
    prepare = yaml.safe_load(Path("dvc.lock").read_text())["stages"]["prepare"]
    stages = {"prepare": prepare, "evaluate": evaluate}
    Path("dvc.lock").write_text(yaml.safe_dump({"stages": stages}))


@pytest.mark.parametrize("rows", [OTHER, BASE[:2]])  # the mistakes name a third image
def test_answers_of_before_prepare_ran_alone_are_not_taken_for_those_on_its_images(
    rows: list[Answered], repository: Project, run_main: RunMain
) -> None:
    commit(repository, BASE)
    prepare_alone(rows)
    assert run_main(main, ["main"]) == (
        1,
        "compare: workspace: evaluate has not run on this data/prepared/x_test.npy; "
        "run dvc repro\n",
    )


def test_arrays_of_the_workspace_are_read_where_the_cache_is_lost(repository: Project) -> None:
    commit(repository, BASE)
    write(OTHER, place=None)
    assert compare(load("main"), load(None))["images"]["shared"] == 4


@pytest.mark.parametrize("remote", [True, False])
def test_arrays_that_are_nowhere_are_named_with_what_to_do(
    remote: bool, repository: Project, run_main: RunMain
) -> None:
    if not remote:
        Path(".dvc/config").write_text("")
    commit(repository, BASE, place="../lost")
    write(OTHER)
    assert run_main(main, ["main"]) == (
        1,
        "compare: data/prepared/x_test.npy: the version of main is neither here nor in the "
        "remote; it is needed because the test sets differ: run dvc push --all-commits where it "
        "was made\n",
    )


def test_a_remote_that_fails_is_said_in_one_line(repository: Project, run_main: RunMain) -> None:
    commit(repository, BASE, place="../lost")
    write(OTHER)
    Path("../storage").write_text("no folder")
    code, said = run_main(main, ["main"])
    assert code == 1
    (line,) = said.splitlines()
    assert line.startswith("compare: The remote can't be asked: ")


def test_test_sets_without_a_common_image_are_refused(repository: Project) -> None:
    commit(repository, BASE)
    write([(7, "a", "a"), (8, "b", "b")])
    said = (
        "main and workspace have no test image in common; expected images of the same size and "
        "content in both"
    )
    with pytest.raises(InputError, match=f"^{said}$"):
        compare(load("main"), load(None))


def test_many_changes_are_counted_as_by_a_dictionary(repository: Project) -> None:
    random = np.random.default_rng(0)

    def draw(images: Sequence[int]) -> list[Answered]:
        labels, predicted = random.choice([*"abc"], (2, len(images))).tolist()
        return list(zip(images, labels, predicted, strict=True))

    before, after = (draw(random.permutation(300)[:200].tolist()) for _ in range(2))
    commit(repository, before)
    write(after)
    found = compare(load("main"), load(None))
    old = {image: (label, answer) for image, label, answer in before}
    both = [(*old[image], label, answer) for image, label, answer in after if image in old]
    n = {"added": 200 - len(both), "removed": 200 - len(both)}
    n |= {"relabelled": sum(row[0] != row[2] for row in both)}
    assert found["images"] == {"shared": len(both)} | n
    assert found["fixed"] == sum(old != label == new for _, old, label, new in both)
    assert found["broken"] == sum(new != label == old for _, old, label, new in both)


def test_equal_test_sets_are_compared_from_git_alone(repository: Project) -> None:
    commit(repository, BASE, place="../lost")
    write([(x, label, label) for x, label, _ in BASE], place="../lost")
    found = compare(load("main"), load(None))
    assert (found["fixed"], found["broken"]) == (2, 0)
