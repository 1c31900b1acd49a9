"""The second step of a release: compare all candidate rows, leave out what others make superfluous, number the rest.

Reading and comparing take long and change nothing; what they found is written in one transaction.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext_noop

from feedback.release import freezing
from feedback.release.gates import near_duplicates
from feedback.release.models import Release, ReleaseChunk, ReleaseMember, ReleaseRow
from feedback.release.specification import Specification
from feedback.release.tables import PARTICULARS

TEXTS_PER_BATCH = 2_000
# Votes about nearly the same words are several votes.
VOTES = ("comparisons",)
WITHDRAWN = "left out: withdrawn meanwhile"
FOUND = ("counts", "content_sha256", "membership_sha256")
NOTHING_LEFT = gettext_noop("The gates left no row. The counts say what they dropped.")

# The best row of each exact duplicate, best first, with the words it is compared by: the last question and the replies,
# of a tree all it says.
_TEXT = """CASE config WHEN 'trees' THEN array_to_string(prompt_contents, E'\\n')
    ELSE prompt_contents[cardinality(prompt_contents)] || E'\\n' || chosen || E'\\n' || rejected END"""
_DISTINCT = f"""
SELECT id, {_TEXT} FROM (
    SELECT *, row_number() OVER (PARTITION BY duplicate_key ORDER BY confidence DESC, row_id, source_events) AS place
    FROM feedback_candidaterow WHERE release_id = %s AND config = %s AND dropped = ''
) ranked WHERE place = 1 ORDER BY confidence DESC, row_id, source_events
"""  # noqa: S608 - made of constants
# A long question makes rows alike whatever was replied: those that are alike are near-duplicates where each of their
# replies is nearly the same as well.
_REPLIES = {"preference": ("chosen", "rejected"), "unpaired": ("chosen",), "sft": ("chosen",)}
_THESE = """
SELECT id, {reply} FROM feedback_candidaterow WHERE id = ANY(%s) ORDER BY confidence DESC, row_id, source_events
"""
# Each prompt once, without the system prompt, whatever configs and people it is in; of a tree the question at its root.
_PROMPT = """CASE config WHEN 'trees' THEN prompt_contents[1]
    ELSE array_to_string(prompt_contents[CASE prompt_roles[1] WHEN 'system' THEN 2 ELSE 1 END:], E'\\n') END"""
_PROMPTS = f"""
SELECT DISTINCT ON (prompt_key) id, {_PROMPT} FROM feedback_candidaterow
WHERE release_id = %s AND dropped = '' ORDER BY prompt_key, row_id, source_events
"""  # noqa: S608 - made of constants

_BEGIN = """
CREATE TEMPORARY TABLE choice ON COMMIT DROP AS
SELECT id, batch, config, row_id, duplicate_key, prompt_key, user_id, other_user_id, confidence, source_events,
    dropped,
    ''::text AS split, prompt_key AS family, id AS cluster
