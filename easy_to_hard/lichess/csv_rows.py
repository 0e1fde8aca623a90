"""Kernels that read lines of the Lichess puzzle file: fields, checks, the puzzle itself. No Python objects per row.

A line is one row: a quoted field cannot contain a line break, so a quote that is never closed costs one row rather than
the rest of the file.
"""

from typing import Final

import numpy as np

from easy_to_hard.generators.chess.board import MAX_MOVES, POSITION_WORDS
from easy_to_hard.generators.chess.fen import MAX_FEN, read_fen, write_fen
from easy_to_hard.generators.chess.moves import find_legal, make
from easy_to_hard.generators.chess.uci import read_uci
from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.random import mix64

# The file's columns, in the order they have where there is no header.
COLUMNS: Final = (
    "PuzzleId",
    "FEN",
    "Moves",
    "Rating",
    "RatingDeviation",
    "Popularity",
    "NbPlays",
    "Themes",
    "GameUrl",
    "OpeningTags",
)
(_ID, _FEN, _MOVES, _RATING, _DEVIATION, _POPULARITY, _PLAYS, _THEMES, _URL, _TAGS) = range(len(COLUMNS))
# What the kernel needs to know about a file: the index of each column (-1 if absent), then the least and the most
# fields that a row has.
FEWEST, MOST = len(COLUMNS), len(COLUMNS) + 1
LAYOUT: Final = len(COLUMNS) + 2
MAX_FIELDS: Final = 64

# The kernel's output for each row: texts, then numbers.
TEXTS: Final = ("fen", "move", "line", "themes", "puzzle_id", "game_url", "opening_tags")
NUMBERS: Final = ("rating", "rating_deviation", "popularity", "plays")
NO_NUMBER: Final = -(2**31)
MAX_RATING: Final = 5000
MAX_LINE: Final = 8192

# Why a row is rejected, as an index into this list. {} is the detail: a number, a column or the reason from `fen`.
REASONS: Final = (
    "",
    "empty line",
    "line too long",
    "NUL byte",
    "control character",
    "not UTF-8",
    "quote not closed, or in the wrong place",
    "wrong number of fields",
    "PuzzleId is empty",
    "{} is not an integer",
    "{} is out of range",
    "FEN: {}",
    "fewer than two moves",
    "move not in UCI form",
    "illegal move",
    "PuzzleId occurred before",
)
(
    _FINE,
    _EMPTY,
    _TOO_LONG,
    _NUL,
    _CONTROL,
    _NOT_UTF8,
    _BAD_QUOTE,
    BAD_COUNT,
    _NO_ID,
    NOT_INTEGER,
    OUT_OF_RANGE,
    BAD_FEN,
    _TOO_FEW,
    NOT_UCI,
    ILLEGAL,
    _REPEATED,
) = range(len(REASONS))
TOO_LONG: Final = _TOO_LONG

_LINE_END, _RETURN, _SPACE, _QUOTE, _COMMA = (ord(symbol) for symbol in '\n\r ",')
_DASH, _DIGIT_0 = ord("-"), ord("0")
_1 = np.uint64(1)
_8 = np.uint64(8)


@kernel
def _is_utf8(text, start, stop):  # type: ignore[no-untyped-def]
    """Whether bytes are UTF-8 as in RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF."""
    place = start
    while place < stop:
        lead = text[place]
        place += 1
        if lead < 0x80:
            continue
        if not 0xC2 <= lead <= 0xF4:
            return False
        more = 1 if lead < 0xE0 else 2 if lead < 0xF0 else 3
        if place + more > stop:
            return False
        low = 0xA0 if lead == 0xE0 else 0x90 if lead == 0xF0 else 0x80
        high = 0x9F if lead == 0xED else 0x8F if lead == 0xF4 else 0xBF
        for i in range(more):
            if not low <= text[place + i] <= high:
                return False
            low, high = 0x80, 0xBF
        place += more
    return True


@kernel
def _check_bytes(text, start, stop):  # type: ignore[no-untyped-def]
    """(reason, whether there is a quote) of a line."""
    if stop == start:
        return _EMPTY, False
    if stop - start > MAX_LINE:
        return _TOO_LONG, False
    reason, quoted, high = _FINE, False, False
    for place in range(start, stop):
        symbol = text[place]
        if symbol == 0:
            return _NUL, quoted
        if symbol < 32 or symbol == 127:
            reason = _CONTROL
        quoted |= symbol == _QUOTE
        high |= symbol >= 0x80
    if reason == _FINE and high and not _is_utf8(text, start, stop):
        reason = _NOT_UTF8
    return reason, quoted


@kernel
def _split(text, start, stop, spans):  # type: ignore[no-untyped-def]
    """Record where each field of a line without quotes begins and ends; returns the number of fields."""
    count, first = 0, start
    for place in range(start, stop + 1):
        if place == stop or text[place] == _COMMA:
            if count < MAX_FIELDS:
                spans[count, 0], spans[count, 1] = first, place
            count += 1
            first = place + 1
    return count


