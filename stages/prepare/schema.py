"""What params.yaml may say about preparing."""

from typing import Annotated

from pydantic import Field

from stages.common.params import Section

Side = Annotated[int, Field(ge=1, le=10_000)]  # pixels; a float32 image of as many has 1.2 GB


class PrepareParams(Section):
    # A name, not a path: the data set is a folder of data/raw.
    dataset: Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
    test_split: Annotated[float, Field(gt=0, lt=1)]
    image_size: Annotated[list[Side], Field(min_length=2, max_length=2)] | None
    centre_ink: bool
