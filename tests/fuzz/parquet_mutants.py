"""Parquet files with something wrong in their structure: a footer's field, a page's header, an offset, a value.

A file is taken apart into its footer and its pages, a few places are changed, and it is put together again with
offsets and sizes that fit, so that a mutant is wrong where it was changed and nowhere else.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

_MAGIC: Final = b"PAR1"
_STRUCT, _LISTS, _INTEGERS, _BYTES, _BOOLEANS = 12, (9, 10), (4, 5, 6), 8, (1, 2)
_FIXED: Final = {3: 1, 7: 8, 13: 16}
# Fields of a page's header, of the footer, of a row group, of a chunk and of its facts.
_PAGE_UNPACKED, _PAGE_PACKED = 2, 3
_NUM_ROWS, _GROUPS, _CHUNKS, _FACTS = 3, 4, 1, 3
_UNPACKED, _PACKED, _DATA_PAGE, _DICTIONARY_PAGE = 6, 7, 9, 11
_EXTREME: Final = (
    *(0, 1, 2, 3, 7, 8, 63, 64, 127, 128, 255, 256, 2**15, 2**16, 2**24, 2**28, 2**30, 2**31 - 1, 2**31, 2**32),
    *(2**40, 2**62, 2**63 - 1, -1, -2, -(2**31), -(2**63)),
)


@dataclass
class Node:
    """A value of Thrift's compact protocol, of a `kind` of the protocol.

    Attributes:
        value: of a struct a list of [field number, Node], of a list its Nodes, or else a number or bytes.
        of: of a list, the kind of its values.
    """

    kind: int
    value: Any
    of: int = 0


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def take(self, length: int) -> bytes:
        self.at += length
        return self.content[self.at - length : self.at]

    def natural(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def integer(self) -> int:
        value = self.natural()
        return value >> 1 ^ -(value & 1)

    def node(self, kind: int) -> Node:
        if kind in _BOOLEANS:
            return Node(kind, kind)
        if kind in _INTEGERS:
            return Node(kind, self.integer())
        if kind == _BYTES:
            return Node(kind, self.take(self.natural()))
        if kind in _LISTS:
            head = self.take(1)[0]
            length = head >> 4 if head >> 4 < 15 else self.natural()
            return Node(kind, [self.node(head & 15) for _ in range(length)], head & 15)
        if kind == _STRUCT:
            fields, number = [], 0
            while (head := self.take(1)[0]) != 0:
                number = number + (head >> 4) if head >> 4 else self.integer()
                fields.append([number, self.node(head & 15)])
            return Node(kind, fields)
        return Node(kind, self.take(_FIXED[kind]))


def _natural(value: int) -> bytes:
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])


def _write(node: Node) -> bytes:
    if node.kind in _BOOLEANS:
        return b""
    if node.kind in _INTEGERS:
        return _zigzag(node.value)
    if node.kind == _BYTES:
        return _natural(len(node.value)) + node.value
    if node.kind in _LISTS:
        head = len(node.value) << 4 | node.of if len(node.value) < 15 else 15 << 4 | node.of
        more = _natural(len(node.value)) if len(node.value) >= 15 else b""
        return bytes([head]) + more + b"".join(_write(value) for value in node.value)
    if node.kind == _STRUCT:
        written, before = b"", 0
        for number, value in node.value:
            step = number - before
            written += bytes([step << 4 | value.kind]) if 0 < step < 16 else bytes([value.kind]) + _zigzag(number)
            written, before = written + _write(value), number
        return written + b"\0"
    return bytes(node.value)


def _zigzag(value: int) -> bytes:
    return _natural(value * 2 if value >= 0 else -2 * value - 1)


def field(node: Node, number: int) -> Node | None:
    """The field of a struct; None where there is none."""
    return next((value for found, value in node.value if found == number), None)


def _number(node: Node, number: int) -> int:
    found = field(node, number)
    return int(found.value) if found is not None and found.kind in _INTEGERS else 0


@dataclass
class Page:
    """A page: its header, and what stands behind it."""

    header: Node
    body: bytes


@dataclass
class File:
    """A parquet file taken apart: the pages of each chunk, and the footer."""

    chunks: list[list[Page]]
    footer: Node
    # What is put behind the footer, and the length that it is said to have beyond its own.
    end: bytes = _MAGIC
    longer: int = 0

    def facts(self) -> list[Node]:
        """What the footer says of each chunk."""
        groups = field(self.footer, _GROUPS)
        found = []
        for group in groups.value if groups else ():
            chunks = field(group, _CHUNKS)
            found += [field(chunk, _FACTS) for chunk in (chunks.value if chunks else ())]
        return [facts for facts in found if facts is not None]

    def settle(self) -> None:
        """Have the footer say where the pages are."""
        at = len(_MAGIC)
        for facts, pages in zip(self.facts(), self.chunks, strict=True):
            start, packed, unpacked, data = at, 0, 0, None
            for page in pages:
                head = len(_write(page.header))
                if data is None and _number(page.header, 1) != 2:
                    data = at
                at += head + len(page.body)
                packed, unpacked = packed + head + len(page.body), unpacked + head + _number(page.header, 2)
            told = {_PACKED: packed, _UNPACKED: unpacked, _DATA_PAGE: start if data is None else data}
            if field(facts, _DICTIONARY_PAGE) is not None:
                told[_DICTIONARY_PAGE] = start
            for number, value in told.items():
                found = field(facts, number)
                if found is not None:
                    found.value = value

    def content(self) -> bytes:
        """The bytes of the file."""
        pages = b"".join(_write(page.header) + page.body for chunk in self.chunks for page in chunk)
        footer = _write(self.footer)
        return _MAGIC + pages + footer + ((len(footer) + self.longer) % 2**32).to_bytes(4, "little") + self.end


def take_apart(content: bytes) -> File:
    """The parts of a whole parquet file."""
    length = int.from_bytes(content[-8:-4], "little")
    file = File([], _Reader(content[-8 - length : -8]).node(_STRUCT))
    for facts in file.facts():
        data, dictionary = _number(facts, _DATA_PAGE), _number(facts, _DICTIONARY_PAGE)
        reader = _Reader(content)
        reader.at = min(data, dictionary or data)
        end, pages = reader.at + _number(facts, _PACKED), []
        while reader.at < end:
            header = reader.node(_STRUCT)
            pages.append(Page(header, reader.take(_number(header, _PAGE_PACKED))))
        file.chunks.append(pages)
    return file


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for value in (
        node.value if node.kind in _LISTS else [each[1] for each in node.value] if node.kind == _STRUCT else ()
    ):
        yield from _nodes(value)


def _change_node(root: Node, rng: random.Random) -> None:
    node = rng.choice(list(_nodes(root)))
    if node.kind in _BOOLEANS:
        node.kind = node.value = 3 - node.kind
    elif node.kind in _INTEGERS:
        if rng.random() < 0.15:
            node.kind = rng.choice(_INTEGERS)
        else:
            near = (node.value + rng.choice((-1, 1)), node.value * 2, node.value // 2, -node.value)
            node.value = rng.choice(near if rng.random() < 0.4 else _EXTREME)
    elif node.kind == _BYTES:
        node.value = rng.choice((b"", b"config", b"index", b"prediction", node.value[:-1], node.value * 2, b"\xff\0"))
    elif node.value and node.kind in (*_LISTS, _STRUCT):
        at = rng.randrange(len(node.value))
        other = rng.randrange(len(node.value))
        change = rng.choice(("drop", "again", "swap", "empty", "many", "number"))
        if change == "drop":
            del node.value[at]
        elif change == "again":
            node.value.insert(other, node.value[at])
        elif change == "swap":
            node.value[at], node.value[other] = node.value[other], node.value[at]
        elif change == "empty":
            node.value.clear()
        elif change == "many":
            node.value[at:at] = [node.value[at]] * rng.choice((20, 500))
        elif node.kind == _STRUCT:
            node.value[at] = [rng.choice((1, 2, 3, 5, 7, 8, 9, 30, 2**15)), node.value[at][1]]


def _change_footer(file: File, rng: random.Random) -> None:
    _change_node(file.footer, rng)


def _change_facts(file: File, rng: random.Random) -> None:
    if facts := file.facts():
        _change_node(rng.choice(facts), rng)


def _change_offset(file: File, rng: random.Random) -> None:
    facts = file.facts()
    if len(facts) < 2:
        return
    one, other = rng.sample(facts, 2)
    number = rng.choice((_DATA_PAGE, _PACKED, _UNPACKED, _DICTIONARY_PAGE, 5))
    found = field(one, number)
    if found is not None and found.kind in _INTEGERS:
        found.value = rng.choice((_number(other, number), found.value + rng.choice((-8, -1, 1, 8, 1000)), 4, 0))


def _alias_groups(file: File, rng: random.Random) -> None:
    groups, rows = field(file.footer, _GROUPS), field(file.footer, _NUM_ROWS)
    if groups is None or not groups.value or rows is None or rows.kind not in _INTEGERS:
        return
    times = rng.choice((1, 2, 100, 1000))
    groups.value += [rng.choice(groups.value)] * times
    if rng.random() < 0.7:
        rows.value = sum(_number(group, 3) for group in groups.value)


def _claim_rows(file: File, rng: random.Random) -> None:
    """Rows without row groups, or row groups without columns."""
    groups = field(file.footer, _GROUPS)
    if groups is None:
        return
    if rng.random() < 0.5 or not groups.value:
        groups.value.clear()
    else:
        chunks = field(rng.choice(groups.value), _CHUNKS)
        if chunks is not None:
            chunks.value.clear()


def _change_page_header(file: File, rng: random.Random) -> None:
    _change_node(
        rng.choice(rng.choice([pages for pages in file.chunks if pages] or [[Page(Node(12, []), b"")]])).header, rng
    )


def _change_body(file: File, rng: random.Random) -> None:
    pages = [page for chunk in file.chunks for page in chunk if page.body]
    if not pages:
        return
    page = rng.choice(pages)
    body = bytearray(page.body)
    for _ in range(rng.choice((1, 1, 4, 30))):
        body[rng.randrange(len(body))] = rng.choice((0, 1, 255, rng.randrange(256)))
    change = rng.random()
    if change < 0.15:
        del body[rng.randrange(len(body)) :]
    elif change < 0.25:
        body = bytearray(rng.choice(pages).body)
    page.body = bytes(body)
    if rng.random() < 0.7:
        found = field(page.header, _PAGE_PACKED)
        if found is not None:
            found.value = len(body)


def _change_pages(file: File, rng: random.Random) -> None:
    chunks = [chunk for chunk in file.chunks if chunk]
    if not chunks:
        return
    chunk, other = rng.choice(chunks), rng.choice(chunks)
    at = rng.randrange(len(chunk))
    change = rng.choice(("drop", "again", "swap", "move", "empty"))
    if change == "drop":
        del chunk[at]
    elif change == "again":
        chunk[at:at] = [chunk[at]] * rng.choice((1, 1, 50))
    elif change == "swap":
        place = rng.randrange(len(other))
        chunk[at], other[place] = other[place], chunk[at]
    elif change == "move":
        other.insert(rng.randrange(len(other) + 1), chunk.pop(at))
    else:
        # Of no values, and of many bytes, all of which the footer admits.
        found = field(chunk[at].header, _PAGE_UNPACKED)
        if found is not None:
            found.value = rng.choice((2**20, 2**28, 2**31 - 1))


def _change_end(file: File, rng: random.Random) -> None:
    if rng.random() < 0.5:
        file.longer = rng.choice((-1, 1, -100, 1000, 2**31, -(2**20)))
    else:
        file.end = rng.choice((b"PARE", b"PAR", b"", b"PAR1PAR1"))


Change = Callable[[File, random.Random], None]
# Those before `settle` keep offsets and sizes that fit; of the others the footer is what is wrong.
_BEFORE: Final[tuple[Change, ...]] = (_change_page_header, _change_page_header, _change_body, _change_pages)
_AFTER: Final[tuple[Change, ...]] = (
    *(_change_footer, _change_footer, _change_facts, _change_offset),
    *(_alias_groups, _claim_rows, _change_page_header, _change_end),
)


def mutant(content: bytes, rng: random.Random) -> bytes:
    """A parquet file with one to three places that are changed."""
    file = take_apart(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if rng.random() < 0.5:
            rng.choice(_BEFORE)(file, rng)
            if rng.random() < 0.9 and len(file.facts()) == len(file.chunks):
                file.settle()
        else:
            rng.choice(_AFTER)(file, rng)
    return file.content()
