"""Reads JSON files from untrusted sources; errors are a single line that names the file and the field.

The schemas are in `easy_to_hard/leaderboard`; a file that does not match its schema is rejected.
"""

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from easy_to_hard.extras import naming_extra

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

_MOST_BYTES: Final = 2**22
_LARGEST: Final = 2**64
_SHOWN: Final = 60
# Keywords of JSON Schema, and what they require, in words.
_WANTED: Final = {
    "type": "of type {}",
    "const": "{}",
    "enum": "one of {}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "text of at least {} characters",
    "maxLength": "text of at most {} characters",
    "minItems": "a list of at least {}",
    "maxItems": "a list of at most {}",
    "uniqueItems": "a list without repetitions",
    "pattern": "text that matches {}",
}


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Args:
        path: of a UTF-8 file of at most 4 MB.

    Returns:
        Its keys and values; all numbers are finite, and integers are from -2^64 to 2^64.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not valid; the message names it.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: there is no such file") from error
    if len(content) > _MOST_BYTES:
        raise ValueError(f"{path} is larger than {_MOST_BYTES:,} bytes")
    try:
        value = json.loads(content.decode("utf-8"), parse_constant=_refuse, parse_float=_finite, parse_int=_integer)
        # Half of a surrogate pair can be written in JSON, but nowhere else afterward.
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{path} is not valid JSON: it contains half a surrogate pair, which is not a character"
        ) from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not valid JSON: it is not UTF-8, from byte {error.start} on") from error
    except RecursionError as error:
        raise ValueError(f"{path} is not valid JSON: lists and objects are nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {str(error)[:200]}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds {_shown(value)}: an object is wanted")
    return value


def check_schema(path: Path, value: dict[str, Any], schema: str) -> None:
    """Raise ValueError that names the file and the first field that does not match the schema.

    Args:
        path: the file that the value was read from.
        value: an object.
        schema: name of a schema, such as "result" for result.schema.json.
    """
    try:
        # Only the first error: finding all of them takes long if there are many.
        error = next(_validator(schema).iter_errors(value), None)
    except RecursionError:
        raise ValueError(f"{path}: lists and objects are nested too deeply") from None
    if error is not None:
        raise ValueError(f"{path}: {_told(error)}")


@cache
def _validator(schema: str) -> "Validator":
    with naming_extra("checking result files needs"):
        from jsonschema import Draft202012Validator, TypeChecker
        from jsonschema.validators import extend

    def whole(checker: TypeChecker, value: object) -> bool:
        # JSON Schema takes 1.0 for an integer; `range` does not.
        return isinstance(value, int) and not isinstance(value, bool)

    strict = extend(Draft202012Validator, type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", whole))
    text = (files("easy_to_hard.leaderboard") / f"{schema}.schema.json").read_text(encoding="utf-8")
    return strict(json.loads(text))


def _told(error: "ValidationError") -> str:
    """Describe an error by field, value, and what is wanted."""
    while error.context:
        # Of the alternatives, the error that lies deepest.
        error = max(error.context, key=lambda one: (len(one.absolute_path), one.validator != "type"))
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{str(part)[:_SHOWN]}" for part in error.absolute_path)
    where = where.removeprefix(".")
    if error.validator in _WANTED:
        wanted = _WANTED[error.validator].format(_words(error.validator_value))
        return f"{where or 'it'} is {_shown(error.instance)}, {wanted} is wanted"
    if error.validator == "required":
        missing = sorted(set(error.validator_value) - set(error.instance))
        return f"{where or 'it'} lacks {', '.join(missing)}"
    # An extra key, or a key with a wrong name.
    return f"{where}{': ' if where else ''}{error.message[:200]}"


def _words(value: object) -> str:
    return " or ".join(map(str, value)) if isinstance(value, list) else str(value)


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value):,}"
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0:
        raise ValueError(f"{text[:_SHOWN]} is too large")
    return value


def _integer(text: str) -> int:
    value = int(text) if len(text) < 30 else _LARGEST + 1
    if abs(value) > _LARGEST:
        raise ValueError(f"{text[:_SHOWN]} is beyond 2^64")
    return value
