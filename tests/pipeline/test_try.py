"""The page to try the model on, in a real browser, from file:// and with the network off."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from predict import Classifier, picture
from stages.backend.runtime import keras
from stages.common import paths
from stages.export import page as rendering
from stages.export.network import describe
from stages.prepare import idx
from stages.train import model, seeding
from tests.browsing import Scheme, barriers, browser, look, needs_browser
from tests.builders import MNIST, SHAPE, model_params
from tests.project import Project

pytestmark = needs_browser
__all__ = ["browser"]

layers = keras.layers
CLASSIFY = """(images) => images.map((text) =>
    [...classify(new Float32Array(decode(text).buffer))])"""


def write(
    folder: Path, network: keras.Model, names: list[str], drawn: bool, samples: Any = ()
) -> Path:
    """Write the page of a network, and return its path."""
    layers, weights = describe(network)
    shape = network.input_shape[1:]
    data = {
        "classes": names,
        "shape": shape,
        "drawn": drawn,
        "layers": layers,
        "weights": rendering.encode(weights),
        "samples": samples,
    }
    path = folder / "try.html"
    content = rendering.render(data=data, reason="", names=names, shape=shape, md5="0" * 32)
    path.write_text(content, encoding="utf-8")
    return path


def classify(page: Page, images: np.ndarray) -> np.ndarray:
    """Return the probabilities that the page gives float32 `images`."""
    found = page.evaluate(CLASSIFY, [rendering.encode(image) for image in images])
    return np.array(found)


@pytest.fixture(scope="module")
def real(browser: Browser, reproduced_once: Project) -> Iterator[Page]:
    """The page of a small run, opened; it is shared."""
    page, trouble = look(browser, reproduced_once.root / paths.TRY, 1280, "light")
    yield page
    assert trouble == []
    page.context.close()


def test_it_answers_as_evaluate_does(real: Page, reproduced_once: Project) -> None:
    images = np.load(reproduced_once.root / paths.X_TEST)
    expected = np.load(reproduced_once.root / paths.PROBABILITIES)
    found = classify(real, images)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))


# Ways of writing a network, and what else params.yaml can say of one.
NETWORKS: dict[str, dict[str, object]] = {
    "compact": {},
    "explicit": {"architecture": "explicit"},
    "functional": {"architecture": "functional"},
    "averaged": {
        "filters": [4, 6, 5],
        "padding": ["valid", "same", "same"],
        "pool_size": [2, 2, 1],
        "dense_units": None,
    },
}


def every_layer() -> keras.Model:
    """Return a network with every layer that may come."""
    return keras.Sequential(
        [
            keras.Input((13, 10, 3)),
            layers.Conv2D(5, (4, 3), padding="same", activation="relu"),
            layers.MaxPooling2D((2, 3)),
            layers.Conv2D(6, 2, padding="same"),
            layers.ReLU(),
            layers.Conv2D(7, 2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4),
            layers.Softmax(),
        ]
    )


@pytest.mark.parametrize("name", [*NETWORKS, "every layer"])
def test_every_network_that_params_can_express_is_computed(
    name: str, browser: Browser, tmp_path: Path
) -> None:
    images: np.ndarray
    if name in NETWORKS:
        network = model.build(model_params(**NETWORKS[name]), SHAPE, 10)
        digits = idx.read_array(MNIST / "t10k-images-idx3-ubyte.gz", 3)[:300]
        images = digits[..., np.newaxis] / np.float32(255)
    else:
        network = every_layer()
        images = np.random.default_rng(0).random((300, 13, 10, 3), np.float32)
    seeding.draw_weights(network, seed=1)
    # Larger weights give answers that are not all alike, and biases that are not 0.
    network.set_weights([2 * array + 0.1 for array in network.get_weights()])
    expected = network.predict(images, verbose=0)
    names = [f"class {i}" for i in range(expected.shape[1])]
    page, trouble = look(browser, write(tmp_path, network, names, drawn=True), 1280, "light")
    np.testing.assert_allclose(classify(page, images), expected, atol=1e-4)
    assert trouble == []
    page.context.close()


# How people draw digits: for each, strokes of points, as fractions of the canvas.
DIGITS: dict[int, list[list[tuple[float, float]]]] = {
    0: [[(0.5, 0.2), (0.35, 0.3), (0.32, 0.6), (0.45, 0.8), (0.62, 0.7), (0.66, 0.4), (0.52, 0.2)]],
    1: [[(0.5, 0.2), (0.5, 0.5), (0.5, 0.8)]],
    2: [[(0.35, 0.3), (0.5, 0.2), (0.65, 0.32), (0.5, 0.55), (0.33, 0.78), (0.7, 0.78)]],
    3: [[(0.35, 0.25), (0.6, 0.25), (0.48, 0.45), (0.65, 0.6), (0.55, 0.78), (0.33, 0.75)]],
    4: [[(0.42, 0.2), (0.32, 0.55), (0.7, 0.55)], [(0.58, 0.3), (0.56, 0.85)]],
    5: [[(0.65, 0.2), (0.4, 0.22), (0.38, 0.45), (0.6, 0.5), (0.62, 0.72), (0.36, 0.78)]],
    6: [[(0.6, 0.2), (0.4, 0.45), (0.38, 0.7), (0.55, 0.8), (0.64, 0.62), (0.42, 0.58)]],
    7: [[(0.33, 0.22), (0.68, 0.22), (0.5, 0.5), (0.44, 0.82)], [(0.42, 0.5), (0.62, 0.5)]],
    8: [
        [(0.5, 0.5), (0.38, 0.35), (0.5, 0.2), (0.62, 0.34), (0.38, 0.68), (0.5, 0.82)],
        [(0.5, 0.82), (0.63, 0.68), (0.5, 0.5)],
    ],
    9: [[(0.63, 0.35), (0.48, 0.22), (0.37, 0.38), (0.5, 0.5), (0.63, 0.36), (0.58, 0.82)]],
}
REPLAY = """(drawings) => drawings.map((drawing) => {
    strokes.splice(0, strokes.length, ...drawing);
    draw();
    const { width, height } = sheet.canvas, { data } = sheet.getImageData(0, 0, width, height);
    const grey = Float32Array.from({ length: width * height }, (_, i) => data[4 * i] / 255);
    const image = prepare(grey, height, width);
    return [sheet.canvas.toDataURL().split(",")[1], [...image], [...classify(image)]];
})"""


def drawings(n: int) -> list[Any]:
    """Return `n` drawings of digits: turned, slanted, of all sizes and places, drawn unsteadily."""
    random = np.random.default_rng(0)
    drawn = []
    for i in range(n):
        matrix = np.eye(2) * random.uniform(0.3, 1.4) + random.normal(0, 0.12, (2, 2))
        middle = random.uniform(0.3, 0.7, 2)
        strokes = [(np.array(stroke) - 0.5) @ matrix + middle for stroke in DIGITS[i % 10]]
        drawn.append([random.normal(stroke, 0.015).tolist() for stroke in strokes])
    return drawn


def test_a_drawing_is_prepared_and_read_as_predict_does(
    real: Page, reproduced_once: Project, tmp_path: Path
) -> None:
    classifier = Classifier(reproduced_once.root / paths.TFLITE)
    same = []
    for png, prepared, probabilities in real.evaluate(REPLAY, drawings(200)):
        path = tmp_path / "drawing.png"
        path.write_bytes(base64.b64decode(png))
        image = picture.load(path, SHAPE, centre_ink=True)
        np.testing.assert_allclose(np.reshape(prepared, SHAPE), image, atol=0.02)
        (expected,) = classifier.probabilities(image[np.newaxis])
        same.append(np.argmax(probabilities) == expected.argmax())
    assert np.mean(same) >= 0.98


def answer(page: Page) -> str:
    """Return the best answer, after the next frame."""
    page.evaluate("new Promise(requestAnimationFrame)")
    page.evaluate("new Promise(requestAnimationFrame)")
    return page.locator("#best").inner_text()


def seen(page: Page) -> np.ndarray:
    """Return what the network sees, uint8 (height, width, 3)."""
    png = base64.b64decode(page.evaluate("$('seen').toDataURL()").split(",")[1])
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_one_draws_with_a_mouse_undoes_and_clears(real: Page, reproduced_once: Project) -> None:
    real.evaluate("change(actions.clear)")
    assert answer(real) == "?"
    box = real.locator("#canvas").bounding_box()
    assert box
    for stroke in DIGITS[4]:
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        real.mouse.move(*points[0])
        real.mouse.down()
        for point in points[1:]:
            real.mouse.move(*point, steps=5)
        real.mouse.up()
    assert answer(real) in map(str, range(10))
    shares = [text.split()[-1] for text in real.locator("#answers li").all_inner_texts()]
    assert len(shares) == 3
    assert all(share.endswith("%") for share in shares)
    assert real.evaluate("strokes.length") == 2
    real.get_by_role("button", name="Undo").click()
    assert real.evaluate("strokes.length") == 1
    real.keyboard.press("Escape")
    assert answer(real) == "?"
    assert real.locator("#hint").is_visible()


def test_one_draws_with_the_arrow_keys_and_chooses_with_enter(
    real: Page, reproduced_once: Project
) -> None:
    real.evaluate("change(actions.clear)")
    real.locator("#canvas").focus()
    real.keyboard.press("ArrowLeft")
    for _ in range(8):
        real.keyboard.press("Shift+ArrowDown")
    real.keyboard.press("ArrowRight")
    real.keyboard.press("Shift+ArrowUp")
    assert real.evaluate("strokes.map((stroke) => stroke.length)") == [9, 2]
    assert answer(real) != "?"
    real.keyboard.press("Control+z")
    assert real.evaluate("strokes.length") == 1
    real.keyboard.down("Shift")
    for key in "ArrowUp", "Escape", "ArrowDown":
        real.keyboard.press(key)
    real.keyboard.up("Shift")
    assert real.evaluate("strokes.map((stroke) => stroke.length)") == [2], "a stroke of its own"
    images = np.load(reproduced_once.root / paths.X_TEST)
    labels = np.load(reproduced_once.root / paths.Y_TEST)
    expected = np.load(reproduced_once.root / paths.PROBABILITIES)
    first = int(np.flatnonzero(labels == 7)[0])
    real.get_by_role("button", name="A test image of the class 7").focus()
    real.keyboard.press("Enter")
    assert answer(real) == str(expected[first].argmax())
    assert "A test image of the class 7" in real.locator("#note").inner_text()
    np.testing.assert_array_equal(seen(real)[..., :1], np.rint(images[first] * 255))


def test_one_draws_with_a_finger(browser: Browser, reproduced_once: Project) -> None:
    path = reproduced_once.root / paths.TRY
    page, trouble = look(browser, path, 390, "light", has_touch=True)
    page.locator("#canvas").tap()
    assert page.evaluate("strokes.length") == 1
    assert answer(page) != "?"
    assert trouble == []
    page.context.close()


@pytest.fixture(scope="module")
def pages(reproduced_once: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of a small run, and one of pictures in colour, whose classes have evil names."""
    network = keras.Sequential(
        [keras.Input((24, 32, 3)), layers.GlobalAveragePooling2D(), layers.Dense(62, "softmax")]
    )
    names = ["<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>"]
    names += [f"class_{i}_" + "supercalifragilistic" * 3 for i in range(60)]
    random = np.random.default_rng(0)
    images = random.integers(256, size=(62, 24, 32, 3)).astype(np.float32) / 255
    folder = tmp_path_factory.mktemp("pictures")
    samples = rendering.pick(images, np.arange(62))
    shown = write(folder, network, names, drawn=False, samples=samples)
    return {"real": reproduced_once.root / paths.TRY, "pictures": shown}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["real", "pictures"])
