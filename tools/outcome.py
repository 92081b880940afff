"""Say what the last run gave: the test accuracy, and the address of the page that shows it."""

import json

from stages.common.errors import in_one_line
from stages.common.paths import METRICS, PAGE


def main() -> None:
    with in_one_line("outcome"):
        test = json.loads(METRICS.read_text(encoding="utf-8"))["test"]
        print(
            f"\nTest accuracy: {test['accuracy']:.2%}, {test['errors']:,} of "
            f"{test['images']:,} images misclassified\nThe page: {PAGE.resolve().as_uri()}"
        )


if __name__ == "__main__":
    main()
