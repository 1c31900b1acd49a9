"""What people say, take back and delete while releases are made and erased: no word is in a file that may not be there.

Random histories by the ways that pages go, between the steps of releases, held against the rule in plain words.
"""

import os
import random
import re
import shutil
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts import consent
from accounts.models import User
from chat import collection, retention, tree
from chat.models import Conversation
from feedback import capture, comparing, correcting, releasing
from feedback.models import Rating, Release
from feedback.release import building, erasing, store
from feedback.release.specification import Specification
from tests import factories
from tests.integration.feedback.test_comparisons_in_releases import LOOKED, shown
from tests.integration.feedback.test_erasure_in_releases import everything_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]

PEOPLE_AT_ONCE = 8
# `make faults` asks for 1,000 people: each takes most of a second. `test_consent_in_releases` has 10,000 short ones.
WALKS = int(os.environ.get("CONSENT_WALKS", "24"))
ALL_OF_IT = Specification(
    test_share=0.0, validation_share=0.0, near_duplicates="keep", min_weight=0.0, person_share=1.0, person_rows=1_000
)
CHATS = {"rated": "A", "copied": "A", "corrected": "B", "left": "C", "right": "C"}
DONE_TO_PEOPLE = [
    *[("say", scope, granted) for scope in ("account", *"ABC", *CHATS, "comparison") for granted in (True, False)],
    ("say", "account", True),
    *[("say", part, granted) for part in ("left", "right", "copied") for granted in (True, False)],
    ("take back", "rated"),
    ("take back", "corrected"),
    ("take back", "correction"),
    ("take back", "comparison"),
    *[("choose", "comparison", choice) for choice in ("left", "right", "tie", "skipped")],
    *[("delete", chat) for chat in "ABC"],
    *[("restore", chat) for chat in "ABC"],
    *[("erase chat", chat) for chat in "ABC"],
    *[("erase reply", reply) for reply in CHATS],
]
DONE_TO_RELEASES = ["freeze", "step", "step", "finish", "erase"]