FROM feedback_candidaterow WHERE release_id = %s;
"""
_EXACT = """
UPDATE choice SET dropped = 'exact duplicate' FROM (
    SELECT id,
        row_number() OVER (PARTITION BY config, duplicate_key ORDER BY confidence DESC, row_id, source_events) AS place
    FROM choice WHERE dropped = ''
) ranked WHERE ranked.id = choice.id AND ranked.place > 1
"""
# A family is the prompts that are nearly the same, a cluster the rows of a config that are.
_CLUSTERS = "UPDATE choice SET cluster = alike.root FROM alike WHERE alike.id = choice.id"
_FAMILIES = """
UPDATE choice SET family = root.prompt_key
FROM kin JOIN choice member ON member.id = kin.id JOIN choice root ON root.id = kin.root
WHERE choice.prompt_key = member.prompt_key
"""
# Who liked and who disliked nearly the same reply did not say the same: the best row of each label stays.
_LABEL = f"candidate.particulars::json ->> {PARTICULARS.index('label')}"
_NEAR = f"""
UPDATE choice SET dropped = 'near-duplicate' FROM (
    SELECT choice.id, row_number() OVER (
        PARTITION BY choice.cluster, {_LABEL}, replies.chosen, replies.rejected
        ORDER BY choice.confidence DESC, choice.row_id, choice.source_events
    ) AS place
    FROM choice JOIN feedback_candidaterow candidate ON candidate.id = choice.id
    LEFT JOIN replies ON replies.id = choice.id
    WHERE choice.dropped = '' AND choice.cluster IN (SELECT root FROM alike)
) ranked WHERE ranked.id = choice.id AND ranked.place > 1
"""  # noqa: S608 - made of constants
_CAPS = """
UPDATE choice SET dropped = 'too many of one person' FROM (
    SELECT DISTINCT id FROM (
        SELECT id, config,
            row_number() OVER (PARTITION BY config, person ORDER BY confidence DESC, row_id, source_events) AS place
        FROM choice CROSS JOIN LATERAL (VALUES (user_id), (other_user_id)) AS whose (person)
        WHERE dropped = '' AND person IS NOT NULL
    ) ranked JOIN (
        SELECT config, GREATEST(%(rows)s, ceil(%(share)s * count(*))) AS cap
        FROM choice WHERE dropped = '' GROUP BY config
    ) capped USING (config) WHERE place > cap
) over WHERE over.id = choice.id
"""
# The split of a person, by `%(test)s` and `%(validation)s`, the shares of these.
SPLIT_OF = """
(SELECT CASE WHEN draw < %(test)s THEN 'test' WHEN draw < %(test)s + %(validation)s THEN 'validation' ELSE 'train' END
FROM (
    SELECT ('x' || left(encode(sha256({person}::text::bytea), 'hex'), 8))::bit(32)::bigint / 4294967296.0 AS draw
) drawn)
"""
# All rows of a person are in one split, so that no test row comes from somebody seen in training.
_SPLITS = f"""
UPDATE choice SET split = drawn.split FROM (
    SELECT user_id, {SPLIT_OF.format(person="user_id")} AS split FROM (SELECT DISTINCT user_id FROM choice) people
) drawn WHERE drawn.user_id = choice.user_id
"""  # noqa: S608 - made of constants
# Nor does a split hold anything nearly the same as another, by whomever: what is trained on is not tested on.
_APART = """
UPDATE choice SET dropped = 'also in another split' FROM (
    SELECT {group} AS named, min(array_position(ARRAY['train', 'validation', 'test'], split)) AS first
    FROM choice WHERE dropped = '' GROUP BY {group}
) held
WHERE held.named = choice.{group} AND choice.dropped = ''
    AND array_position(ARRAY['train', 'validation', 'test'], choice.split) > held.first
"""
_NUMBER = """
INSERT INTO feedback_releaserow
    (release_id, config, split, ordinal, row_id, user_id, other_user_id, source_events, candidate_id)
SELECT %s, choice.config, choice.split,
    row_number() OVER (PARTITION BY choice.config, choice.split ORDER BY choice.batch, choice.row_id) - 1,
    choice.row_id, person.id, other.id, candidate.source_events, choice.id
FROM choice JOIN feedback_candidaterow candidate ON candidate.id = choice.id
LEFT JOIN accounts_user person ON person.id = choice.user_id
LEFT JOIN accounts_user other ON other.id = candidate.other_user_id
WHERE choice.dropped = ''
"""
_DIGEST = """
SELECT encode(sha256(convert_to(string_agg(config || '/' || split || '/' || row_id, ','
    ORDER BY config, split, ordinal), 'UTF8')), 'hex') FROM feedback_releaserow WHERE release_id = %s
