"""The release described in Croissant 1.0 (MLCommons), so that catalogues and `mlcroissant` can open it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from feedback.release.card import ABOUT
from feedback.release.shards import TREES, File
from feedback.release.tables import COLUMNS, KINDS, STYLE

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


# Of a tree what stands outside its replies: Croissant knows no nesting without end.
_TREE = {"id": "", "message_tree_id": "", "tree_state": "", "prompt": "text"}


def croissant(
    *,
    name: str,
    folder: str,
    published: str,
    licence: str,
    shards: Mapping[str, Mapping[str, list[File]]],
    trees: Mapping[str, list[File]],
) -> str:
    """croissant.json; `published` is a date such as 2026-11-23."""
    every = {**shards, **({TREES: trees} if trees else {})}
    files = [file for splits in every.values() for parts in splits.values() for file in parts]
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": folder,
        "description": f"Parley preference data {name}. {ABOUT}",
        "license": licence or "https://schema.org/LicenseUnspecified",
        "url": f"file:{folder}",
        "version": f"{int(name.removeprefix('v'))}.0.0",
        "datePublished": published,
        "citeAs": f"Parley preference data {name}",
        "distribution": [
            *(_file(file) for file in files),
            *(_file_set(config, split) for config, splits in every.items() for split in splits),
        ],
        "recordSet": [
            _record_set(config, split, parts) for config, splits in every.items() for split, parts in splits.items()
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _file(file: File) -> dict[str, Any]:
    """One file with its sum, to be held against what was fetched."""
    return {
        "@type": "cr:FileObject",
        "@id": file.path,
        "name": file.path,
        "contentUrl": file.path,
        "contentSize": f"{file.bytes} B",
        "encodingFormat": _format(file.path),
        "sha256": file.sha256,
    }


def _file_set(config: str, split: str) -> dict[str, Any]:
    """All files of a split: what records are read from."""
    path = f"{config}/{split}-*.{'jsonl.gz' if config == TREES else 'parquet'}"
    name = _set_name(config, split)
    return {"@type": "cr:FileSet", "@id": name, "name": name, "encodingFormat": _format(path), "includes": path}


def _set_name(config: str, split: str) -> str:
    return f"{config}-{split}-files"


def _format(path: str) -> str:
    return "application/jsonlines" if path.endswith(".jsonl.gz") else "application/x-parquet"


def _record_set(config: str, split: str, parts: list[File]) -> dict[str, Any]:
    name = f"{config}-{split}"
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"{sum(part.rows for part in parts)} rows in {len(parts)} files.",
        "field": [
            field
            for column in (_TREE if config == TREES else ("id", *COLUMNS[config], "metadata"))
            for field in _fields(name, _set_name(config, split), column, _TREE if config == TREES else {})
        ],
    }


def _fields(record_set: str, files: str, column: str, tree: Mapping[str, str]) -> list[dict[str, Any]]:
    """A plain column is a field; of a nested one each text in it is, for Croissant casts every value it reads."""
    plain: dict[str, tuple[str, ...]] = {**dict.fromkeys(("id", *KINDS), ()), "style": tuple(STYLE)}
    parts = {**plain, "metadata": ("rule", "model_version", "locale", "language", "prompt_form")}
    parts |= {name: (part,) for name, part in tree.items()}
    found = []
    for part in parts.get(column, ("role", "content")) or ("",):
        name = f"{record_set}/{column}_{part}" if part else f"{record_set}/{column}"
        source: dict[str, Any] = {"fileSet": {"@id": files}, "extract": {"column": column}}
        if part:
            source["transform"] = {"jsonPath": f"$.{part}"}
        kind = {"label": "sc:Boolean", "turn": "sc:Integer", "margin": "sc:Float", "style": "sc:Float"}.get(
            column, "sc:Text"
        )
        found.append({"@type": "cr:Field", "@id": name, "name": name, "dataType": kind, "source": source})
    return found
