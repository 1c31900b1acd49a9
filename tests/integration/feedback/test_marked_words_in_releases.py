"""Who rates a reply up and says which of its words are wrong does not say that it is good as it stands."""

import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from feedback import signals
from feedback.models import Correction, Rating
from feedback.release import building
from tests import factories, reviewing
from tests.integration.feedback.test_comparisons_in_releases import rows
from tests.integration.feedback.test_release import frozen, rated, sealed, sums
from tests.integration.feedback.test_written_again_in_releases import seen

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]
UNSPLIT = {"test_share": 0.0, "validation_share": 0.0, "near_duplicates": "keep"}
SAID = "It is Sydney, by the sea, and always was. Sydney it is."
# Of each what the person posts, and whether the words can be put in their place.
SAYINGS = {
    "a mark": ({"quote": "by the sea"}, False),
    "a correction of words that stand there twice": ({"quote": "Sydney", "right_text": "Canberra"}, False),
    "a correction": ({"quote": "by the sea", "right_text": "far from the sea"}, True),
}


@pytest.fixture
def reviewer():
    return User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")


@pytest.fixture
def reply(reviewer):
    """Of somebody who rated another one up, so that a release without this one is one all the same."""
    user = factories.consenting_user()
    rated(factories.conversation(user, ("Name a nut.", "Hazel.")), 1, reviewer)
    return factories.conversation(user, ("Capital of Australia?", SAID))


def by_the_page(reply, name, *args, **said):
    client = Client()
    client.force_login(reply.conversation.user)
    assert client.post(reverse(name, args=args), {"client_event_id": uuid.uuid4(), **said}).status_code == 302


def said_and_approved(reply, reviewer, **said):
    """Rated up, and then this said of its words; a reviewer approves of what came of both."""
    by_the_page(reply, "rate", reply.pk, value=1)
    if said:
        by_the_page(reply, "correct", reply.pk, **said)
    approve(reply, reviewer)


def approve(reply, reviewer):
    rating = Rating.objects.get(message=reply)
    assert rating.value == 1
    reviewing.decide(rating_id=rating.pk, reviewer=reviewer, verdict="approved", now=timezone.now())


def praised(release):
    """By config the rules by which the reply as it stands is a completion to learn."""
    found = {}
    for config, column in (("unpaired", "completion"), ("sft", "completion"), ("preference", "chosen")):
        if f"rows: {config}" in release.counts:
            found[config] = {
                row["metadata"]["rule"]
                for row in rows(release, config)
                if row[column][0]["content"] == SAID and row.get("label", True)
            }
    return {config: rules for config, rules in found.items() if rules}


EVERYTHING = {"unpaired": {"thumb"}, "sft": {"approved"}, "preference": {"up_vs_down", "regen_then_up"}}


def beaten(reply, reviewer):
    """The reply came in the place of another, and a third to the same question was rated down."""
    earlier = factories.reply_to(reply.parent, "Melbourne, I think.")
    now = earlier.reply.finished_at + timedelta(seconds=10)
    seen(earlier, at=now)
    signals.keep(user=reply.conversation.user, message=earlier, kind="regenerated", cause=reply.pk, now=now)
    rated(factories.reply_to(reply.parent, "I cannot say."), -1, reviewer)


@pytest.mark.parametrize("said", [None, *SAYINGS])
def test_a_reply_is_nobodys_model_where_its_person_says_that_words_are_wrong(reply, reviewer, said):
    beaten(reply, reviewer)
    posted, is_placed = SAYINGS.get(said, ({}, False))
    said_and_approved(reply, reviewer, **posted)
    release = sealed(**UNSPLIT)
    assert praised(release) == ({} if said else EVERYTHING)
    edits = [row for row in rows(release, "sft") if row["metadata"]["rule"] == "edit"]
    assert [row["completion"][0]["content"] for row in edits] == (
        [SAID.replace("by the sea", "far from the sea")] if is_placed else []
    )


def test_a_correction_teaches_nothing_while_other_words_of_the_reply_are_marked_as_wrong(reply, reviewer):
    posted, _is_placed = SAYINGS["a correction"]
    by_the_page(reply, "correct", reply.pk, **posted)
    by_the_page(reply, "correct", reply.pk, quote=SAID.split()[0])
    rating = Rating.objects.get(message=reply)
    reviewing.decide(rating_id=rating.pk, reviewer=reviewer, verdict="approved", now=timezone.now())
    assert [row for row in rows(sealed(**UNSPLIT), "sft") if row["metadata"]["rule"] == "edit"] == []


def test_what_was_marked_and_rated_down_stays_what_it_was(reply, reviewer):
    by_the_page(reply, "correct", reply.pk, quote="by the sea")
    rating = Rating.objects.get(message=reply)
    reviewing.decide(rating_id=rating.pk, reviewer=reviewer, verdict="approved", now=timezone.now())
    assert [row["label"] for row in rows(sealed(**UNSPLIT), "unpaired") if row["completion"][0]["content"] == SAID] == [
        False
    ]


def test_a_mark_that_is_taken_back_counts_no_more_from_the_next_release_on(reply, reviewer):
    said_and_approved(reply, reviewer, quote="by the sea")
    release = frozen(**UNSPLIT)
    by_the_page(reply, "withdraw-correction", Correction.objects.get().pk)
    # What was frozen stays, as it would for a rating that changed meanwhile.
    assert praised(building.work_off(release.pk)) == {}
    later = sealed(**UNSPLIT)
    assert later != release
    assert praised(later) == {"unpaired": {"thumb"}, "sft": {"approved"}}


def test_a_mark_that_comes_after_a_release_changes_the_next_one_and_no_byte_of_it(reply, reviewer):
    said_and_approved(reply, reviewer)
    release = sealed(**UNSPLIT)
    before = sums(release)
    by_the_page(reply, "correct", reply.pk, quote="by the sea")
    assert "Capital of Australia?" not in str(rows(sealed(**UNSPLIT), "prompts"))  # it waits for its reviewers
    approve(reply, reviewer)
    assert praised(sealed(**UNSPLIT)) == {}
    release.refresh_from_db()
    assert (release.state, sums(release)) == ("sealed", before)
    assert praised(release) == {"unpaired": {"thumb"}, "sft": {"approved"}}
