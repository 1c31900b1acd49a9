"""The dashboard counts what is there, says how sure it is, and gives every table as CSV."""

import csv
import io
import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from billing.models import EntitlementChange
from chat.models import Reply
from feedback import capture, comparing, dashboard, releasing, review
from feedback.intervals import wilson
from feedback.models import FeedbackEvent, Rating, ReleaseRow, ReviewDecision
from feedback.release import building
from feedback.release.specification import Specification
from tests import factories, reviewing

pytestmark = pytest.mark.django_db


def rate(user, value, **more):
    reply = factories.conversation(user, ("What is 2 + 2?", "Four."))
    return capture.rate(user=user, message=reply, value=value, client_event_id=uuid.uuid4(), now=timezone.now(), **more)


@pytest.fixture
def reviewer():
    """Who may adjudicate sees every table."""
    user = factories.UserFactory()
    user.user_permissions.add(*Permission.objects.filter(codename__in=["review", "adjudicate"]))
    return user


@pytest.fixture
def filled(reviewer):
    user = factories.consenting_user()
    ratings = [rate(user, 1), rate(user, 1, reasons=["clear"]), rate(user, -1, reasons=["incorrect", "too_long"])]
    reviewing.decide(rating_id=ratings[0].pk, reviewer=reviewer, verdict="approved", now=timezone.now())
    for choice in ("left", "left", "skipped"):
        reply = factories.conversation(user, ("Name a colour.", "Red."))
        compared = comparing.compare(reply=reply.reply, now=timezone.now())
        for side, text in zip(compared.sides, ("A long answer.", "Short."), strict=True):
            side.content = text
            side.save()
            side.reply.state, side.reply.finished_at = "complete", timezone.now()
            side.reply.save()
        comparing.answer(comparison_id=compared.pk, user=user, choice=choice, now=timezone.now())


def on_plan(user, plan):
    EntitlementChange.objects.create(user=user, from_plan="free", to_plan=plan, cause="test")


def rate_before_plans_were_noted(user, value, *, queue, **snapshot):
    """An event as it was written before it named the plan."""
    reply = factories.conversation(user, ("What is 2 + 2?", "Four."))
    Reply.objects.filter(message=reply).update(queue=queue)
    said = {"user": user, "message": reply, "value": value}
    event = FeedbackEvent.objects.create(
        **said, client_event_id=uuid.uuid4(), kind="thumb", locale="en", had_consent=True, snapshot=snapshot
    )
    now = timezone.now()
    return Rating.objects.create(**said, event=event, rated_at=now, queued_at=now)


def tables():
    return dashboard.tables(days=30, now=timezone.now(), viewer=User(is_superuser=True))


def table(key):
    return next(one for one in tables() if one.key == key)


# A middle and the two ends: at 0 of 10 the upper bound is z² / (10 + z²) = 3.8415 / 13.8415.
@pytest.mark.parametrize(
    ("hits", "total", "low", "high"), [(10, 100, 0.0552, 0.1744), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0)]
)
def test_intervals_are_wilsons(hits, total, low, high):
    assert wilson(hits, total) == pytest.approx((low, high), abs=5e-4)


def test_nothing_counted_means_nothing_known():
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("key", ["day", "version", "plan", "language"])
def test_approval_is_counted(filled, key):
    row = table(key).rows[0]
    assert row[1:4] == [2, 3, 66.7]
    assert row[4] < 66.7 < row[5]


def test_reasons_are_counted_by_direction(filled):
    of_three = [1, 3, 33.3, 6.1, 79.2]
    assert sorted(row[1:] for row in table("reasons").rows) == [[way, *of_three] for way in ("down", "down", "up")]


