"""The page, read as text: what it says about a run whose numbers are known."""

import base64
import html
import io
import json
import re
import shutil
import string
from hashlib import md5
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import binomtest

from stages.common import paths
from stages.visualize import figures
from stages.visualize import page as report
from tests.builders import draw, predictions, write_results
from tests.files import set_parameter

FIGURES = [
    paths.FIGURES / f"{name}.png"
    for name in (
        *("confusion_matrix", "trust", "calibration", "confidence", "loss", "accuracy"),
        "kernels",
    )
]


def text(markup: str) -> str:
    """Return what a reader sees of some HTML, in one line."""
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", markup)).split())


def section(page: str, name: str) -> str:
    (found,) = re.findall(f'<section id="{name}">.*?</section>', page, re.DOTALL)
    return str(found)


def alts(page: str) -> list[str]:
    """Return the texts of the figures, without those of the thumbnails."""
    found = re.findall(r'alt="([^"]*)"', page)
    alts = [" ".join(html.unescape(alt).split()) for alt in found]
    return [alt for alt in alts if alt not in ("The picture", "Where the network looked")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight images of four classes, one of them never seen; names that HTML must escape."""
    folder = tmp_path_factory.mktemp("results")
    table = predictions(
        [0, 0, 1, 1, 2, 2, 2, 2], [0, 1, 1, 2, 2, 1, 2, 1], [0.9, 0.6, 0.9, 0.8, 0.9, 0.8, 0.9, 0.6]
    )
    write_results(folder, ["<b>", "é & è", '"q"', "お"], table)
    doubts = "train,5,,1,2,0.75\nvalidation,1230,,0,1,0.5\ntest,3,,1,2,0.8\n"
    with (folder / paths.DOUBTS).open("a") as stream:
        stream.write(doubts)
    return folder


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    """The same, to change something in."""
    return Path(shutil.copytree(folder, tmp_path, dirs_exist_ok=True))


def set_metric(folder: Path, section: str, key: str, value: object) -> None:
    path = folder / paths.METRICS
    metrics = json.loads(path.read_text())
    metrics[section][key] = value
    path.write_text(json.dumps(metrics))


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return draw(folder)


def test_the_page_shows_metrics_data_and_every_parameter(page: str) -> None:
    pairs = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert pairs["Baseline"] == "25.00%"
    assert pairs["Test accuracy"] == "50.00%"
    assert (pairs["Mistakes"], pairs["Loss"], pairs["Macro F1"]) == ("4", "0.5000", "0.7000")
    assert pairs["Calibration error"] == "6.25 points"
    parts = ("Training images", "Validation images", "Test images")
    assert [pairs[part] for part in parts] == ["1,111", "123", "8"]
    assert pairs["Classes"] == "4"
    assert pairs["Image"] == "6 by 5 pixels"
    assert (pairs["seed"], pairs["prepare.dataset"], pairs["model.filters"]) == (
        "42",
        "mnist",
        "[32, 64]",
    )
    assert pairs["train.freeze_after"] == "null", "as in params.yaml"
    assert "Total params: &lt;7&gt;" in page


def test_the_head_tells_accuracy_and_its_interval_and_what_validation_reached(page: str) -> None:
    assert "<title>mnist: 50.00% test accuracy</title>" in page
    assert "<h1>mnist: 50.00% correct</h1>" in page
    low, high = binomtest(4, 8).proportion_ci(method="wilson")
    assert f"between {low:.2%} and {high:.2%} (Wilson" in page
    validation = "On the 123 images held out for validation, the last epoch reached 80.00%"
    assert f"{validation} (loss 0.4000)" in page
    low, high = binomtest(98, 123).proportion_ci(method="wilson")
    assert f"between {low:.2%} and {high:.2%} may differ from these by chance alone" in page
    assert "no better" not in page


def test_each_class_has_its_row_of_scores_by_its_escaped_name(page: str) -> None:
    table = page[page.index("<caption>Scores of each class") :]
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', table[: table.index("</table>")])
    scores = {html.unescape(name): re.findall("<td>(.*?)</td>", cells) for name, cells in rows}
    two, four = (
        "{:.1f}\N{EN DASH}{:.1f}%".format(
            *(100 * end for end in binomtest(n // 2, n).proportion_ci(method="wilson"))
        )
        for n in (2, 4)
    )
    assert scores == {
        "<b>": ["50.0%", two, "100.0%", "0.667", "2"],
        "é & è": ["50.0%", two, "25.0%", "0.333", "2"],
        '"q"': ["50.0%", four, "66.7%", "0.571", "4"],
        "お": ["none", "none", "none", "none", "0"],
    }
    assert "<b>" not in page


def test_the_alt_texts_carry_the_findings(page: str) -> None:
    confusions, trust, calibration, confidence, loss, accuracy, kernels = alts(page)
    assert confusions.endswith('the most frequent confusion is "q" read as é & è, 2 times.')
    assert trust.endswith("50.00% if it answers all, 78.00% if a person answers 10%.")
    found = "of the 4 images in the fullest bin, 100.0% are correct, at a mean confidence of 90.0%."
    assert calibration.endswith(found)
    assert confidence.startswith("How many images each bin of confidence holds")
    assert "from 0.800 to 0.400" in loss
    assert "from 60.0% to 80.0%" in accuracy
    assert kernels == "The 2 kernels of the first convolution."


def test_mistakes_are_shown_with_their_names_the_most_confident_first(page: str) -> None:
    # Equally confident ones stay in the order of the test set.
    assert text(section(page, "mistakes")).endswith(
        'é & è read as "q" , 80.0% image 3 "q" read as é & è , 80.0% image 5 '
        '<b> read as é & è , 60.0% image 1 "q" read as é & è , 60.0% image 7'
    )


def test_what_may_be_labelled_wrong_is_shown_with_where_to_find_it(page: str) -> None:
    shown = text(section(page, "doubts"))
    assert "These labels may be wrong. Of all training, validation and test images whose" in shown
    assert "left out" not in shown
    assert shown.endswith(
        'labelled é & è , read as "q" , 75.0% training image 5 '
        "labelled <b> , read as é & è , 50.0% validation image 1230 "
        'labelled é & è , read as "q" , 80.0% test image 3'
    )


def test_labels_that_were_learnt_by_heart_are_said_to_be_left_out(own: Path) -> None:
    doubts = (own / paths.DOUBTS).read_text().replace("train,5,,1,2,0.75\n", "")
    (own / paths.DOUBTS).write_text(doubts)
    assert "Training images are left out" not in draw(own), "they may have no doubtful label"
    set_metric(own, "train", "by_heart", True)
    shown = text(section(draw(own), "doubts"))
    assert "Of all validation and test images whose label contradicts the network's" in shown
    assert "Training images are left out" in shown


def test_it_says_which_answers_to_trust(page: str) -> None:
    table = section(page, "trust").partition("<tbody>")[2].partition("</tbody>")[0]
    assert text(table) == "100% 0% 50.00% 99% 1% 76.00% 95% 5% 77.00% 90% 10% 78.00%"


def test_it_names_its_model_so_that_git_finds_the_commit(page: str) -> None:
    digest = md5(b"a model", usedforsecurity=False).hexdigest()
    assert f"git log --all -S {digest} -- dvc.lock" in page


def test_pictures_have_the_names_of_their_files_and_the_parameters_that_apply_to_them(
    page: str, own: Path
) -> None:
    test = [f"a&b/{i}\n.png" for i in range(8)]
    (own / paths.FILES).write_text(json.dumps({"train": ["x.png"] * 1234, "test": test}))
    doubts = (own / paths.DOUBTS).read_text().replace("5,,", "5,x.png,")
    (own / paths.DOUBTS).write_text(doubts)
    named = draw(own)
    assert 'é & è read as "q" , 80.0% a&b/3\\n.png' in text(section(named, "mistakes"))
    assert 'labelled é & è , read as "q" , 75.0% training x.png' in text(section(named, "doubts"))
    assert "prepare.centre_ink" in page
    assert "prepare.centre_ink" not in named


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("", "No test image was found that is nearly the same as a training or validation image."),
        (
            "7,2,0.5\n",
            "1 test image is nearly the same as a training or validation image, which",
        ),
        (
            "7,2,0.5\n9,3,1.5\n",
            "2 test images are nearly the same as training or validation images, which",
        ),
    ],
)
def test_copies_of_training_images_are_told(rows: str, said: str, own: Path) -> None:
    (own / paths.COPIES).write_text(f"train,test,distance\n{rows}")
    assert said in text(section(draw(own), "accuracy"))


def test_the_page_holds_the_very_pictures_and_nothing_from_elsewhere(
    page: str, folder: Path
) -> None:
    sources = re.findall(r'src="data:image/png;base64,([^"]*)"', page)
    shown = [base64.b64decode(source) for source in sources]
    files = [(folder / figure).read_bytes() for figure in FIGURES]
    assert [png for png in shown if png in files] == files
    x_train, x_test = (np.load(folder / path) for path in (paths.X_TRAIN, paths.X_TEST))
    images = [x_test[3], x_test[5], x_test[1], x_test[7], x_train[5], x_train[1230], x_test[3]]
    thumbnails = [np.asarray(Image.open(io.BytesIO(png))) for png in shown if png not in files]
    pictures = [pixels for pixels in thumbnails if pixels.ndim == 2]  # the maps have colours
    for pixels, image in zip(pictures, images, strict=True):
        np.testing.assert_array_equal(pixels, (image[..., 0] * 255).round())
    assert len(thumbnails) == 7 + 4, "each mistake has a map"
    assert page.count("src=") == len(sources)
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    assert b"matplotlib" not in (folder / FIGURES[0]).read_bytes().lower()


def test_each_picture_shows_its_own_results_as_finely_as_asked(own: Path) -> None:
    parameters = own / "params.yaml"
    parameters.write_text(parameters.read_text().replace("dpi: 100", "dpi: 50"))
    page = draw(own)
    assert 'width="355" height="278" alt="Loss' in page, "3.7 by 2.9 inches of 96 pixels"

    history, table, bins, trust = (
        pd.read_csv(own / path)
        for path in (paths.HISTORY, paths.PREDICTIONS, paths.CALIBRATION, paths.TRUST)
    )
    figures.use_style()
    expected = (
        figures.draw_confusions(table, ["0", "1", "2", "3"]),  # one of the names can't be written
        figures.draw_trust(trust),
        figures.draw_calibration(bins),
        figures.draw_confidence(bins),
        figures.draw_curves(history, "loss"),
        figures.draw_curves(history, "accuracy"),
        figures.draw_kernels(np.load(own / paths.KERNELS)),
    )
    for path, figure in zip(FIGURES, expected, strict=True):
        assert (own / path).read_bytes() == figures.encode(figure, dpi=50)


def test_a_picture_has_the_same_size_on_the_page_at_any_resolution(folder: Path) -> None:
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (1520).to_bytes(4) + (380).to_bytes(4)
    assert report.embed(png, dpi=100)["width"] == 1459
    assert {key: report.embed(png, dpi=200)[key] for key in ("width", "height")} == {
        "width": 730,
        "height": 182,
    }


def test_parameters_are_listed_whatever_they_are_and_as_many_mistakes_are_shown_as_asked(
    own: Path,
) -> None:
    path = own / "params.yaml"
    nested = "seed: {a: {b: true, c: '<i>'}, d: [1, x], e: null}"
    content = path.read_text().replace("seed: 42", nested).replace("mistakes: 24", "mistakes: 1")
    path.write_text(content)
    maps = np.load(own / paths.MAPS)
    np.save(own / paths.MAPS, maps[:1])
    page = draw(own)
    pairs = dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert {key: html.unescape(pairs[key]) for key in pairs if key.startswith("seed")} == {
        "seed.a.b": "true",
        "seed.a.c": "<i>",
        "seed.d": "[1, 'x']",
        "seed.e": "null",
    }
    shown, _, folded = section(page, "mistakes").partition("<details")
    assert text(shown).endswith('é & è read as "q" , 80.0% image 3')
    assert "The other 3 mistakes" in folded
    assert text(folded).endswith(
        'image 5 "q" é & è 80.0% image 1 <b> é & è 60.0% image 7 "q" é & è 60.0%'
    )


@pytest.mark.parametrize(
    ("portable", "said"),
    [
        ("shown", "reproduces every file, byte for byte, on any x86-64 CPU with AVX2"),
        ("expected", "probably reproduces every file, byte for byte, on any x86-64 CPU"),
        (
            "the model was trained on 2 GPUs (<T4>)",
            "differ, because the model was trained on 2 GPUs (&lt;T4&gt;).",
        ),
    ],
)
def test_where_the_bytes_are_the_same_is_what_train_found(
    portable: str, said: str, own: Path
) -> None:
    set_metric(own, "train", "portable", portable)
    assert said in draw(own)


def test_a_model_that_is_no_better_than_the_commonest_class_is_said_to_be_so(own: Path) -> None:
    set_metric(own, "test", "accuracy", 0.25)  # the baseline
    said = "The accuracy of always naming the commonest class: the network is no better"
    assert said in draw(own)


def test_only_label_smoothing_makes_the_page_explain_the_losses_of_before_calibration(
    page: str, own: Path
) -> None:
    path = own / "params.yaml"
    path.write_text(path.read_text().replace("label_smoothing: 0.0", "label_smoothing: 0.1"))
    smoothed = draw(own)
    for said in "(loss 0.4000 before calibration)", "The losses here are those before this":
        assert said in smoothed
        assert said not in page


def test_an_epoch_that_was_kept_and_classes_that_were_weighted_are_told(
    page: str, own: Path
) -> None:
    set_parameter(own / "params.yaml", "train.keep", "best")
    set_parameter(own / "params.yaml", "train.class_weight", "balanced")
    set_metric(own, "validation", "epoch", 1)
    kept = draw(own)
    for said in (
        "held out for validation, epoch 1, which was kept for its lowest loss, reached 80.00%",
        "The model is that of epoch 1 of 2, which had the lowest validation loss.",
        "The losses count every class alike",
    ):
        assert said in kept
        assert said not in page
    assert "held out for validation, the last epoch reached 80.00%" in page


LETTERS = list(string.digits + string.ascii_lowercase)


@pytest.mark.parametrize(
    ("names", "wrong"), [(["0", "1"], 0), (["$x$", "$\\bad$"], 1), (LETTERS, 36)]
)
@pytest.mark.filterwarnings("error")
def test_any_number_of_classes_and_mistakes_can_be_shown(
    names: list[str], wrong: int, tmp_path: Path
) -> None:
    classes = len(names)
    actual = [i % classes for i in range(2 * classes)]
    predicted = [(label + (i < wrong)) % classes for i, label in enumerate(actual)]
    write_results(tmp_path, names, predictions(actual, predicted, [0.5] * len(actual)))
    page = draw(tmp_path)
    scores = page[page.index("<p>Recall") : page.index('<section id="mistakes">')]
    assert scores.count('scope="row"') == classes
    confusions, mistakes = alts(page)[0], section(page, "mistakes")
    if wrong:
        assert confusions.endswith(f"is {names[0]} read as {names[1]}, 1 time.")
        assert mistakes.count("read as") == min(wrong, 24)
    else:
        assert confusions == "Confusion matrix: no image was misclassified."
        assert "No image of the test set was misclassified" in mistakes
        assert "No label contradicts" in page
