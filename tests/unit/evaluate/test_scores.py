"""Scores of each class and calibration, against values computed by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.evaluate import scores


def score(confusions: list[list[int]]) -> pd.DataFrame:
    """Return the scores of predictions that are counted in a matrix, actual by predicted."""
    counts = np.array(confusions)
    actual, predicted = (
        places.repeat(counts.ravel()) for places in np.indices(counts.shape).reshape(2, -1)
    )
    table = pd.DataFrame({"actual": actual, "predicted": predicted})
    return scores.score_classes(table, len(counts))


def test_each_class_has_its_scores() -> None:
    table = score([[3, 1, 0], [2, 4, 0], [0, 0, 5]])
    assert table["precision"].tolist() == [3 / 5, 4 / 5, 1]
    assert table["recall"].tolist() == [3 / 4, 4 / 6, 1]
    assert table["f1"].tolist() == pytest.approx([2 / 3, 8 / 11, 1])
    assert table["support"].tolist() == [4, 6, 5]


def test_a_class_has_no_score_where_nothing_is_divided_by_nothing() -> None:
    """Class 1 is never predicted, class 2 never occurs, class 3 neither."""
    table = score([[1, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert table["precision"].isna().tolist() == [False, True, False, True]
    assert table["recall"].isna().tolist() == [False, False, True, True]
    assert table["f1"].isna().tolist() == [False, False, False, True]
    assert table["f1"].mean() == pytest.approx((0.5 + 0 + 0) / 3), "class 3 does not count"


def test_labels_of_255_classes_do_not_overflow() -> None:
    labels = np.array([254, 254, 0], np.uint8)
    table = scores.score_classes(pd.DataFrame({"actual": labels, "predicted": labels}), 255)
    assert table.loc[[254, 0], "support"].tolist() == [2, 1]
    assert table.loc[[254, 0], "f1"].tolist() == [1, 1]


def test_the_calibration_error_is_the_one_computed_by_hand() -> None:
    # Three of four right at 95 %, one of two at 65 %: gaps 0.2 and 0.15, weighed 4 to 2.
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.65, 0.65])
    correct = np.array([True, True, True, False, True, False])
    bins = scores.bin_by_confidence(confidence, correct)
    assert bins["count"].tolist() == [0] * 9 + [2] + [0] * 4 + [4]
    assert bins.loc[[9, 14], "accuracy"].tolist() == [0.5, 0.75]
    assert bins.loc[[9, 14], "confidence"].tolist() == pytest.approx([0.65, 0.95])
    assert scores.calibration_error(bins) == pytest.approx((4 * 0.2 + 2 * 0.15) / 6)


def test_every_confidence_has_a_bin() -> None:
    counts = scores.bin_by_confidence(np.array([0, 0.03, 0.34, 0.99, 1]), np.ones(5, bool))["count"]
    assert counts[counts > 0].to_dict() == {0: 2, 5: 1, 14: 2}


def test_predictions_read_from_csv_are_calibrated_as_the_ones_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "predictions.csv"
    confidence = np.random.default_rng(0).random(1000, np.float32)
    correct = confidence > 0.5
    pd.DataFrame({"confidence": confidence}).to_csv(path)
    read = pd.read_csv(path)["confidence"].to_numpy()
    pd.testing.assert_frame_equal(
        scores.bin_by_confidence(read, correct),
        scores.bin_by_confidence(confidence, correct),
        check_exact=True,
    )


def answer(confidence: list[float], correct: list[int]) -> pd.DataFrame:
    return scores.answer_some(
        pd.Series(confidence, dtype=np.float32), pd.Series(correct, dtype=bool)
    )


def test_the_most_confident_answers_are_trusted_first() -> None:
    trust = answer([0.6, 0.9, 0.8, 0.7], [0, 1, 1, 0])
    assert trust["answered"].tolist() == [0.25, 0.5, 0.75, 1]
    assert trust["accuracy"].tolist() == pytest.approx([1, 1, 2 / 3, 2 / 4])


def test_the_order_of_equally_confident_answers_is_of_no_importance() -> None:
    """One of three is wrong, whichever comes first: each counts as two thirds of a hit."""
    for correct in [1, 1, 0], [0, 1, 1]:
        trust = answer([0.9, 0.5, 0.5, 0.5], [1, *correct])
        assert trust["accuracy"].tolist() == pytest.approx(
            [1, (1 + 2 / 3) / 2, (1 + 4 / 3) / 3, 0.75]
        )


def test_of_many_answers_the_curve_has_a_thousand_points_and_ends_with_all_of_them() -> None:
    random = np.random.default_rng(0)
    confidence = random.permutation(3210) / 3210
    correct = random.random(3210) < confidence
    trust = scores.answer_some(pd.Series(confidence), pd.Series(correct))
    assert len(trust) == 1000
    assert trust.iloc[-1].tolist() == [1, correct.mean()]
    by_hand = correct[confidence.argsort()[::-1][: round(trust["answered"][299] * 3210)]].mean()
    assert trust["accuracy"][299] == pytest.approx(by_hand)
    assert trust["answered"][299] == pytest.approx(0.3, abs=1 / 3210)


def test_the_least_confident_percent_is_left_to_a_person() -> None:
    wrong = {3, 250, 996}  # of a thousand, the most confident first
    trust = answer([1 - i / 1000 for i in range(1000)], [i not in wrong for i in range(1000)])
    assert scores.trust_at(trust) == pytest.approx(
        {
            "accuracy_at_99": 1 - 2 / 990,
            "accuracy_at_95": 1 - 2 / 950,
            "accuracy_at_90": 1 - 2 / 900,
        }
    )


@pytest.mark.parametrize("n", [1, 10])
def test_a_percent_of_a_few_answers_is_none(n: int) -> None:
    trust = answer([0.5 + i / 100 for i in range(n)], [1] * (n - 1) + [0])
    assert len(trust) == n
    assert scores.trust_at(trust)["accuracy_at_99"] == pytest.approx((n - 1) / n)
