"""What params.yaml may say about the figures."""

from typing import Annotated

from pydantic import Field

from stages.common.params import Section


class VisualizeParams(Section):
    dpi: Annotated[int, Field(ge=10, le=1000)]
    mistakes: Annotated[int, Field(ge=1, le=100)]
