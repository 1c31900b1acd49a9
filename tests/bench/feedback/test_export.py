"""How fast a release is written, beside a bare binary COPY of the same rows, and how much memory it takes.

The export is the one of a release: shards of 50,000 rows, from PostgreSQL into nested Parquet. Shard by shard it takes
turns with `COPY ... TO STDOUT (FORMAT BINARY)` whose bytes are thrown away, so that the ratio means something on a
busy machine too.
`EXPORT_ROWS` sets how many rows of 1.2 kB there are.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from feedback.models import Release

ROWS = int(os.environ.get("EXPORT_ROWS", "200000"))
MOST_MEGABYTES = 300
LEAST_RATIO = 0.5

# As unlike each other as words are: `hashint8` draws four-letter ones out of 65,536.
_SENTENCES = """
CREATE TEMPORARY TABLE sentence AS
SELECT place, string_agg(to_hex(hashint8(place * 1000 + word) & 65535), ' ' ORDER BY word) AS text
FROM generate_series(0, 4095) AS place, generate_series(1, 46) AS word GROUP BY place
"""
# A prompt of three messages and two answers: 1.2 kB of text in a row, no two rows alike.
_CANDIDATES = """
INSERT INTO feedback_candidaterow (release_id, batch, config, row_id, duplicate_key, prompt_key, user_id, source_events,
    prompt_roles, prompt_contents, chosen, rejected, label, rule, confidence, model_version, locale, language,
    n_reviews, reasons, prompt_form, dropped, other_model, winner, strength, weight, nodes)
SELECT %(release)s, number / 500, 'preference', encode(sha256(number::text::bytea), 'hex'), number::text, number::text,
    gen_random_uuid(), ARRAY[gen_random_uuid()], ARRAY['system', 'user', 'assistant', 'user'],
    ARRAY['You are a helpful assistant.', first.text, second.text, number || ' ' || third.text],
    fourth.text || number, fifth.text || number, true, 'up_vs_down', 0.7, 'smollm2-135m-instruct@1', 'en', 'en', 1,
    ARRAY['clear'], 'shown', '', '', '', 0, 1, ''
FROM generate_series(0, %(rows)s - 1) AS number
JOIN sentence first ON first.place = number & 4095
JOIN sentence second ON second.place = (number * 7 + 1) & 4095
JOIN sentence third ON third.place = (number * 13 + 2) & 4095
JOIN sentence fourth ON fourth.place = (number * 31 + 3) & 4095
JOIN sentence fifth ON fifth.place = (number * 61 + 4) & 4095
"""
_PLACES = """
INSERT INTO feedback_releaserow (release_id, config, split, ordinal, row_id, source_events, candidate_id)
SELECT release_id, 'preference', 'train', row_number() OVER (ORDER BY batch, row_id) - 1, row_id, ARRAY[]::uuid[], id
FROM feedback_candidaterow WHERE release_id = %(release)s
"""


def fill(rows: int) -> Release:
    """A release whose rows are chosen and whose files are to be written."""
    release = Release.objects.create(version=1, content_sha256="0" * 64)
    asked = {"release": release.pk, "rows": rows}
    with connection.cursor() as cursor:
        for statement in (_SENTENCES, "ANALYZE sentence", _CANDIDATES, _PLACES, "DROP TABLE sentence"):
            cursor.execute(statement, asked)
        cursor.execute("ANALYZE feedback_candidaterow, feedback_releaserow")
    return release


@pytest.mark.django_db(transaction=True)
def test_export(monkeypatch: pytest.MonkeyPatch) -> None:
    address = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    monkeypatch.setenv("DATABASE_URL", urlunsplit(address))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "config.settings")
    from tests.bench.feedback.exporting import export

    release = fill(ROWS)
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    exporter = spawning.Process(target=export, args=(release.pk, release.folder, ROWS, there))
    exporter.start()
    shards, twins, peak = here.recv()
    exporter.join(60)
    ratio = statistics.median(one.copy_seconds / one.export_seconds for one in shards)
    export = statistics.median(one.rows / one.export_seconds for one in shards)
    copied = statistics.median(one.rows / one.copy_seconds for one in shards)
    cpu = statistics.median(one.rows / one.cpu_seconds for one in shards)
    print(f"\n{ROWS:,} rows of {shards[0].bytes_a_row:,} bytes in COPY; medians of {len(shards)} shards, one process:")
    print(f"Parquet {export:,.0f} rows/s ({cpu:,.0f} a second of its own CPU), COPY {copied:,.0f}, ratio {ratio:.2f}")
    print(f"with its JSON lines for OpenAI and LLaMA-Factory {twins[0]:,.0f} rows/s ({twins[1]:,.0f} of its own CPU)")
    print(f"peak memory {peak:.0f} MB")
    assert peak < MOST_MEGABYTES
    assert ratio >= LEAST_RATIO
