"""What params.yaml may say about the figures."""

from typing import Annotated

from pydantic import Field

from stages.common.mistakes import ShownParams


class VisualizeParams(ShownParams, extra="forbid"):
    dpi: Annotated[int, Field(ge=10, le=1000)]
