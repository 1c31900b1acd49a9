"""Conversations as they are after people and models have talked, made straight in the database."""

import uuid

import factory
from django.utils import timezone

from accounts import consent
from accounts.models import User
from chat.models import Clarification, Conversation, Message, Reply


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User

    email = factory.Sequence(lambda number: f"person{number}@example.org")


def conversation(user, *turns):
    """A finished conversation of (question, reply) turns; returns the last reply's message."""
    made = Conversation.objects.create(user=user, title="A talk")
    parent = None
    for question, answer in turns:
        parent = reply_to(_message(made, parent, "user", question), answer)
    made.current_leaf = parent
    made.save()
    return parent


def long_conversation(user, count, text="message {number}."):
    """So many messages one below the other, questions and finished replies in turns, made at once; returns them."""
    made = Conversation.objects.create(user=user, title="Long")
    messages = []
    for number in range(count):
        parent = messages[-1] if messages else None
        role = "assistant" if number % 2 else "user"
        messages.append(Message(conversation=made, parent=parent, role=role, content=text.format(number=number)))
    Message.objects.bulk_create(messages)
    done = {"state": "complete", "finished_at": timezone.now(), "queue": "x", "priority": 0, "seed": 1, "max_tokens": 1}
    Reply.objects.bulk_create(Reply(message=message, user=user, **done) for message in messages[1::2])
    made.current_leaf = messages[-1]
    made.save()
    return messages


def reply_to(question, answer, **receipt):
    """Another finished reply to a question, with the receipt a worker would have written."""
    message = _message(question.conversation, question, "assistant", answer)
    now = timezone.now()
    Reply.objects.create(
        message=message,
        user=question.conversation.user,
        state=Reply.State.COMPLETE,
        queue="reply.free",
        priority=2,
        model="smollm2-135m-instruct",
        seed=7,
        max_tokens=512,
        started_at=now,
        finished_at=now,
        **{
            "model_version": "smollm2-135m-instruct@test",
            "system_prompt": "Be helpful.",
            "finish_reason": "stop",
            "prompt_tokens": 20,
            "completion_tokens": 10,
            **receipt,
        },
    )
    return message


def asking(question, text="Which Mercury?", options=("The planet", "The metal"), **receipt):
    """Another finished reply to a question, which asks before it answers."""
    content = "\n".join([text, "", *(f"- {option}" for option in options)])
    message = reply_to(question, content, finish_reason="clarification", **receipt)
    Clarification.objects.create(reply=message.reply, question=text, options=list(options), probability=0.7)
    return message


def consenting_user():
    user = UserFactory()
    consent.grant(user, now=timezone.now())
    return user


def _message(made, parent, role, content):
    return Message.objects.create(conversation=made, parent=parent, role=role, content=content, client_id=uuid.uuid4())