class Person:
    """Three chats: a reply that another to the same question was called better than, a corrected one, and two compared.

    Each reply and the correction has a word of its own. What may be used is told by the newest of what they said,
    written apart from the statements that are tested.
    """

    def __init__(self, number):
        self.number = number
        self.user = factories.UserFactory()
        consent.grant(self.user, now=timezone.now())
        self.said = [("account", True)]
        self.words = {name: _word(number, name) for name in (*CHATS, "correction")}
        rated = self._reply("rated")
        self.replies = {"rated": rated, "copied": self._beside(rated, "copied")}
        self.replies["corrected"] = self._reply("corrected")
        left = self._reply("left")
        self.replies |= {"left": left, "right": self._beside(left, "right")}
        self.chats = {chat: self.replies[reply].conversation for reply, chat in CHATS.items()}
        self.deleted, self.gone = set(), set()
        self._say_what_they_think()

    def _reply(self, name):
        return factories.conversation(self.user, ("Name a sweet.", f"I would name {self.words[name]} first of all."))

    def _beside(self, reply, name):
        return factories.reply_to(reply.parent, f"I would name {self.words[name]} first of all.")

    def _say_what_they_think(self):
        now, rated = timezone.now(), self.replies["rated"]
        capture.rate(user=self.user, message=rated, value=-1, client_event_id=uuid.uuid4(), now=now)
        self.correction = correcting.correct(
            user=self.user,
            message=self.replies["corrected"],
            quote=self.words["corrected"],
            right_text=self.words["correction"],
            client_event_id=uuid.uuid4(),
            now=now,
        )
        for rating in Rating.objects.filter(user=self.user):
            rating.decided_event, rating.verdict = rating.event, "approved"
            if rating.message_id == rated.pk:
                rating.ideal_from, rating.ideal_text = self.replies["copied"].pk, self.replies["copied"].content
            rating.save()
        self.comparison = shown(self.replies["left"], self.replies["right"])
        comparing.answer(comparison_id=self.comparison.pk, user=self.user, choice="left", exposure=LOOKED, now=now)

    def do(self, what, about, said=None):
        chat = CHATS.get(about, {"comparison": "C", "correction": "B"}.get(about, about))
        is_there = chat not in self.deleted and chat not in self.gone and about not in self.gone
        {
            "say": self._say,
            "take back": self._take_back,
            "choose": self._choose,
            "delete": self._delete,
            "restore": self._restore,
            "erase chat": self._erase_chat,
            "erase reply": self._erase_reply,
        }[what](about, is_there or about == "account", said)

    def _say(self, about, is_there, granted):
        if not is_there:
            return
        subject = {**self.replies, **self.chats, "comparison": self.comparison}.get(about)
        scope = about if about == "account" else "conversation" if about in self.chats else "rating"
        subject_id = subject.pk if subject else None
        consent.say(self.user, is_granted=granted, scope=scope, subject_id=subject_id, now=timezone.now())
        # Saying no again says nothing new.
        if granted or self._newest(about) is None or self.said[self._newest(about)][1]:
            self.said.append((about, granted))

    def _take_back(self, about, is_there, _granted):
        if not is_there or (about == "correction" and "corrected" in self.gone):
            return
        if about == "correction":
            correcting.withdraw(user=self.user, correction_id=self.correction.pk, now=timezone.now())
            self.gone.add("correction")
        elif about == "comparison":
            if not {"left", "right"} & self.gone:
                comparing.withdraw(comparison_id=self.comparison.pk, user=self.user, now=timezone.now())
                self.gone.add("choice")
        else:
            capture.withdraw(
                user=self.user, message=self.replies[about], client_event_id=uuid.uuid4(), now=timezone.now()
            )
            self.gone.add(f"rating of {about}")

    def _choose(self, _about, is_there, choice):
        if not is_there or {"left", "right"} & self.gone:
            return
        comparing.answer(
            comparison_id=self.comparison.pk, user=self.user, choice=choice, exposure=LOOKED, now=timezone.now()
        )
        if choice == "skipped":
            self.gone.add("choice")
        else:
            self.gone.discard("choice")

    def _delete(self, chat, is_there, _granted):
        if is_there:
            collection.change(
                user=self.user, ids=[self.chats[chat].pk], action=collection.Action.DELETE, now=timezone.now()
            )
            self.deleted.add(chat)

    def _restore(self, chat, _is_there, _granted):
        if chat in self.deleted - self.gone:
            collection.change(
                user=self.user, ids=[self.chats[chat].pk], action=collection.Action.RESTORE, now=timezone.now()
            )
            self.deleted.discard(chat)

    def _erase_chat(self, chat, _is_there, _granted):
        """A month after it was deleted."""
        if chat in self.deleted - self.gone:
            at = timezone.now() - timedelta(days=40)
            Conversation.objects.filter(pk=self.chats[chat].pk).update(deleted_at=at)
            retention.sweep(now=timezone.now())
            self.gone.add(chat)

    def _erase_reply(self, reply, is_there, _granted):
        if is_there:
            conversation = Conversation.objects.get(pk=self.chats[CHATS[reply]].pk)
            tree.delete_branch(conversation, self.replies[reply].pk, now=timezone.now())
            self.gone.add(reply)

    def _newest(self, about):
        return next((place for place in reversed(range(len(self.said))) if self.said[place][0] == about), None)

    def _grant(self, about, *wider):
        """The place of a grant that is the newest word about it, and was not ended by a wider refusal."""
        place = self._newest(about)
        if place is None or not self.said[place][1]:
            return None
        ended = any(not granted and said in wider for said, granted in self.said[place:])
        return None if ended else place

    def _is_refused(self, about):
        place = self._newest(about)
        return place is not None and not self.said[place][1]

    def _allows(self, chat, *parts, whole=None):
        """Whether what consists of these replies may be used."""
        named = [*parts, *([whole] if whole else [])]
        if any(self._is_refused(part) for part in named):
            return False
        if whole and self._grant(whole, chat, "account") is not None:
            return True
        if all(self._grant(part, chat, "account") is not None for part in parts):
            return True
        if self._is_refused(chat):
            return False
        return self._grant(chat, "account") is not None or self._grant("account") is not None

    def may_stay(self, *, published_now=False):
        """The words that files may hold: now, or from when it was allowed to."""
        found = set()
        for reply in ("rated", "corrected"):
            if {reply, CHATS[reply], f"rating of {reply}"} & self.gone or not self._allows(CHATS[reply], reply):
                continue
            found.add(reply)
        if "rated" in found and "copied" not in self.gone and self._allows("A", "copied"):
            found.add("copied")
        if "corrected" in found and "correction" not in self.gone:
            found.add("correction")
        if not {"left", "right", "C", "choice"} & self.gone and self._allows("C", "left", "right", whole="comparison"):
            found |= {"left", "right"}
        if published_now:
            found = {name for name in found if CHATS.get(name, "B") not in self.deleted}
        return {self.words[name] for name in found}


