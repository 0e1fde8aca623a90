#!/usr/bin/env python3
"""Prints what CHANGELOG.md says of a version, if the package has that version: ``.ci/release_notes.py 1.2.0``."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def release_notes(version: str, root: Path = ROOT) -> str:
    """The entries of a version that is released, without its heading.

    Args:
        version: such as "1.2.0".
        root: the folder of CHANGELOG.md, pyproject.toml and CITATION.cff.

    Raises:
        ValueError: the package or CITATION.cff has another version, or CHANGELOG.md has no entries for it or no date.
    """
    packaged = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if version != packaged:
        raise ValueError(f"the tag is for version {version}, pyproject.toml has {packaged}")
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(version)} \(([^\n]*)\)\n+(.*?)(?=^## |\Z)", changes, re.MULTILINE | re.DOTALL)
    if found is None or not found[2].strip():
        raise ValueError(f"CHANGELOG.md has no entries for {version} under '## {version} (YYYY-MM-DD)'")
    date = found[1]
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
        raise ValueError(f"CHANGELOG.md says of {version} {date!r}, not the date of the release, YYYY-MM-DD")
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    for line in (f"version: {version}", f"date-released: {date}"):
        if f"\n{line}\n" not in citation:
            raise ValueError(f"CITATION.cff does not say '{line}'")
    return found[2].strip()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: .ci/release_notes.py VERSION")
    try:
        print(release_notes(sys.argv[1]))
    except ValueError as error:
        sys.exit(str(error))
