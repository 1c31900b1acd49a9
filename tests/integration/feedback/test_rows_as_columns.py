"""Rows come from the database as whole columns, in the order of their places and with every text as it was."""

import json
import uuid
from contextlib import closing
from hashlib import sha256

import pytest
from django.db import connection

from feedback.models import CandidateRow, Release
from feedback.release import candidates, columns, reading
from feedback.release.models import ReleaseRow
from feedback.release.tables import PARTICULARS

SAID = {
    "rule": "vote",
    "locale": "zh-hans",
    "language": "zh",
    "prompt_form": "shown",
    "n_reviews": 2,
    "agreement": 0.75,
    "strength": 1,
    "confidence": 0.7,
    "winner": "model_a",
    "other_model": "b@2",
    "model_version": 'a "quoted" \x1f name',
    "length_shift": "longer",
}
PROMPTS = [["你好，世界"], ["one", "", "three\x1ethree"], ["𝄞 é", "q"], [], ["\n"] * 40, ["x" * 5_000, "y"]]


@pytest.fixture
def span():
    """Thirty rows whose places have nothing to do with where they lie."""
    release = Release.objects.create(is_dry_run=True)
    rows = CandidateRow.objects.bulk_create(candidate(release, number) for number in range(30))
    places = sorted(rows, key=lambda row: row.row_id)
    ReleaseRow.objects.bulk_create(
        ReleaseRow(
            release=release,
            config="preference",
            split="train",
            ordinal=ordinal,
            row_id=row.row_id,
            source_events=[],
            candidate_id=row.pk,
        )
        for ordinal, row in enumerate(places)
    )
    return reading.Span(release.pk, "preference", "train", 0, len(rows))


def candidate(release, number):
    contents = PROMPTS[number % len(PROMPTS)]
    said = {**SAID, "prompt_roles": roles(contents), "label": number % 2 == 0, "reasons": ["clear"] * (number % 3)}
    chosen, rejected = "" if number % 4 == 0 else f"好 {number}", f"{number} " * number
    particulars = json.dumps([said[name] for name in PARTICULARS])
    sizes, prompt_sizes = candidates.sizes(contents, chosen, rejected, particulars)
    return CandidateRow(
        release=release,
        batch=0,
        config="preference",
        row_id=sha256(str(number).encode()).hexdigest(),
        duplicate_key="",
        prompt_key="",
        user_id=uuid.uuid4(),
        source_events=[],
        prompt_roles=roles(contents),
        prompt_contents=contents,
        chosen=chosen,
        rejected=rejected,
        confidence=0.7,
        weight=number / 30,
        particulars=particulars,
        sizes=sizes,
        prompt_sizes=prompt_sizes,
    )


def roles(contents):
    return ["user" if number % 2 == 0 else "assistant" for number in range(len(contents))]


def read(span):
    """Every row before it takes the shape of a config, which leaves some of it out."""
    with closing(reading._groups(span, connection.connection)) as groups:
        return [row for piece in reading._together(groups) for row in columns.flat(piece).to_pylist()]


@pytest.mark.django_db
@pytest.mark.parametrize("rows_of_group", [1, 7, 512])
def test_every_row_is_in_its_place_as_it_was(span, monkeypatch, rows_of_group):
    monkeypatch.setattr(reading, "ROWS_OF_GROUP", rows_of_group)
    rows = read(span)
    assert [row["row_id"] for row in rows] == sorted(row["row_id"] for row in rows)
    stored = {row.row_id: row for row in CandidateRow.objects.all()}
    assert len(rows) == len(stored) == 30
    for row in rows:
        of_row = stored[row["row_id"]]
        for name in ("prompt_roles", "prompt_contents", "chosen", "rejected"):
            assert row[name] == getattr(of_row, name)
        assert row["weight"] == pytest.approx(of_row.weight)
        said = dict(zip(PARTICULARS, json.loads(of_row.particulars), strict=True))
        assert {name: row[name] for name in PARTICULARS} == {**said, "confidence": pytest.approx(0.7)}


@pytest.mark.django_db
def test_pieces_of_large_rows_hold_fewer_of_them(span, monkeypatch):
    monkeypatch.setattr(reading, "ROWS_OF_GROUP", 5)
    whole = read(span)
    assert [len(piece.table) for piece in reading.pieces(span)] == [30]
    monkeypatch.setattr(reading, "BYTES_AT_ONCE", 1)
    assert [len(piece.table) for piece in reading.pieces(span)] == [5] * 6
    assert read(span) == whole


@pytest.mark.django_db
@pytest.mark.parametrize("left", [29, 0])
def test_rows_without_words_are_an_error_and_not_left_out(span, left):
    CandidateRow.objects.filter(pk__in=CandidateRow.objects.order_by("row_id").values("pk")[left:]).delete()
    with pytest.raises(columns.RowsMissingError):
        list(reading.pieces(span))
