"""What params.yaml may say about the network and its training."""

from typing import Annotated, Literal

from pydantic import Field

from stages.common.params import PositiveInt, Section

Fraction = Annotated[float, Field(ge=0, lt=1)]


class ModelParams(Section):
    architecture: Literal["compact", "explicit", "functional"]
    filters: Annotated[list[PositiveInt], Field(min_length=1)]
    kernel_size: PositiveInt
    pool_size: PositiveInt
    dense_units: PositiveInt
    dropout: Fraction


class AugmentationParams(Section):
    translation: Fraction


class TrainParams(Section):
    epochs: PositiveInt
    batch_size: PositiveInt
    steps_per_epoch: PositiveInt | None
    validation_split: Annotated[float, Field(gt=0, lt=1)]
    optimizer: Literal["adam", "muon", "sgd"]  # RMSprop rounds differently on Intel and AMD
    beta_1: Fraction
    beta_2: Fraction
    momentum: Fraction
    weight_decay: Fraction
    learning_rate: Annotated[float, Field(gt=0)]
    schedule: Literal["constant", "one_cycle"]
    precision: Literal["float32", "mixed_bfloat16"]
    label_smoothing: Fraction
    freeze_after: Annotated[int, Field(ge=0)] | None
    augmentation: AugmentationParams
    threads: PositiveInt
