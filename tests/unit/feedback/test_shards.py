"""Parquet of releases: what many rows have alike is held once, and files look as if it were not."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from feedback.release import measures, shards, store, tables
from feedback.release.gates.language import UNKNOWN

pytestmark = pytest.mark.usefixtures("storage")

FOLDER = "release"
LANGUAGES = ["en", "zh", UNKNOWN, "fr", "en"]


def value(kind, number):
    """Something of a kind, few different ones of what rows have alike."""
    if pa.types.is_list(kind):
        return [value(kind.value_type, number + place) for place in range(1 + number % 3)]
    if pa.types.is_struct(kind):
        return {part.name: value(part.type, number) for part in kind}
    if kind == tables.ALIKE:
        return LANGUAGES[number % len(LANGUAGES)]
    if pa.types.is_string(kind):
        return f"{number} 中文" * (number % 4)
    return bool(number % 2) if pa.types.is_boolean(kind) else number % 7


def tables_of(config, sizes=(5, 64, 1, 30)):
    first = 0
    for size in sizes:
        rows = [{f.name: value(f.type, n) for f in tables.schema(config)} for n in range(first, first + size)]
        for number, row in enumerate(rows):
            row["metadata"]["length_shift"] = ["", *measures.SHIFTS][number % 3]
            if "winner" in row:
                row["winner"] = ["model_a", "model_b", "tie"][number % 3]
        yield pa.Table.from_pylist(rows, schema=tables.schema(config))
        first += size


def written(config, of, number=0):
    shard = shards.Shard(config, "train", number, 9)
    pieces = (measures.counted(config, table) for table in of)
    return shard, shards.write_parquet(FOLDER, shard, pieces, lambda: None)


def stored(shard, **options):
    with store.reading(f"{FOLDER}/{shard.path}") as source:
        return pq.ParquetFile(pa.BufferReader(source.read()), **options)


@pytest.mark.parametrize("config", tables.COLUMNS)
def test_a_reader_finds_strings_and_the_rows_that_were_written(config):
    shard, file = written(config, tables_of(config))
    found = stored(shard)
    assert [field.type for field in found.schema_arrow] == [
        tables.stored(field.type) for field in tables.schema(config)
    ]
    assert found.read().to_pylist() == [row for table in tables_of(config) for row in table.to_pylist()]
    assert (file.rows, file.languages) == (100, ["en", "fr", "zh"])


@pytest.mark.parametrize("config", tables.COLUMNS)
def test_all_that_rows_have_alike_is_a_dictionary_and_nothing_else_is(config):
    shard, _file = written(config, tables_of(config))
    metadata = stored(shard).metadata
    group = metadata.row_group(1)
    columns = [group.column(number) for number in range(metadata.num_columns)]
    packed = {column.path_in_schema for column in columns if "RLE_DICTIONARY" in column.encodings}
    assert packed == set(tables.dictionaries(config))
    assert "metadata.language" in packed
    assert {column.compression for column in columns} == {"ZSTD"}


@pytest.mark.parametrize("config", tables.COLUMNS)
def test_what_is_read_and_written_again_is_the_same_byte_for_byte(config):
    shard, file = written(config, tables_of(config))
    again = (table.cast(tables.schema(config)) for table in shards.stored_tables(FOLDER, shard))
    _shard, twice = written(config, again, 1)
    assert (twice.sha256, twice.lengths, twice.languages) == (file.sha256, file.lengths, file.languages)


def test_a_dictionary_keeps_nothing_of_rows_that_went():
    shard, _file = written("sft", tables_of("sft"))

    def left():
        for table in shards.stored_tables(FOLDER, shard):
            stays = pc.not_equal(pc.struct_field(table["metadata"], "language"), "fr")
            yield table.filter(stays).cast(tables.schema("sft"))

    rest, file = written("sft", left(), 1)
    assert (file.rows, file.languages) == (80, ["en", "zh"])
    found = stored(rest, read_dictionary=["metadata.language"]).read_row_group(1)
    assert sorted(found["metadata"].chunk(0).field("language").dictionary.to_pylist()) == sorted(["en", UNKNOWN, "zh"])


@pytest.mark.parametrize("config", measures.COMPARED)
@pytest.mark.parametrize(("first", "end"), [(0, 30), (7, 23), (29, 30), (4, 4)])
def test_lengths_are_those_of_the_last_messages_in_bytes(config, first, end):
    table = pa.concat_tables(tables_of(config, (11, 19))).slice(first, end - first)
    expected = {measures.FIRST: Counter(), measures.SECOND: Counter()}
    for row in table.to_pylist():
        one, other = (len(row[name][-1]["content"].encode()) for name in measures.COMPARED[config])
        side = {"model_a": measures.FIRST, "model_b": measures.SECOND}.get(row.get("winner", "model_a"))
        if side:
            expected[side][round(measures.STEPS * (one - other) / max(one + other, 1)) + measures.STEPS] += 1
    counted = measures.counted(config, table).lengths
    if config == "preference":
        leaning = Counter(row["metadata"]["length_shift"] for row in table.to_pylist())
        assert counted.pop(measures.SHIFTED).tolist() == [leaning[shift] for shift in measures.SHIFTS]
    for side, histogram in counted.items():
        assert {place: count for place, count in enumerate(histogram.tolist()) if count} == expected[side]
    assert set(counted) == ({measures.FIRST} if config == "preference" else set(expected))
