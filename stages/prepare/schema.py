"""What params.yaml may say about preparing."""

from typing import Annotated

from pydantic import Field

from stages.common.params import Section


class PrepareParams(Section):
    # A name, not a path: the data set is a folder of data/raw.
    dataset: Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