def test_each_row_of_approval_is_drawn_and_time_has_a_line(filled):
    older = rate(factories.consenting_user(), -1)
    Rating.objects.filter(pk=older.pk).update(rated_at=timezone.now() - timedelta(days=3))
    for key in ("day", "version", "plan", "language"):
        approval = table(key)
        assert len(approval.bars) == len(approval.rows)
        assert approval.bars[0].low < approval.bars[0].at < approval.bars[0].high or approval.bars[0].at in (0, 100)
        (line,) = approval.trend.lines
        assert len(line.dots) == 2
        assert line.dots[0].y > line.dots[1].y  # 0 % three days ago, 67 % today
        assert line.dots[0].x < line.dots[1].x


def test_the_figures_behind_the_lines_are_a_table_with_intervals_and_a_csv(filled, reviewer, client):
    older = rate(factories.consenting_user(), -1, reasons=["too_long"])
    day = timezone.now() - timedelta(days=3)
    Rating.objects.filter(pk=older.pk).update(rated_at=day)
    client.force_login(reviewer)
    page = client.get(reverse("dashboard")).content.decode()
    for key in ("version", "plan", "language"):
        figures = table(key).figures
        assert [row[2:] for row in figures.rows] == [[0, 1, 0.0, 0.0, 79.3], [2, 3, 66.7, 20.8, 93.9]]
        assert [row[1] for row in figures.rows] == [f"{day:%Y-%m-%d}", f"{timezone.now():%Y-%m-%d}"]
        assert f'aria-label="{figures.title}"' in page
        assert told(client, f"{key}-over-time") == [list(map(str, row)) for row in figures.rows]
    assert [row[1:4] for row in table("reasons").figures.rows if row[0] == "Too long"] == [
        [f"{day:%Y-%m-%d}", 1, 1],
        [f"{timezone.now():%Y-%m-%d}", 1, 3],
    ]
    assert told(client, "reasons-over-time") == [list(map(str, row)) for row in table("reasons").figures.rows]


def test_approval_by_plan_tells_plans_apart_that_share_a_queue():
    for plan, value in (("team", 1), ("pro", 1), ("pro", -1)):
        on_plan(user := factories.consenting_user(), plan)
        Reply.objects.filter(pk=rate(user, value).message_id).update(queue="reply.pro")
    rate_before_plans_were_noted(factories.UserFactory(), -1, queue="reply.pro")
    rate(factories.UserFactory(), 1)
    assert [row[:3] for row in table("plan").rows] == [["pro", 1, 3], ["free", 1, 1], ["team", 1, 1]]


def test_groups_without_a_name_are_one_whose_ratings_are_added_up():
    rate_before_plans_were_noted(factories.UserFactory(), 1, queue="reply.free")
    rate_before_plans_were_noted(factories.UserFactory(), -1, queue="reply.free", model_version="")
    approval = table("version")
    assert [row[:3] for row in approval.rows] == [["unknown", 1, 2]]
    assert [row[0:1] + row[2:4] for row in approval.figures.rows] == [["unknown", 1, 2]]


def told(client, key):
    answer = client.get(reverse("dashboard-csv", args=[key]))
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))[1:]


def test_the_funnel_counts_what_is_left_after_each_step(filled):
    lost = rate(factories.UserFactory(), 1)
    capture.withdraw(user=lost.user, message=lost.message, client_event_id=uuid.uuid4(), now=timezone.now())
    rate(factories.UserFactory(), 1)
    frozen = releasing.make_release(specification=Specification(), made_by=None, now=timezone.now())
    building.work(frozen.release.pk)
    counts = [6, 4, 3, 1, 1, 1, ReleaseRow.objects.count()]
    assert [row[1] for row in table("funnel").rows] == counts
    assert ReleaseRow.objects.exists()
    assert [bar.at for bar in table("funnel").bars] == pytest.approx([100 * count / max(counts) for count in counts])


def test_speed_is_that_of_reading(reviewer):
    rate(factories.consenting_user(), 1)
    now = timezone.now()
    rating = review.next_rating(reviewer=reviewer, now=now)
    reviewing.decide(rating_id=rating.pk, reviewer=reviewer, verdict="approved", now=now + timedelta(seconds=12))
    assert table("speed").rows[0][1:] == [1, "12 s"]


