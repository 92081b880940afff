"""Read params.yaml as DVC does, and check each section against the schema of its stage."""

from collections.abc import Iterable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.common.errors import InputError
from stages.common.paths import PARAMS

SECTIONS = ("seed", "prepare", "model", "train", "visualize")

T = TypeVar("T")

Seed = Annotated[int, Field(strict=True, ge=0, lt=2**32)]
# What is larger exhausts memory or patience, and from 2**63 on TensorFlow fails in ways of its own.
PositiveInt = Annotated[int, Field(ge=1, le=1_000_000)]


class Section(BaseModel):
    """A section of params.yaml: every key is known, present, of its type and in its range."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def load(section: str, schema: type[T]) -> T:
    """Return a section of params.yaml; raise InputError if the file or the section is wrong."""
    return check(section, load_all()[section], schema)


def load_all() -> dict[str, Any]:
    """Return params.yaml, each section unchecked; raise InputError unless it has these sections.

    It is parsed as YAML 1.2, like DVC does: 1e-3 is a number, and `off` is text.
    """
    try:
        document = YAML(typ="safe").load(PARAMS)
    except (YAMLError, ValueError, LookupError) as error:  # the last two: !!int x
        raise InputError(f"{PARAMS}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict) or document.keys() != set(SECTIONS):
        found = ", ".join(map(str, document)) if isinstance(document, dict) else repr(document)
        raise InputError(f"{PARAMS}: found {found:.200}; expected {', '.join(SECTIONS)}")
    return document


def check(section: str, value: Any, schema: type[T]) -> T:
    """Return `value` as `schema`; raise InputError that names each wrong key below `section`."""
    try:
        return TypeAdapter(schema).validate_python(value)
    except ValidationError as error:
        problems = [explain(section, schema, detail) for detail in error.errors()]
        raise InputError(f"{PARAMS}: {'; '.join(problems)}") from None


def explain(section: str, schema: Any, detail: ErrorDetails) -> str:
    """Say in a few words what is wrong with one key, and what was expected."""
    key = ".".join(str(part) for part in (section, *detail["loc"]) if part != "")
    found = f"{detail['input']!r:.60}"
    match detail["type"]:
        case "missing":
            return f"{key}: missing"
        case "extra_forbidden":
            return f"{key}: unknown key; expected {keys(schema, detail['loc'][:-1])}"
        case "model_type":
            return f"{key}: found {found}; expected the keys {keys(schema, detail['loc'])}"
    return f"{key}: found {found}; {detail['msg'][0].lower()}{detail['msg'][1:]}"


def keys(schema: Any, location: Iterable[Any]) -> str:
    """List the keys of the section of `schema` at `location`."""
    for name in location:
        schema = schema.model_fields[name].annotation
    return ", ".join(schema.model_fields)
