"""Labels that may be wrong come first, wherever they are."""

import numpy as np
import pandas as pd
import pytest

from stages.common.mistakes import add_files
from stages.evaluate import doubts

CERTAIN = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.1, 0.6]], np.float32)


def test_an_image_is_doubtful_if_the_model_contradicts_its_label() -> None:
    found = doubts.contradict(CERTAIN, np.array([0, 2, 1], np.uint8), ["a.png", "b/c.png", "d.png"])
    assert found.to_dict("list") == {
        "index": [1, 2],
        "file": ["b/c.png", "d.png"],
        "actual": [2, 1],
        "predicted": [1, 2],
        "confidence": [np.float32(0.8), np.float32(0.6)],
        "likelihood": [np.float32(0.1), np.float32(0.1)],
    }


def test_the_least_likely_label_is_the_most_doubtful_one_in_all_parts() -> None:
    likely = np.array([[0.50, 0.49, 0.01], [0.6, 0.39, 0.01]], np.float32)
    unlikely = np.array([[0.51, 0.09, 0.4]], np.float32)
    ranked = doubts.rank(
        {
            "train": doubts.contradict(likely, np.array([1, 1]), []),
            "test": doubts.contradict(unlikely, np.array([1]), []),
        }
    )
    assert ranked.to_csv(index=False).splitlines() == [
        "part,index,file,actual,predicted,confidence",
        "test,0,,1,0,0.51",
        "train,1,,1,0,0.6",
        "train,0,,1,0,0.5",
    ]


def test_equally_likely_labels_stay_in_the_order_of_parts_and_images() -> None:
    labels = np.tile([1, 2], 30)  # the probabilities of which are 0.2 and 0.1
    found = doubts.contradict(np.tile(CERTAIN[:1], (60, 1)), labels, [])
    ranked = doubts.rank({"validation": found, "test": found})
    assert ranked["part"].tolist() == (["validation"] * 30 + ["test"] * 30) * 2
    odd, even = [*range(1, 60, 2)], [*range(0, 60, 2)]
    assert ranked["index"].tolist() == odd * 2 + even * 2


def test_a_thousand_doubts_are_enough() -> None:
    found = doubts.contradict(np.tile(CERTAIN[:1], (1001, 1)), np.ones(1001, int), [])
    assert len(doubts.rank({"train": found})) == 1000


def test_a_model_that_makes_no_mistake_doubts_nothing() -> None:
    nothing = doubts.contradict(CERTAIN, np.array([0, 1, 2]), [])
    ranked = doubts.rank({"train": nothing, "test": nothing})
    assert ranked.to_csv(index=False) == "part,index,file,actual,predicted,confidence\n"


def test_a_name_that_no_terminal_can_show_stays_in_one_line_of_valid_text() -> None:
    table = pd.DataFrame({"index": [2, 0], "actual": 1})
    named = add_files(table, ["caf\u00e9\n.png", "b", "caf\udce9.png"])
    assert named["file"].tolist() == ["caf\\udce9.png", "caf\u00e9\\n.png"]
    assert "file" not in table


@pytest.mark.parametrize(
    ("share", "validation_share", "by_heart"),
    [(0, 0.09, True), (0.001, 0.1, True), (0.0122, 0.0367, False), (0, 0, False), (0.1, 0, False)],
)
def test_labels_are_learnt_by_heart_where_only_those_of_validation_are_contradicted(
    share: float, validation_share: float, by_heart: bool
) -> None:
    assert doubts.are_by_heart(share, validation_share) == by_heart