def test_bias_of_comparisons_is_shown(filled):
    left, longer, *_others, skipped = table("preferences").rows
    assert left[1:4] == [2, 2, 100.0]
    assert longer[1:3] == [2, 2]
    assert skipped[1:3] == [1, 3]


def test_review_is_counted_by_reviewer(filled, reviewer):
    assert table("review").rows == [[reviewer.email, 1, 1, 100.0, "0 s", "0 minutes"]]


def test_agreement_is_shown_for_all_and_for_each_two(settings):
    settings.REVIEW_READERS, settings.REVIEW_READERS_SHARE = 2, 1.0
    user, readers = factories.consenting_user(), reviewing.readers(2)
    for verdicts in (["approved"] * 2, ["rejected"] * 2, ["approved", "rejected"]):
        rating = rate(user, 1)
        for reader, verdict in zip(readers, verdicts, strict=True):
            reviewing.decide(rating_id=rating.pk, reviewer=reader, verdict=verdict, now=timezone.now())
    everybody, the_two = table("agreement").rows
    assert everybody[1:3] == [3, 0.444]
    assert the_two[1:3] == [3, 0.4]


@pytest.mark.parametrize("days", ["7", "30", "nonsense", "-1"])
def test_the_page_and_each_table_as_csv(filled, reviewer, client, days):
    client.force_login(reviewer)
    assert client.get(reverse("dashboard"), {"days": days}).status_code == 200
    for one in tables():
        answer = client.get(reverse("dashboard-csv", args=[one.key]), {"days": days})
        lines = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
        assert lines[0] == one.head
        assert len(lines) == len(one.rows) + 1


def test_the_csv_holds_the_rows_that_the_page_has_no_room_for(reviewer, client):
    rating = rate(factories.consenting_user(), 1)
    readers = [factories.UserFactory() for _number in range(40)]
    ReviewDecision.objects.bulk_create(
        ReviewDecision(event=rating.event, reviewer=reader, verdict="approved" if number % 2 else "rejected")
        for number, reader in enumerate(readers)
    )
    for number in range(40):
        on_plan(spoken := factories.UserFactory(), f"plan-{number}")
        rate(spoken, 1)
    client.force_login(reviewer)
    page = client.get(reverse("dashboard")).content.decode()
    assert "10 more rows are in the CSV." in page
    for key, count in (("review", 40), ("reviewers", 40), ("agreement", 20 * 20), ("plan", 41)):
        answer = client.get(reverse("dashboard-csv", args=[key]))
        rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))[1:]
        assert len({tuple(row) for row in rows}) == len(rows) >= count, key
        assert len(table(key).drawn_rows) == 30


def test_one_table_as_csv_asks_for_no_other(filled, reviewer, client):
    """Weighing all raters takes seconds where many rated."""
    client.force_login(reviewer)
    asked = {}
    for key in ("day", "plan-over-time", "trust"):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(reverse("dashboard-csv", args=[key])).status_code == 200
        sent = [query["sql"] or "" for query in queries]
        asked[key] = [sql for sql in sent if "feedback_" in sql]
    assert [len(asked[key]) for key in ("day", "plan-over-time")] == [1, 2]
    assert any("hashtextextended" in sql for sql in asked["trust"])


@pytest.mark.parametrize("key", ["nothing", "day-over-time", "-over-time", "plan-over-time-over-time"])
def test_a_table_that_there_is_not_is_not_found(reviewer, client, key):
    client.force_login(reviewer)
    assert client.get(reverse("dashboard-csv", args=[key])).status_code == 404


def test_an_empty_dashboard_is_a_page(reviewer, client):
    client.force_login(reviewer)
    assert "No figures yet." in client.get(reverse("dashboard")).content.decode()


def test_others_may_not_look(client):
    client.force_login(factories.UserFactory())
    assert client.get(reverse("dashboard")).status_code == 403
    assert client.get(reverse("dashboard-csv", args=["day"])).status_code == 403
