"""croissant.json: a built folder in Croissant 1.1, the format in which tools of many kinds find and read datasets.

Each config is a record set, whose records are its rows and the split of each; each parquet file is named with its
SHA-256. Fields of the vocabulary for responsible AI (`rai:`) say how the data came about and what it is not good for.

``url`` and ``datePublished`` are left out: a folder has neither before it is published, and its bytes depend on what
was built alone. The specification: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from easy_to_hard.cards.tables import split_counts
from easy_to_hard.generators.splits import SPLITS
from easy_to_hard.storage.columns import Column

CROISSANT: Final = "croissant.json"
_CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{
        term: f"cr:{term}"
        for term in (
            *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject"),
            *("fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5"),
            *("parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate"),
            *("separator", "source", "subField", "transform"),
        )
    },
}
_CONFORMS_TO: Final = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")
_PARQUET: Final = "application/x-parquet"
# Types as Arrow names them -> types of Croissant; those of integers are named alike in both.
_TYPES: Final = {"string": "sc:Text", "bool": "sc:Boolean", "large_string": "sc:Text"}
_SPLITS: Final = "splits"


def croissant(
    files: Sequence[dict[str, Any]],
    columns_of: Callable[[dict[str, Any]], Sequence[Column]],
    meanings: Callable[[dict[str, Any]], Mapping[str, str]],
    described: Mapping[str, Any],
) -> str:
    """The text of the file: the same for the same arguments, whatever the library versions.

    Args:
        files: entries of the manifest.
        columns_of: maps an entry to the columns of its file.
        meanings: maps an entry to what its columns hold, by their names.
        described: name, description, license, and anything else about the dataset as a whole, `rai:` fields too.
    """
    counts = split_counts(files)
    first = {entry["config"]: entry for entry in reversed(files)}
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": list(_CONFORMS_TO),
        **described,
        "isLiveDataset": False,
        "distribution": [*map(_file, files), *map(_file_set, counts)],
        "recordSet": [
            _splits([split for split in SPLITS if any(split in splits for splits in counts.values())]),
            *(
                _record_set(config, splits, columns_of(first[config]), meanings(first[config]))
                for config, splits in counts.items()
            ),
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def croissant_problems(root: Path, files: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A line for each way in which a folder's croissant.json contradicts its manifest; none if it has no such file.

    Args:
        root: the folder.
        files: entries of the manifest.
    """
    try:
        named = json.loads((root / CROISSANT).read_text(encoding="utf-8"))["distribution"]
        hashes = {file["@id"]: file["sha256"] for file in named if "sha256" in file}
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        yield f"{CROISSANT}: no readable list of files ({type(error).__name__}: {error})"
        return
    for entry in files:
        if (found := hashes.pop(entry["path"], None)) != entry["sha256"]:
            yield f"{CROISSANT}: SHA-256 of {entry['path']} is {found}, the manifest says {entry['sha256']}"
    yield from (f"{CROISSANT}: {path} is not in the manifest" for path in hashes)


def _file(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": entry["path"],
        "name": entry["path"],
        "contentUrl": entry["path"],
        "contentSize": f"{entry['bytes']} B",
        "encodingFormat": _PARQUET,
        "sha256": entry["sha256"],
    }


def _file_set(config: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{config}-files",
        "name": f"{config}-files",
        "description": f"The files of {config}.",
        "encodingFormat": _PARQUET,
        "includes": f"{config}/*.parquet",
    }


def _splits(names: Sequence[str]) -> dict[str, Any]:
    field = f"{_SPLITS}/name"
    return {
        "@type": "cr:RecordSet",
        "@id": _SPLITS,
        "name": _SPLITS,
        "description": "The splits.",
        "dataType": "cr:Split",
        "key": {"@id": field},
        "field": [{"@type": "cr:Field", "@id": field, "name": "name", "dataType": "sc:Text"}],
        "data": [{field: name} for name in names],
    }


def _record_set(
    config: str, splits: Mapping[str, int], columns: Sequence[Column], meanings: Mapping[str, str]
) -> dict[str, Any]:
    source = {"fileSet": {"@id": f"{config}-files"}}
    split = {
        **_field(config, "split", "sc:Text", "the split of the row"),
        "source": {
            **source,
            "extract": {"fileProperty": "fullpath"},
            # It matches the name of a split too, as `mlcroissant` applies it a second time.
            "transform": {"regex": rf"(?:.*[/\\])?({'|'.join(splits)})(?:-\d+-of-\d+\.parquet)?$"},
        },
        "references": {"field": {"@id": f"{_SPLITS}/name"}},
    }
    fields = [split]
    for column in columns:
        field = _field(config, column.name, _type(column), meanings.get(column.name, ""))
        if column.shape:
            field |= {"isArray": True, "arrayShape": ",".join(map(str, column.shape))}
        fields.append({**field, "source": {**source, "extract": {"column": column.name}}})
    rows = ", ".join(f"{number:,} {split}" for split, number in splits.items())
    return {
        "@type": "cr:RecordSet",
        "@id": config,
        "name": config,
        "description": f"Rows of {config}: {rows}.",
        "field": fields,
    }


def _field(config: str, name: str, kind: str, meaning: str) -> dict[str, Any]:
    described = {"description": meaning} if meaning else {}
    return {"@type": "cr:Field", "@id": f"{config}/{name}", "name": name, **described, "dataType": kind}


def _type(column: Column) -> str:
    return _TYPES.get(column.dtype) or "cr:" + column.dtype.replace("uint", "UInt").replace("int", "Int")
