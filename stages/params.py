"""Load a section of params.yaml and check it against the schema that its stage declares."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from stages.errors import InputError

PARAMS = Path("params.yaml")
SECTIONS = {"seed", "prepare", "model", "train", "visualize"}

T = TypeVar("T")

Seed = Annotated[int, Field(strict=True, ge=0, lt=2**32)]


class Section(BaseModel):
    """A section of params.yaml: every key is known, present, of its type and in its range."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def load(name: str, schema: type[T]) -> T:
    """Return the entry `name` of params.yaml, checked against `schema`.

    Raises InputError, naming the key, what was found and what is allowed.
    """
    document = read(PARAMS)
    try:
        return TypeAdapter(schema).validate_python(document[name])
    except ValidationError as error:
        problems = "; ".join(explain(name, schema, detail) for detail in error.errors())
        raise InputError(f"{PARAMS}: {problems}") from None


def everything() -> dict[str, Any]:
    """Return the whole of params.yaml for those who show it, its sections unchecked."""
    return read(PARAMS)


def read(path: Path) -> dict[str, Any]:
    """Parse `path`; raise InputError unless it holds exactly the known sections."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: not found; expected it in the folder dvc.yaml is in") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        found = "nothing" if document is None else f"a {type(document).__name__}"
        raise InputError(f"{path}: found {found}; expected sections {', '.join(sorted(SECTIONS))}")
    for name in document:
        if name not in SECTIONS:
            raise InputError(
                f"{path}: unknown section {name!r}; expected {', '.join(sorted(SECTIONS))}"
            )
    for name in sorted(SECTIONS - document.keys()):
        raise InputError(f"{path}: section {name!r} is missing")
    return document


def explain(name: str, schema: Any, detail: ErrorDetails) -> str:
    """Say in a few words what is wrong with one key."""
    key = ".".join(str(part) for part in (name, *detail["loc"]))
    found = repr(detail["input"])
    if len(found) > 60:
        found = f"{found[:60]}..."
    match detail["type"]:
        case "missing":
            return f"{key}: missing"
        case "extra_forbidden":
            return f"{key}: unknown key; allowed are {keys(schema, detail['loc'][:-1])}"
        case "float_type" if looks_like_number(detail["input"]):
            return f"{key}: found {found}, which YAML reads as text; write it as 0.001, not 1e-3"
        case "model_type":
            return f"{key}: found {found}; expected the keys {keys(schema, detail['loc'])}"
    return f"{key}: found {found}; {detail['msg'][0].lower()}{detail['msg'][1:]}"


def keys(schema: Any, path: Iterable[Any]) -> str:
    """List the keys of the section of `schema` that `path` leads to."""
    for name in path:
        schema = schema.model_fields[name].annotation
    return ", ".join(schema.model_fields)


def looks_like_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return isinstance(value, str)
