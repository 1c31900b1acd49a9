"""The prompt of a row is what the model was given, in a shape that trainers take."""

import uuid

import pytest

from chat.models import Message, Reply
from feedback.release.prompts import Receipt, paths_above, prompts_of
from tests import factories

pytestmark = pytest.mark.django_db

SHORT = Receipt(system_prompt="Be helpful.", turns=None, max_tokens=512)


def texts(prompt):
    return [(message["role"], message["content"]) for message in prompt.messages]


def prompt_of(reply, receipt=SHORT):
    return prompts_of({reply.pk: receipt}, paths_above([reply.pk]))[reply.pk]


def test_a_short_path_was_shown_whole():
    prompt = prompt_of(factories.conversation(factories.UserFactory(), ("Hi", "Hello."), ("Why?", "So.")))
    assert prompt.form == "shown"
    assert texts(prompt) == [("system", "Be helpful."), ("user", "Hi"), ("assistant", "Hello."), ("user", "Why?")]


def test_a_trimmed_path_is_cut_where_the_receipt_says():
    reply = factories.conversation(factories.UserFactory(), ("Hi", "Hello."), ("Why?", "So."))
    prompt = prompt_of(reply, Receipt("Be helpful.", 1, 512))
    assert (prompt.form, texts(prompt)) == ("shown", [("system", "Be helpful."), ("user", "Why?")])


def test_a_long_path_without_that_line_in_its_receipt_says_that_it_is_unsure(settings):
    settings.CHAT_CONTEXT_TOKENS = 100
    reply = factories.conversation(factories.UserFactory(), ("Hi " * 40, "Hello."), ("Why?", "So."))
    assert prompt_of(reply).form == "unsure"


def test_questions_on_both_sides_of_a_failed_reply_become_one():
    failed = factories.conversation(factories.UserFactory(), ("First?", ""))
    Reply.objects.filter(pk=failed.pk).update(state="failed", error="model_unavailable")
    question = Message.objects.create(
        conversation=failed.conversation, parent=failed, role="user", content="Second?", client_id=uuid.uuid4()
    )
    prompt = prompt_of(factories.reply_to(question, "Answer."))
    assert (prompt.form, texts(prompt)) == ("merged", [("system", "Be helpful."), ("user", "First?\n\nSecond?")])