def _word(number, name):
    letters = "".join("bdfgklmnprstvz"[int(digit, 14)] + "a" for digit in _base(number * 10 + len(name) % 10, 14))
    return f"zo{letters}{name}oz"


def _base(number, base):
    digits = ""
    while number:
        digits, number = "0123456789abcd"[number % base] + digits, number // base
    return digits or "0"


class Releases:
    """Those that are being made, and what is read in their files as soon as they are."""

    def __init__(self, people, folder, chance):
        self.people, self.folder, self.chance, self.open = people, folder, chance, []

    def do(self, what):
        {"freeze": self.freeze, "step": self.step, "finish": self.finish, "erase": self.erase}[what]()

    def freeze(self):
        made = releasing.make_release(specification=ALL_OF_IT, made_by=None, now=timezone.now())
        if made.is_new:
            self.open.append(made.release)
        return made.release

    def step(self):
        if self.open:
            release = self.chance.choice(self.open)
            if chunk := building._claim(release.pk, now=timezone.now()):
                building._take(chunk, timezone.now)
            self._look_at(release)

    def finish(self):
        if self.open:
            release = self.chance.choice(self.open)
            while release in self.open:
                building.work(release.pk)
                self._look_at(release)

    def erase(self):
        erasing.begin(now=timezone.now())
        for release in Release.objects.unfinished().exclude(lineage=None):
            building.work_off(release.pk)
        for release in list(self.open):
            self._look_at(release)

    def _look_at(self, release):
        release.refresh_from_db()
        if release.is_unfinished:
            return
        self.open.remove(release)
        if release.state == Release.State.SUPERSEDED:
            self.open.append(release.children.get())
            self._look_at(self.open[-1])
        if release.state == Release.State.SEALED:
            words = words_in(store.location(release.folder))
            # What takes the place of another has what that one had, of deleted chats as well.
            is_new = release.lineage_id is None
            allowed = set().union(*(person.may_stay(published_now=is_new) for person in self.people))
            assert words <= allowed, words - allowed

    def end(self):
        """Everything that waits is done; returns the words that are anywhere."""
        while self.open:
            self.finish()
        while erasing.begin(now=timezone.now()):
            for release in Release.objects.unfinished():
                building.work_off(release.pk)
        return words_in(self.folder)


def words_in(folder):
    return set(re.findall(r"zo[a-z]+oz", everything_in(folder)))


def walk(people, done, folder, chance):
    releases = Releases(people, folder, chance)
    for step in done:
        if isinstance(step, str):
            releases.do(step)
        else:
            number, what = step
            people[number].do(*what)
    found, stay = releases.end(), set().union(*(person.may_stay() for person in people))
    assert found <= stay, found - stay
    newest = releases.freeze()
    if newest in releases.open:
        releases.finish()
    used = set().union(*(person.may_stay(published_now=True) for person in people))
    newest.refresh_from_db()
    assert newest.state == Release.State.SEALED
    assert words_in(store.location(newest.folder)) == used


@pytest.fixture
def somebody():
    """Whose words are always there: no release is empty."""
    user = factories.consenting_user()
    reply = factories.conversation(user, ("Name a nut.", "Hazel."))
    capture.rate(user=user, message=reply, value=1, client_event_id=uuid.uuid4(), now=timezone.now())
    for rating in Rating.objects.filter(user=user):
        Rating.objects.filter(pk=rating.pk).update(decided_event=rating.event, verdict="approved")
    return user


A_STEP = st.one_of(
    st.tuples(st.integers(0, PEOPLE_AT_ONCE - 1), st.sampled_from(DONE_TO_PEOPLE)),
    st.tuples(st.integers(0, PEOPLE_AT_ONCE - 1), st.sampled_from(DONE_TO_PEOPLE)),
    st.tuples(st.integers(0, PEOPLE_AT_ONCE - 1), st.sampled_from(DONE_TO_PEOPLE)),
    st.sampled_from(DONE_TO_RELEASES),
)


@settings(
    max_examples=max(1, WALKS // PEOPLE_AT_ONCE),
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    done=st.lists(A_STEP, min_size=PEOPLE_AT_ONCE * 12, max_size=PEOPLE_AT_ONCE * 20),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_word_is_in_a_file_that_may_not_be_there(
    somebody,
    storage,
    django_capture_on_commit_callbacks,
    done,
    seed,
):
    for old in Path(storage).iterdir():
        shutil.rmtree(old)
    with transaction.atomic():
        walk([Person(number) for number in range(PEOPLE_AT_ONCE)], done, storage, random.Random(seed))
        transaction.set_rollback(True)
    assert User.objects.count() == 1
