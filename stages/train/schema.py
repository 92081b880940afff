"""What params.yaml may say about the network and its training."""

from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from stages.common.params import PositiveInt, Section

T = TypeVar("T")

Fraction = Annotated[float, Field(ge=0, lt=1)]


# The parameters of an optimizer. Those of the others would do nothing, and are null.
USES: dict[str, set[str]] = {
    "adam": {"beta_1", "beta_2"},
    "muon": {"beta_1", "beta_2", "momentum", "weight_decay"},
    "sgd": set(),
}


class ModelParams(Section):
    architecture: Literal["compact", "explicit", "functional"]
    filters: Annotated[list[PositiveInt], Field(min_length=1)]
    kernel_size: PositiveInt
    padding: list[Literal["valid", "same"]]
    pool_size: list[PositiveInt]
    dense_units: PositiveInt | None
    dropout: Fraction

    @field_validator("padding", "pool_size", mode="before")
    @classmethod
    def listed(cls, value: object) -> object:
        """Take a single value as a list of one."""
        return value if isinstance(value, list) else [value]

    @field_validator("padding", "pool_size")
    @classmethod
    def one_for_each_convolution(cls, values: list[T], info: ValidationInfo) -> list[T]:
        """Repeat a single value for all convolutions; refuse another number of them."""
        convolutions = max(1, len(info.data.get("filters", values)))
        if len(values) not in (1, convolutions):
            expected = f"expected one value, or {convolutions} like model.filters"
            raise refusal(expected)
        return values * (convolutions // len(values))


class AugmentationParams(Section):
    translation: Fraction
    horizontal_flip: bool


class TrainParams(Section):
    epochs: PositiveInt
    batch_size: PositiveInt
    steps_per_epoch: PositiveInt | None
    validation_split: Annotated[float, Field(gt=0, lt=1)] | None
    optimizer: Literal["adam", "muon", "sgd"]  # RMSprop rounds differently on Intel and AMD
    beta_1: Fraction | None
    beta_2: Fraction | None
    momentum: Fraction | None
    weight_decay: Fraction | None
    learning_rate: Annotated[float, Field(gt=0)]
    schedule: Literal["constant", "one_cycle"]
    precision: Literal["float32", "mixed_bfloat16"]
    instructions: Literal["avx2", "native"]
    label_smoothing: Fraction
    class_weight: Literal["balanced"] | None
    keep: Literal["last", "best"]
    patience: PositiveInt | None
    freeze_after: Annotated[int, Field(ge=0)] | None
    augmentation: AugmentationParams
    threads: Annotated[int, Field(ge=1, le=1024)]  # no machine has more cores; a million hang

    # Keys are checked in their order: `info.data` has those above that passed.
    @field_validator("beta_1", "beta_2", "momentum", "weight_decay")
    @classmethod
    def set_exactly_where_used(cls, value: float | None, info: ValidationInfo) -> float | None:
        """Require a number for a parameter that the optimizer uses, and null for one it ignores."""
        if optimizer := info.data.get("optimizer"):
            used = info.field_name in USES[optimizer]
            if used and value is None:
                raise refusal(f"expected a number, since {optimizer} uses it")
            if not used and value is not None:
                raise refusal(f"expected null, since {optimizer} does not use it")
        return value

    @field_validator("instructions")
    @classmethod
    def that_the_precision_has(cls, value: str, info: ValidationInfo) -> str:
        """Refuse to promise for bfloat16 what only float32 keeps."""
        if value == "avx2" and info.data.get("precision") == "mixed_bfloat16":
            raise refusal("expected native, since mixed_bfloat16 has no kernels for avx2")
        return value

    @field_validator("patience")
    @classmethod
    def before_the_last_epoch(cls, value: int | None, info: ValidationInfo) -> int | None:
        """Refuse a patience that would cut off a cycle's best epochs, or never end a run."""
        if value is not None and info.data.get("schedule") == "one_cycle":
            raise refusal("expected null, since one_cycle needs all its epochs")
        epochs = info.data.get("epochs")
        if value is not None and epochs is not None and value >= epochs - 1:
            raise refusal(f"expected null or less than {epochs - 1}, one less than train.epochs")
        return value

    @field_validator("freeze_after")
    @classmethod
    def before_the_end(cls, value: int | None, info: ValidationInfo) -> int | None:
        """Refuse to freeze after the last epoch, which changes nothing."""
        epochs = info.data.get("epochs")
        if value is not None and epochs is not None and value >= epochs:
            raise refusal(f"expected null or less than train.epochs, which is {epochs}")
        return value


def refusal(expected: str) -> PydanticCustomError:
    """Return what a validator raises; a ValueError's message would begin with "Value error"."""
    return PydanticCustomError("refused", "{expected}", {"expected": expected})
