"""What params.yaml may say about preparing."""

from typing import Annotated

from pydantic import Field

from stages.common.params import PositiveInt, Section


class PrepareParams(Section):
    # A name, not a path: the data set is a folder of data/raw.
    dataset: Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
    test_split: Annotated[float, Field(gt=0, lt=1)]
    image_size: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)] | None
    centre_ink: bool