"""


class NothingLeftError(ValueError):
    """The gates left no row."""


@dataclass(frozen=True)
class Choice:
    """Rows that say nearly the same as a better one, and rows whose prompt is nearly another's: (row, that other).

    `replies` are of each row that is alike to another the rows whose `chosen` and `rejected` are nearly its own, itself
    or the first of them; None where it has no such reply.
    """

    alike: Sequence[tuple[int, int]]
    kin: Sequence[tuple[int, int]]
    replies: Sequence[tuple[int, int | None, int | None]]


def compare(release: Release, specification: Specification, beat: Callable[[], None]) -> Choice:
    """Find near-duplicates among the rows of each config; changes nothing."""
    alike: list[tuple[int, int]] = []
    replies: list[tuple[int, int | None, int | None]] = []
    for config in (config for config in specification.configs if config not in VOTES):
        found = _nearly_the_same(_DISTINCT, [release.pk, config], _TEXT, specification, beat)
        alike.extend(found)
        if config in _REPLIES:
            replies.extend(_by_replies(config, sorted({row for pair in found for row in pair}), specification, beat))
    return Choice(alike, _nearly_the_same(_PROMPTS, [release.pk], _PROMPT, specification, beat), replies)


def _by_replies(
    config: str, ids: list[int], specification: Specification, beat: Callable[[], None]
) -> Iterator[tuple[int, int | None, int | None]]:
    """`Choice.replies` of these rows of a config."""
    roots = {
        reply: dict(_nearly_the_same(_THESE.format(reply=reply), [ids], reply, specification, beat))
        for reply in _REPLIES[config]
    }
    for row in ids:
        chosen, rejected = (roots[reply].get(row, row) if reply in roots else None for reply in ("chosen", "rejected"))
        yield row, chosen, rejected


def _nearly_the_same(
    statement: str, parameters: list[Any], text: str, specification: Specification, beat: Callable[[], None]
) -> list[tuple[int, int]]:
    """(row, the first row it is nearly the same as) of those that are, by their `text`."""
    ids: array[int] = array("q")
    roots = near_duplicates.clusters(
        _texts(statement, parameters, ids),
        similarity=specification.near_duplicate_similarity,
        texts_at=lambda numbers: _texts_at([ids[number] for number in numbers], text),
        beat=beat,
    )
    return [(ids[number], ids[int(root)]) for number, root in enumerate(roots) if root != number]


def write(release: Release, specification: Specification, choice: Choice) -> None:
    """Number the rows that stay; call it in a transaction. Raises `NothingLeftError`, unless it was only to count them.

    What it finds of the release itself (`FOUND`) is set, not saved: whoever withdraws must not wait for its row while
    this waits for them.
    """
    release.refresh_from_db(fields=["membership_sha256"])
    ReleaseRow.objects.filter(release=release).delete()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS choice, alike, kin, replies")
        cursor.execute(_BEGIN, [release.pk])
        tables: dict[str, tuple[str, Sequence[Sequence[int | None]]]] = {
            "alike": ("root bigint", choice.alike),
            "kin": ("root bigint", choice.kin),
            "replies": ("chosen bigint, rejected bigint", choice.replies),
        }
        for table, (columns, found) in tables.items():
            cursor.execute(f"CREATE TEMPORARY TABLE {table} (id bigint PRIMARY KEY, {columns}) ON COMMIT DROP")
            with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for row in found:
                    copy.write_row(row)
        cursor.execute(_CLUSTERS)
        cursor.execute(_FAMILIES)
        cursor.execute(_EXACT)
        if specification.near_duplicates == "drop":
            cursor.execute(_NEAR)
        cursor.execute(_CAPS, {"rows": specification.person_rows, "share": specification.person_share})
        cursor.execute(_SPLITS, {"test": specification.test_share, "validation": specification.validation_share})
        for group in ("family", "cluster"):
            cursor.execute(_APART.format(group=group))
        cursor.execute("SELECT config, dropped, count(*) FROM choice GROUP BY config, dropped")
        _count(release, cursor.fetchall())
        if not release.membership_sha256:  # somebody withdrew since it was frozen
            release.membership_sha256, _last_batch = freezing.membership(release)
        cursor.execute(_NUMBER, [release.pk])
        cursor.execute(_DIGEST, [release.pk])
        (digest,) = cursor.fetchone()
    if digest is None and not release.is_dry_run:
        raise NothingLeftError(NOTHING_LEFT)
    release.content_sha256 = digest or ""


def plan(release: Release, specification: Specification) -> list[ReleaseChunk]:
    """One chunk a file, every config and split cut into files of `shard_rows` rows."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT config, split, count(*) FROM feedback_releaserow WHERE release_id = %s"
            " GROUP BY config, split ORDER BY config, split",
            [release.pk],
        )
        chunks: list[ReleaseChunk] = []
        for config, split, count in cursor.fetchall():
            for shard in range(math.ceil(count / specification.shard_rows)):
                first = shard * specification.shard_rows
                chunks.append(
                    ReleaseChunk(
                        release=release,
                        stage=ReleaseChunk.Stage.FILES,
                        number=len(chunks),
                        config=config,
                        split=split,
                        first_ordinal=first,
                        end_ordinal=min(first + specification.shard_rows, count),
                    )
                )
    return chunks


def _count(release: Release, counted: list[tuple[str, str, int]]) -> None:
    funnel = {step: count for step, count in release.counts.items() if not step.startswith(("rows", "dropped"))}
    for kind in ReleaseMember.Kind.values:
        left, name = release.members.filter(kind=kind).count(), f"{kind}s used"
        if gone := funnel.get(name, 0) - left:
            funnel[name] = left
            funnel[WITHDRAWN] = funnel.get(WITHDRAWN, 0) + gone
    for config, dropped, count in counted:
        for step in ("rows made", f"dropped: {dropped}" if dropped else f"rows: {config}"):
            funnel[step] = funnel.get(step, 0) + count
    release.counts = dict(sorted(funnel.items()))


def _texts(statement: str, parameters: list[Any], ids: array[int]) -> Iterator[list[str]]:
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(statement, parameters)
        while found := cursor.fetchmany(TEXTS_PER_BATCH):
            ids.extend(row_id for row_id, _text in found)
            yield [text for _row_id, text in found]


def _texts_at(ids: Sequence[int], text: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id, {text} FROM feedback_candidaterow WHERE id = ANY(%s)", [list(ids)])  # noqa: S608
        found = dict(cursor.fetchall())
    return [found[row_id] for row_id in ids]