@kernel
def _unquote(text, start, stop, out, spans):  # type: ignore[no-untyped-def]
    """Write the fields to `out` without their quotes; returns the number of fields, -1 if a quote is misplaced."""
    count, place, end = 0, start, 0
    while True:
        first = end
        quoted = place < stop and text[place] == _QUOTE
        if quoted:
            place += 1
        while place < stop:
            symbol = text[place]
            if symbol == _QUOTE:
                if not quoted:
                    return -1
                place += 1
                if place == stop or text[place] != _QUOTE:
                    quoted = False
                    break
            elif symbol == _COMMA and not quoted:
                break
            out[end] = symbol
            end += 1
            place += 1
        if quoted or (place < stop and text[place] != _COMMA):
            return -1
        if count < MAX_FIELDS:
            spans[count, 0], spans[count, 1] = first, end
        count += 1
        if place == stop:
            return count
        place += 1


@kernel
def _read_integer(text, start, stop, low, high):  # type: ignore[no-untyped-def]
    """Read digits, optionally after a minus sign; returns (value, reason)."""
    first = start + 1 if start < stop and text[start] == _DASH else start
    if first == stop:
        return np.int64(0), NOT_INTEGER
    value = np.int64(0)
    for place in range(first, stop):
        digit = np.int64(text[place]) - _DIGIT_0
        if not 0 <= digit <= 9:
            return np.int64(0), NOT_INTEGER
        # Any number of digits is read, without overflow.
        value = min(10 * value + digit, np.int64(2**40))
    if first != start:
        value = -value
    return value, _FINE if low <= value <= high else OUT_OF_RANGE


@kernel
def _read_numbers(text, spans, numbers):  # type: ignore[no-untyped-def]
    """Read the rating and the optional numbers; returns (reason, column)."""
    for i in range(len(NUMBERS)):
        column = _RATING + i
        start, stop = spans[column, 0], spans[column, 1]
        if start == stop and i > 0:
            numbers[i] = NO_NUMBER
            continue
        low, high = (0, MAX_RATING) if i == 0 else (NO_NUMBER + 1, 2**31 - 1)
        value, reason = _read_integer(text, start, stop, low, high)
        if reason != _FINE:
            return reason, column
        numbers[i] = value
    return _FINE, 0


@kernel
def _play(text, start, stop, boards, moves, second):  # type: ignore[no-untyped-def]
    """Play all moves from boards[0]; returns (reason, which move, the second move).

    boards[1] becomes the position after the first move; `second` becomes where the second move begins and ends.
    """
    current, number, place, chosen = 0, 0, start, np.int64(0)
    while True:
        end = place
        while end < stop and text[end] != _SPACE:
            end += 1
        number += 1
        move = read_uci(text, place, end, boards[current])
        if move < 0:
            return NOT_UCI, number, chosen
        legal = find_legal(boards[current], move, moves)
        if legal < 0:
            return ILLEGAL, number, chosen
        if number == 2:
            second[0], second[1], chosen = place, end, move
        after = 1 if number == 1 else 0 if current == 2 else 2
        make(boards[current], legal, boards[after])
        current = after
        if end == stop:
            return _FINE if number > 1 else _TOO_FEW, number, chosen
        place = end + 1


@kernel
def _remember(text, start, stop, seen):  # type: ignore[no-untyped-def]
    """Put the hash of an id into the table `seen` (0 marks a free slot); returns whether it is new."""
    total, word = np.uint64(stop - start), np.uint64(0)
    for place in range(start, stop):
        word = word << _8 | np.uint64(text[place])
        if (place - start) & 7 == 7 or place == stop - 1:
            total, word = mix64(total ^ word) + np.uint64(0x9E3779B97F4A7C15), np.uint64(0)
    return insert(mix64(total) | _1, seen)


@kernel
def insert(key, seen):  # type: ignore[no-untyped-def]
    """Put an odd number into the table; returns whether it is new. At most half of the table may be in use."""
    mask = np.uint64(seen.shape[0] - 1)
    slot = (key >> _1) & mask
    while seen[slot] != 0:
        if seen[slot] == key:
            return False
        slot = (slot + _1) & mask
    seen[slot] = key
    return True


@kernel
def rehash(old, new):  # type: ignore[no-untyped-def]
    """Put all numbers of a table into a larger one."""
    for key in old:
        if key != 0:
            insert(key, new)


@kernel
def _copy(text, start, stop, texts, ends, which, row):  # type: ignore[no-untyped-def]
    place = ends[which, row]
    for i in range(start, stop):
        texts[which, place + i - start] = text[i]
    ends[which, row + 1] = place + stop - start