def test_it_can_be_used_anywhere(
    browser: Browser, pages: dict[str, Path], name: str, width: int, scheme: Scheme
) -> None:
    page, trouble = look(browser, pages[name], width, scheme)
    page.locator("#samples button").first.click()
    answer(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(25, 25, 25)"}[scheme]
    assert page.evaluate("document.images.length") == 0, "no name of a class has become one"
    assert barriers(page) == []
    assert trouble == []
    page.context.close()


def test_a_chosen_picture_is_resized_as_predict_does(
    browser: Browser, pages: dict[str, Path], tmp_path: Path
) -> None:
    page, trouble = look(browser, pages["pictures"], 1280, "light")
    random = np.random.default_rng(0)
    photograph = Image.fromarray(random.integers(256, size=(9, 12, 3)).astype(np.uint8))
    for size in (320, 240), (97, 211), (32, 24), (20, 16):
        path = tmp_path / "photograph.png"
        photograph.resize(size, Image.Resampling.BICUBIC).save(path)
        page.locator("input").first.set_input_files(path)
        expect(page.locator("#note")).to_have_text("photograph.png")
        expected = picture.load(path, (24, 32, 3), centre_ink=False) * 255
        np.testing.assert_allclose(seen(page), expected, atol=1.01)
        page.get_by_role("button", name="Clear").click()
        expect(page.locator("#note")).to_have_text("")
    (tmp_path / "notes.txt").write_text("not a picture")
    page.locator("input").first.set_input_files(tmp_path / "notes.txt")
    expect(page.locator("#note")).to_have_text("notes.txt can't be read; expected a picture")
    assert answer(page) == "?"
    assert trouble == []
    page.context.close()


def test_a_dropped_picture_is_taken(browser: Browser, pages: dict[str, Path]) -> None:
    page, trouble = look(browser, pages["pictures"], 1280, "light")
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(stream, "PNG")
    page.evaluate(
        """(text) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([decode(text)], "teal.png", { type: "image/png" }));
            dispatchEvent(new DragEvent("drop", { dataTransfer: transfer }));
        }""",
        base64.b64encode(stream.getvalue()).decode(),
    )
    expect(page.locator("#note")).to_have_text("teal.png")
    assert answer(page) != "?"
    assert trouble == []
    page.context.close()
