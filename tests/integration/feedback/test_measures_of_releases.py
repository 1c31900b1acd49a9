"""The card and the manifest say how far reviewers agreed, and how far position and length speak."""

import uuid

import numpy as np
import pytest
from django.utils import timezone

from accounts import consent
from feedback import capture, comparing, review
from feedback.models import Rating, Release
from feedback.release import measures, store, verify
from tests import factories, reviewing
from tests.integration.feedback.test_comparisons_in_releases import LOOKED, rows, shown
from tests.integration.feedback.test_erasure_in_releases import worked_off
from tests.integration.feedback.test_release import sealed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]
UNSPLIT = {"test_share": 0.0, "validation_share": 0.0, "near_duplicates": "keep"}


@pytest.fixture
def read_by_two(settings):
    """Four ratings that two have read, of which they see one differently, and a third has decided that one."""
    settings.REVIEW_READERS, settings.REVIEW_READERS_SHARE = 2, 1.0
    readers = reviewing.readers(3)
    for number, verdicts in enumerate(("aa", "aa", "rr", "ara")):
        reply = factories.conversation(factories.consenting_user(), (f"Name nut {number}.", f"Hazel number {number}."))
        rating = capture.rate(
            user=reply.conversation.user, message=reply, value=1, client_event_id=uuid.uuid4(), now=timezone.now()
        )
        for reader, verdict in zip(readers, verdicts, strict=False):
            said = "approved" if verdict == "a" else "rejected"
            reviewing.decide(rating_id=rating.pk, reviewer=reader, verdict=said, now=timezone.now())


def choose(number, choice, left, right):
    """Somebody's choice between replies of so many characters."""
    user = factories.consenting_user()
    message = factories.conversation(user, (f"Name tree {number}.", "x" * left))
    one = shown(message, factories.reply_to(message.parent, "y" * right))
    for side, letter, length in ((one.left, "x", left), (one.right, "y", right)):
        side.content = f"{number} ".ljust(length, letter)
        side.save()
    comparing.answer(comparison_id=one.pk, user=user, choice=choice, exposure=LOOKED, now=timezone.now())


def test_a_row_says_which_share_of_its_readers_approved(read_by_two):
    read = {
        row["completion"][0]["content"][-2]: (row["metadata"]["n_reviews"], round(row["metadata"]["agreement"], 3))
        for row in rows(sealed(**UNSPLIT), "sft")
    }
    assert read == {"0": (2, 1.0), "1": (2, 1.0), "3": (3, 0.667)}


def test_the_card_says_how_far_reviewers_agreed_rejected_ratings_too(read_by_two):
    release = sealed(**UNSPLIT)
    # Of nine verdicts (6 to 3) in pairs 2/9 disagree, 1/2 would by chance: 1 - 8/9 * (4/3) / (2 * 18/8) = ...
    agreed = verify.manifest_of(release)["measures"]["agreement"]
    assert agreed["ratings"] == 4
    assert agreed["alpha"] == pytest.approx(1 - 8 * 2 / 36, abs=1e-3)
    assert agreed["low"] <= agreed["alpha"] <= agreed["high"]
    card = store.read(f"{release.folder}/README.md").decode()
    assert f"| {agreed['alpha']:.3f} ({agreed['low']:.3f} to {agreed['high']:.3f}), over 4 ratings |" in card


def test_later_decisions_change_nothing_and_a_successor_keeps_what_was_measured(read_by_two):
    release = sealed(**UNSPLIT)
    first = verify.manifest_of(release)["measures"]
    rating = Rating.objects.exclude(verdict="rejected").first()
    assert not review.Rating.objects.filter(pk=rating.pk, decided_event=None).exists()
    consent.withdraw(rating.user, now=timezone.now())
    worked_off()
    successor = Release.objects.get(parent=release)
    assert verify.manifest_of(successor)["measures"]["agreement"] == first["agreement"]


def test_the_card_says_how_far_position_and_length_speak():
    plan = [("left", 40, 20)] * 6 + [("left", 20, 40)] * 3 + [("right", 20, 40)] * 4 + [("right", 40, 20)] * 2
    for number, (choice, left, right) in enumerate([*plan, ("tie", 30, 30), ("neither", 30, 30)]):
        choose(number, choice, left, right)
    release = sealed(**UNSPLIT)
    bias = verify.manifest_of(release)["measures"]["bias"]
    votes, pairs = bias["comparisons"], bias["preference"]
    assert (votes["left_won"]["left"], votes["left_won"]["of"]) == (0.6, 15)
    assert (votes["longer_won"]["longer"], votes["longer_won"]["of"]) == (0.667, 15)
    assert (pairs["longer_won"]["longer"], pairs["longer_won"]["of"]) == (0.667, 15)
    # Two places, two unknowns: the fit goes through both. Longer on the left 6 to 2, on the right 3 to 4.
    at_right, at_left = np.log(3 / 4), np.log(6 / 2)
    assert votes["position"]["value"] == pytest.approx((at_left + at_right) / 2, abs=1e-3)
    x = 0.35  # a third, to the nearest twentieth
    assert votes["length"]["value"] == pytest.approx((at_left - at_right) / 2 / x, abs=1e-3)
    assert pairs["length"]["value"] == pytest.approx(np.log(2) / x, abs=1e-3)
    assert pairs["length"]["low"] < pairs["length"]["value"] < pairs["length"]["high"]
    card = store.read(f"{release.folder}/README.md").decode()
    assert "| `comparisons`: the left reply was preferred | 0.600 (0.357 to 0.802), of 15 |" in card
    assert not any("lengths" in file for file in verify.manifest_of(release)["files"])


def test_a_successor_measures_what_is_left():
    for number in range(4):
        choose(number, "left", 40, 20)
    choose(4, "left", 20, 40)
    release = sealed(**UNSPLIT)
    (gone,) = comparing.Comparison.objects.filter(left__content__startswith="4 ")
    consent.withdraw(gone.user, now=timezone.now())
    worked_off()
    bias = verify.manifest_of(Release.objects.get(parent=release))["measures"]["bias"]
    assert bias["preference"]["longer_won"]["longer"] == 1.0
    # Without one that speaks against it there is no figure that fits best.
    assert bias["preference"]["length"] is None


def test_what_is_not_known_is_said(read_by_two, settings):
    Release.objects.all().delete()
    assert measures.biases({"preference": [{}], "comparisons": []}) == {}
    assert measures.agreement(until=timezone.now().replace(year=2020)) == {}
