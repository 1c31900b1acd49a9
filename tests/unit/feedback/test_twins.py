"""JSON lines beside the Parquet: the bytes that Python's own `json` would write, whatever stands in a text."""

import json

import pyarrow as pa
import pytest

from feedback.release import tables, twins

TEXTS = [
    "Plain.", "", " ", 'He said "no" \\ "yes".', "One\nTwo\r\n\tThree", "\x01\x08\x0c\x1f\x7f", "中文，naïve",
    "\u2028\u2029\ufeff", "🙂 𝄞", "\\u0041 \\n", "ÿ\xff", "</script>", "[1, 2]",
]  # fmt: skip


def said(role, text):
    return {"role": role, "content": text}


def rows():
    """Every text in every place, prompts of one, three and four messages."""
    for number, text in enumerate(TEXTS):
        for other in TEXTS:
            prompt = [said("user", other), said("assistant", text), said("user", text)]
            prompt = [[said("system", other), *prompt], prompt, [said("user", text)]][number % 3]
            answers = {"chosen": [said("assistant", text)], "rejected": [said("assistant", other)]}
            yield {"prompt": prompt, **answers, "completion": answers["chosen"], "label": number % 2 == 0}


def as_json_writes(folder, config, row):
    prompt = row["prompt"]
    if config == "preference":
        if folder == "llamafactory":
            return {"messages": prompt, "chosen": row["chosen"][0], "rejected": row["rejected"][0]}
        asked = {"messages": prompt, "tools": [], "parallel_tool_calls": True}
        return {"input": asked, "preferred_output": row["chosen"], "non_preferred_output": row["rejected"]}
    label = {"label": row["label"]} if config == "unpaired" else {}
    return {"messages": prompt + row["completion"], **label}


@pytest.mark.parametrize("config", twins.TWINS)
@pytest.mark.parametrize(("first", "end"), [(0, None), (5, 100), (7, 7)])
def test_the_lines_are_those_of_json(config, first, end):
    given = list(rows())
    names = [
        field for field in ("prompt", "chosen", "rejected", "completion", "label") if field in tables.COLUMNS[config]
    ]
    schema = pa.schema([(name, tables.KINDS.get(name, tables.MESSAGES)) for name in names])
    table = pa.concat_tables(pa.Table.from_pylist(part, schema=schema) for part in (given[:50], given[50:]))
    piece = table.slice(first, None if end is None else end - first)
    beside = twins.TWINS[config]
    for twin in beside:
        expected = [as_json_writes(twin.folder, config, row) for row in given[first:end]]
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in expected)
        assert twin.lines(twins.as_json(piece, beside)) == lines.encode()
