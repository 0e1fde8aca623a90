"""Result files with something wrong: a type, a key, a number beyond all bounds, endless nesting, another encoding."""

import copy
import json
import random
from typing import Any, Final

_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, 1, -1, 2, 0.5, 1.5, -0.5, 9.0, 1e-320, 1e308, 2**31, 2**53 + 1, 2**63, -(2**63), 2**64 + 1),
    *(10**30, 10**400, float("nan"), float("inf"), -float("inf")),
    *(
        "",
        "many",
        "0",
        "mazes_9",
        "re-scored",
        "x" * 100_000,
        "a\nb\0c",
        "<script>alert(1)</script>",
        "\ud800",
        "\u202e",
    ),
    *("../../../etc/passwd", "os:system", "javascript:alert(1)"),
    *([], {}, [[]], [None], [1, "2", None], {"": {}}, {"a" * 1000: 1}, [0] * 5000, ["1", 1] * 2000),
)
# Written in place of this text once the file is one.
_DEEP: Final = "put something deep here"


def mutant(base: dict[str, Any], rng: random.Random) -> bytes:
    """The bytes of a result file with one to three places that are changed."""
    value = copy.deepcopy(base)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        value = _changed(value, rng)
    text = json.dumps(value, indent=rng.choice((None, 2)), ensure_ascii=rng.random() < 0.5)
    depth = rng.choice((10, 500, 3000, 100_000))
    opened, closed = rng.choice((("[", "]"), ('{"a":', "}")))
    text = text.replace(f'"{_DEEP}"', opened * depth + "1" + closed * depth)
    return _encoded(text, rng) if rng.random() < 0.15 else text.encode(errors="surrogatepass")


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all that is in a value."""
    found = [at]
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        found += _places(each, (*at, key))
    return found


def _changed(value: Any, rng: random.Random) -> Any:
    places = _places(value)
    # Of the long lists, one place is as good as another.
    by_names: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for place in places:
        by_names.setdefault(tuple(key for key in place if isinstance(key, str)), []).append(place)
    *way, last = (None, *rng.choice(by_names[rng.choice(list(by_names))]))
    if not way:
        return rng.choice(_VALUES) if rng.random() < 0.3 else value
    inside = value
    for key in way[1:]:
        inside = inside[key]
    change = rng.choice(("value", "value", "value", "near", "drop", "rename", "deep", "again"))
    if change == "value":
        inside[last] = copy.deepcopy(rng.choice(_VALUES))
    elif change == "near" and isinstance(inside[last], int | float):
        number = inside[last]
        inside[last] = rng.choice(
            (number + 1, number - 1, -number, number * 10, float(number), number / 3, str(number))
        )
    elif change == "drop":
        del inside[last]
    elif change == "rename" and isinstance(inside, dict):
        inside[rng.choice(("note", "", last.upper(), f"{last} "))] = inside.pop(last)
    elif change == "deep":
        inside[last] = _DEEP
    elif isinstance(inside, list):
        inside[last:last] = [inside[last]] * rng.choice((1, 1000))
    return value


def _encoded(text: str, rng: random.Random) -> bytes:
    content = text.encode(errors="surrogatepass")
    at = rng.randrange(len(content))
    return rng.choice(
        (
            b"",
            content[:at],
            content + content[at:],
            b"\xef\xbb\xbf" + content,
            text.encode("utf-16", errors="surrogatepass"),
            text.encode("latin-1", errors="replace")[:at] + b"\xe9\xff" + content[at:],
            content[:at] + b"\0" + content[at:],
            content.replace(b"{", b'{"format": 1, "scores": 2, ', 1),
            b" " * 2**25 + content,
            content[:-1] + b', "note": "' + b"x" * 2**22 + b'"}',
            content.replace(b"1", b"1" * 5000, 1),
        )
    )