@kernel
def _write_row(text, spans, boards, chosen, second, texts, ends, words, row):  # type: ignore[no-untyped-def]
    """Write a good row's texts, and the puzzle's nine words."""
    place = ends[0, row]
    ends[0, row + 1] = place + write_fen(boards[1], texts[0, place : place + MAX_FEN])
    _copy(text, second[0], second[1], texts, ends, 1, row)
    _copy(text, second[0], spans[_MOVES, 1], texts, ends, 2, row)
    _copy(text, spans[_THEMES, 0], spans[_THEMES, 1], texts, ends, 3, row)
    _copy(text, spans[_ID, 0], spans[_ID, 1], texts, ends, 4, row)
    _copy(text, spans[_URL, 0], spans[_URL, 1], texts, ends, 5, row)
    _copy(text, spans[_TAGS, 0], spans[_TAGS, 1], texts, ends, 6, row)
    words[row, :POSITION_WORDS] = boards[1]
    words[row, POSITION_WORDS] = np.uint64(chosen)


@kernel
def _read_row(text, spans, boards, moves, second, numbers):  # type: ignore[no-untyped-def]
    """Read a row whose fields are in the order of `COLUMNS`; returns (reason, detail, the second move)."""
    if spans[_ID, 0] == spans[_ID, 1]:
        return _NO_ID, 0, np.int64(0)
    reason, detail = _read_numbers(text, spans, numbers)
    if reason != _FINE:
        return reason, detail, np.int64(0)
    detail = read_fen(text, spans[_FEN, 0], spans[_FEN, 1], boards[0])
    if detail != 0:
        return BAD_FEN, detail, np.int64(0)
    start, stop = spans[_MOVES, 0], spans[_MOVES, 1]
    if start == stop:
        return _TOO_FEW, 0, np.int64(0)
    return _play(text, start, stop, boards, moves, second)


@kernel
def read_lines(text, start, stop, line, layout, texts, ends, numbers, words, seen, rejects):  # type: ignore[no-untyped-def]
    """Read as many lines of text[start:stop] as fit the output.

    Args:
        text: (B,) uint8; only the last line may lack its line break.
        start, stop: what to read.
        line: number of the first line.
        layout: (LAYOUT,) int64, see there.
        texts: (len(TEXTS), C) uint8, C at least stop - start and `MAX_FEN` times the rows.
        ends: (len(TEXTS), R + 1) int32: text i of row r is texts[i, ends[i, r] : ends[i, r + 1]].
        numbers: (R, len(NUMBERS)) int64, `NO_NUMBER` for an absent one.
        words: (R, ROW_WORDS) uint64, position and move as in `generators.chess.board`.
        seen: (a power of two,) uint64 hashes of the ids so far; at least twice as long as their number plus R.
        rejects: (R, 5) int64: line, reason, detail, where the line begins and ends.

    Returns:
        ``(place, lines, rows, rejected)``: where to continue, and how many there were of each.
    """
    fields, spans = np.empty((MAX_FIELDS, 2), dtype=np.int64), np.empty((len(COLUMNS), 2), dtype=np.int64)
    boards = np.empty((3, POSITION_WORDS), dtype=np.uint64)
    moves, second = np.empty(MAX_MOVES, dtype=np.int64), np.empty(2, dtype=np.int64)
    unquoted = np.empty(MAX_LINE, dtype=np.uint8)
    ends[:, 0] = 0
    place, lines, rows, rejected = start, 0, 0, 0
    while place < stop and lines < rejects.shape[0]:
        first = place
        while place < stop and text[place] != _LINE_END:
            place += 1
        last = place - 1 if place > first and text[place - 1] == _RETURN else place
        place = min(place + 1, stop)
        reason, quoted = _check_bytes(text, first, last)
        detail, count, chosen, source = 0, 0, np.int64(0), text
        if reason == _FINE:
            if quoted:
                count, source = _unquote(text, first, last, unquoted, fields), unquoted
            else:
                count = _split(text, first, last, fields)
            if count < 0:
                reason = _BAD_QUOTE
            elif not layout[FEWEST] <= count <= layout[MOST]:
                reason, detail = BAD_COUNT, count
        if reason == _FINE:
            for i in range(len(COLUMNS)):
                # An absent column counts as an empty field.
                there = 0 <= layout[i] < count
                spans[i, 0] = fields[layout[i], 0] if there else 0
                spans[i, 1] = fields[layout[i], 1] if there else 0
            reason, detail, chosen = _read_row(source, spans, boards, moves, second, numbers[rows])
        if reason == _FINE and not _remember(source, spans[_ID, 0], spans[_ID, 1], seen):
            reason = _REPEATED
        if reason == _FINE:
            _write_row(source, spans, boards, chosen, second, texts, ends, words, rows)
            rows += 1
        else:
            rejects[rejected, 0], rejects[rejected, 1], rejects[rejected, 2] = line + lines, reason, detail
            rejects[rejected, 3], rejects[rejected, 4] = first, last
            rejected += 1
        lines += 1
    return place, lines, rows, rejected
