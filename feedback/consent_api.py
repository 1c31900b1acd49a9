"""What a person lets be used, as JSON: of the account, and of one conversation, reply or comparison."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from typing import Any, cast

from django.conf import settings
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from chat.models import Conversation
from feedback import allowing
from feedback.models import Comparison
from feedback.pace import FeedbackThrottle
from feedback.ratings_api import own_reply


class ConsentWishSerializer(serializers.Serializer[Any]):
    is_granted = serializers.BooleanField(help_text="Whether it may be used to improve the model from now on.")


class ConsentSerializer(serializers.Serializer[allowing.Subject]):
    is_granted = serializers.BooleanField(
        source="said", allow_null=True, help_text="What was said of this by itself last; null: nothing."
    )
    in_force = serializers.BooleanField(
        source="is_allowed",
        help_text="Whether it may be used now, by all that was said of it and what it is part of.",
    )
    policy_version = serializers.SerializerMethodField(
        help_text="The version of the text to show beside the choice, which the ledger names: docs/consent.md."
    )

    def get_policy_version(self, _subject: allowing.Subject) -> str:
        return settings.CONSENT_POLICY_VERSION


class _Consent(APIView, ABC):
    """What all four say and take; each kind of address only finds its subject."""

    throttle_classes = [FeedbackThrottle]

    @abstractmethod
    def find(self, user: User, **named: uuid.UUID) -> allowing.Subject:
        """What the address names; raises `Http404` for what is not the person's own."""

    @extend_schema(responses=ConsentSerializer)
    def get(self, request: Request, **named: uuid.UUID) -> Response:
        return Response(ConsentSerializer(self.find(cast(User, request.user), **named)).data)

    @extend_schema(request=ConsentWishSerializer, responses=ConsentSerializer)
    def put(self, request: Request, **named: uuid.UUID) -> Response:
        serializer = ConsentWishSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        subject = self.find(cast(User, request.user), **named)
        try:
            subject.say(is_granted=serializer.validated_data["is_granted"], now=timezone.now())
        except allowing.NeverUsed as refusal:
            text = _("This conversation is temporary or holds words of others: it is never used, whatever is said.")
            raise serializers.ValidationError(text) from refusal
        return self.get(request, **named)


class ConsentOfAccount(_Consent):
    """Whether what you write and rate may be used to improve the model, where you said nothing narrower."""

    def find(self, user: User, **named: uuid.UUID) -> allowing.Subject:
        return allowing.of_account(user)


class ConsentOfConversation(_Consent):
    """Whether one conversation may be used, whatever you said of your account."""

    def find(self, user: User, **named: uuid.UUID) -> allowing.Subject:
        mine = Conversation.objects.of(user).select_related("user")
        return allowing.of_conversation(get_object_or_404(mine, pk=named["conversation_id"]))


class ConsentOfReply(_Consent):
    """Whether one reply and your rating of it may be used, whatever you said of the conversation."""

    def find(self, user: User, **named: uuid.UUID) -> allowing.Subject:
        return allowing.of_reply(own_reply(user, named["reply_id"]))


class ConsentOfComparison(_Consent):
    """Whether one comparison may be used. It gives both replies away: a “no” to either of them refuses it, too."""

    def find(self, user: User, **named: uuid.UUID) -> allowing.Subject:
        mine = Comparison.objects.of(user).for_pages().select_related("user", "question__conversation")
        return allowing.of_comparison(get_object_or_404(mine, pk=named["comparison_id"]))
