"""A release of any size whose rows are chosen and whose files are to be written, made by PostgreSQL itself."""

from __future__ import annotations

import json

from django.db import connection

from accounts.models import User
from feedback.release import choice
from feedback.release.models import Release, ReleaseChunk
from feedback.release.specification import Specification
from feedback.release.tables import PARTICULARS
from tests import factories

ROWS_OF_PERSON = 100

_PEOPLE = (
    "CREATE TEMPORARY TABLE person AS SELECT * FROM unnest(%(people)s::uuid[]) WITH ORDINALITY AS given (id, place)"
)
# As unlike each other as words are: `hashint8` draws four-letter ones out of 65,536.
_SENTENCES = """
CREATE TEMPORARY TABLE sentence AS
SELECT place, string_agg(to_hex(hashint8(place * 1000 + word) & 65535), ' ' ORDER BY word) AS text
FROM generate_series(0, 4095) AS place, generate_series(1, 46) AS word GROUP BY place
"""
# A prompt of three messages and two answers: 1.2 kB of text in a row, no two rows alike.
_CANDIDATES = """
INSERT INTO feedback_candidaterow (release_id, batch, config, row_id, duplicate_key, prompt_key, user_id, source_events,
    prompt_roles, prompt_contents, chosen, rejected, confidence, weight, particulars, dropped, nodes, sizes,
    prompt_sizes)
SELECT made.*, int4send(cardinality(contents)) || int4send(octet_length(chosen)) || int4send(octet_length(rejected))
        || int4send(octet_length(%(particulars)s)), (
        SELECT string_agg(int4send(octet_length(content)), '' ORDER BY place)
        FROM unnest(contents) WITH ORDINALITY AS turn (content, place)
    )
FROM (
    SELECT %(release)s::uuid, number / 500, 'preference', encode(sha256(number::text::bytea), 'hex') AS row_id,
        number::text AS duplicate_key, number::text AS prompt_key, person.id, ARRAY[gen_random_uuid()],
        ARRAY['system', 'user', 'assistant', 'user'],
        ARRAY['You are a helpful assistant.', first.text, second.text, number || ' ' || third.text] AS contents,
        fourth.text || number AS chosen, fifth.text || number AS rejected, 0.7, 1, %(particulars)s::text, '', ''
    FROM generate_series(0, %(rows)s - 1) AS number
    JOIN person ON person.place = 1 + number %% %(n_people)s
    JOIN sentence first ON first.place = number & 4095
    JOIN sentence second ON second.place = (number * 7 + 1) & 4095
    JOIN sentence third ON third.place = (number * 13 + 2) & 4095
    JOIN sentence fourth ON fourth.place = (number * 31 + 3) & 4095
    JOIN sentence fifth ON fifth.place = (number * 61 + 4) & 4095
    ORDER BY number / 500, encode(sha256(number::text::bytea), 'hex')
) made
"""
_PARTICULARS = {
    "prompt_roles": ["system", "user", "assistant", "user"],
    "label": True,
    "reasons": ["clear"],
    "rule": "up_vs_down",
    "locale": "en",
    "language": "en",
    "prompt_form": "shown",
    "n_reviews": 1,
    "agreement": 1.0,
    "strength": 0,
    "confidence": 0.7,
    "winner": "",
    "other_model": "",
    "length_shift": "",
    "model_version": "smollm2-135m-instruct@1",
}
_PLACES = """
INSERT INTO feedback_releaserow (release_id, config, split, ordinal, row_id, user_id, source_events, candidate_id)
SELECT release_id, 'preference', 'train', row_number() OVER (ORDER BY batch, row_id) - 1, row_id, user_id,
    source_events, id
FROM feedback_candidaterow WHERE release_id = %(release)s
"""


def chosen(rows: int, *, shard_rows: int = Specification.shard_rows) -> tuple[Release, list[User]]:
    """The release, its files still to be written, and the people whose rows are in it, a hundred of each."""
    people = [factories.UserFactory.build() for _number in range(max(1, rows // ROWS_OF_PERSON))]
    User.objects.bulk_create(people)
    specification = Specification(shard_rows=shard_rows)
    release = Release.objects.create(
        version=1,
        state=Release.State.BUILDING,
        content_sha256="0" * 64,
        specification=specification.as_json(),
        counts={"rows: preference": rows},
    )
    given = {
        "release": release.pk,
        "rows": rows,
        "people": [user.pk for user in people],
        "n_people": len(people),
        "particulars": json.dumps([_PARTICULARS[name] for name in PARTICULARS]),
    }
    with connection.cursor() as cursor:
        for statement in (_PEOPLE, _SENTENCES, "ANALYZE sentence, person", _CANDIDATES, _PLACES):
            cursor.execute(statement, given)
        cursor.execute("DROP TABLE sentence, person")
        cursor.execute("ANALYZE feedback_candidaterow, feedback_releaserow, accounts_user")
    ReleaseChunk.objects.bulk_create(choice.plan(release, specification))
    return release, people
