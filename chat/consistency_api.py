"""Asking again in other words, as JSON."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from accounts.authentication import key_behind
from accounts.models import User
from chat.consistency import asking, showing
from chat.models import ConsistencyCheck, Message, Wording
from chat.sending import BadMessage


class AskSerializer(serializers.Serializer[Any]):
    client_id = serializers.UUIDField(help_text="Made by the client; sending it twice gives the same check.")
    wordings = serializers.ListField(
        child=serializers.CharField(trim_whitespace=False, max_length=2_000_000),
        required=False,
        min_length=1,
        max_length=Wording.MOST,
        help_text="The question in other words, at most as many as the plan writes at a time. Left out: by rule.",
    )
    anyway = serializers.BooleanField(
        default=False, help_text="Ask wordings too that leave out figures, names, quotations or code of the question."
    )


class AnswerSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField(help_text="1 is the reply that is checked.")
    wording = serializers.CharField(source="question")
    reply = serializers.UUIDField(source="message.pk")
    state = serializers.CharField(source="reply.state")
    content = serializers.CharField(source="message.content")
    events_url = serializers.SerializerMethodField()

    def get_events_url(self, answer: showing.Answer) -> str:
        return reverse("reply-events", args=[answer.message.pk])


class MatterSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=["contradiction", "agreement", "alone"])
    kinds = serializers.ListField(child=serializers.CharField(), help_text="figures, names, negation, stance.")
    statements = serializers.ListField(
        child=serializers.CharField(allow_null=True), help_text="In the order of `compared_answers`; null for nothing."
    )


class CheckSerializer(serializers.ModelSerializer[ConsistencyCheck]):
    reply = serializers.UUIDField(source="reply_id", read_only=True)
    state = serializers.SerializerMethodField()
    answers = serializers.SerializerMethodField()
    compared_answers = serializers.SerializerMethodField(help_text="Numbers of the answers that came to their end.")
    matters = serializers.SerializerMethodField()

    class Meta:
        model = ConsistencyCheck
        fields = [
            "id", "reply", "state", "asked_at", "measured_at", "agreement", "compared", "agreeing", "contradictions",
            "used_meaning", "answers", "compared_answers", "matters",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema(responses=serializers.ChoiceField(choices=["draft", "asked", "measured"]))
    def get_state(self, check: ConsistencyCheck) -> str:
        return "draft" if check.is_draft else "measured" if check.is_measured else "asked"

    @extend_schema(responses=AnswerSerializer(many=True))
    def get_answers(self, check: ConsistencyCheck) -> Any:
        return AnswerSerializer(showing.answers(check), many=True).data

    def get_compared_answers(self, check: ConsistencyCheck) -> list[int]:
        return [place + 1 for place in check.alignment.get("places", [])]

    @extend_schema(responses=MatterSerializer(many=True))
    def get_matters(self, check: ConsistencyCheck) -> Any:
        rows = check.alignment.get("rows", [])
        return [
            {"state": line.state, "kinds": row["kinds"], "statements": row["cells"]}
            for line, row in zip(showing.lines(check), rows, strict=True)
        ]


class ConsistencyChecks(APIView):
    """The consistency checks of one reply."""

    @extend_schema(responses=CheckSerializer(many=True))
    def get(self, request: Request, reply_id: uuid.UUID) -> Response:
        """Those that were asked, newest first."""
        asked = ConsistencyCheck.objects.filter(reply=_reply(request, reply_id), asked_at__isnull=False)
        return Response(CheckSerializer(asked.order_by("-asked_at")[:50], many=True).data)

    @extend_schema(request=AskSerializer, responses={201: CheckSerializer})
    def post(self, request: Request, reply_id: uuid.UUID) -> Response:
        """Ask its question again in other words. Each answer is one message of the allowance, or none is asked."""
        serializer = AskSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        try:
            check = asking.ask_at_once(
                user=_person(request),
                message=_reply(request, reply_id),
                texts=given.get("wordings"),
                client_id=given["client_id"],
                is_anyway=given["anyway"],
                now=timezone.now(),
                api_key=key_behind(request),
            )
        except ObjectDoesNotExist as gone:
            raise Http404 from gone
        except asking.BadWordings as refused:
            raise BadMessage("bad_wordings", str(refused)) from refused
        return Response(CheckSerializer(check).data, status=status.HTTP_201_CREATED)


class OneConsistencyCheck(APIView):
    @extend_schema(responses=CheckSerializer)
    def get(self, request: Request, check_id: uuid.UUID) -> Response:
        """The answers, and once all have ended what came of comparing them."""
        return Response(CheckSerializer(_check(request, check_id)).data)


class StopConsistencyCheck(APIView):
    @extend_schema(request=None, responses={202: None})
    def post(self, request: Request, check_id: uuid.UUID) -> Response:
        """Stop the answers that are being written; those that wait cost nothing."""
        asking.stop(check=_check(request, check_id), now=timezone.now())
        return Response(status=status.HTTP_202_ACCEPTED)


def _person(request: Request) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - IsAuthenticated has let the request in
    return request.user


def _check(request: Request, check_id: uuid.UUID) -> ConsistencyCheck:
    return get_object_or_404(ConsistencyCheck.objects.of(_person(request)), pk=check_id)


def _reply(request: Request, reply_id: uuid.UUID) -> Message:
    return get_object_or_404(
        Message.objects.select_related("reply", "parent", "conversation"),
        pk=reply_id,
        role=Message.Role.ASSISTANT,
        conversation__user=_person(request),
        conversation__deleted_at=None,
    )
