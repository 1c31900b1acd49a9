"""What replies should have said, as JSON."""

from __future__ import annotations

import uuid
from typing import Any, cast

from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api_pages import NewestFirst
from accounts.models import User
from chat.models import MAX_MESSAGE_CHARACTERS
from feedback import capture, correcting
from feedback.models import Correction
from feedback.pace import FeedbackThrottle
from feedback.ratings_api import own_reply


class IdealSerializer(serializers.Serializer[Any]):
    client_event_id = serializers.UUIDField(help_text="Made by the client; sending it twice is one event.")
    reply = serializers.UUIDField()
    ideal = serializers.CharField(
        default="", allow_blank=True, max_length=MAX_MESSAGE_CHARACTERS, trim_whitespace=False,
        help_text="What would have been right; empty: the quoted words are wrong, and no more is said.",
    )  # fmt: skip
    quote = serializers.CharField(
        default="", allow_blank=True, max_length=correcting.LONGEST_QUOTE, trim_whitespace=False,
        help_text="The words of the reply that are wrong; empty: the whole reply.",
    )  # fmt: skip
    source = serializers.CharField(  # type: ignore[assignment]
        default="", allow_blank=True, max_length=correcting.LONGEST_SOURCE
    )
    occurrence = serializers.IntegerField(
        default=None, allow_null=True, min_value=1,
        help_text="Which of them, from 1, where the quoted words stand more than once in the reply as it is shown.",
    )  # fmt: skip


class CorrectionSerializer(serializers.ModelSerializer[Correction]):
    reply = serializers.UUIDField(source="message_id")
    ideal = serializers.CharField(source="right_text")
    start = serializers.IntegerField(
        source="place_start", allow_null=True,
        help_text="Where the quoted words begin in the reply's content, in characters; null: not known, or all of it.",
    )  # fmt: skip
    end = serializers.IntegerField(source="place_end", allow_null=True, help_text="Where they end.")

    class Meta:
        model = Correction
        fields = ["id", "reply", "ideal", "quote", "start", "end", "source", "created_at"]


class Ideal(APIView):
    throttle_classes = [FeedbackThrottle]

    @extend_schema(request=IdealSerializer, responses=CorrectionSerializer)
    def post(self, request: Request) -> Response:
        """Say what one of your own replies should have said, all of it or the words that are wrong.

        Without `ideal` the words in `quote` are marked as wrong; such a mark never becomes data. Nor does a correction
        of words whose place is not known, which the answer says: `start` is null.
        """
        assert isinstance(request.user, User)  # noqa: S101 - IsAuthenticated has let the request in
        serializer = IdealSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        try:
            correction = correcting.correct(
                user=request.user,
                message=own_reply(request.user, given["reply"]),
                quote=given["quote"],
                right_text=given["ideal"],
                source=given["source"],
                occurrence=given["occurrence"],
                client_event_id=given["client_event_id"],
                now=timezone.now(),
            )
        except capture.BadRating as refusal:
            raise serializers.ValidationError(str(refusal)) from refusal
        return Response(CorrectionSerializer(correction).data)


class Corrections(ListAPIView[Correction]):
    """Your corrections that you have not taken back, the newest first."""

    throttle_classes = [FeedbackThrottle]
    serializer_class = CorrectionSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Correction]:
        standing = Correction.objects.filter(withdrawn_at=None, message__conversation__deleted_at=None)
        is_described = getattr(self, "swagger_fake_view", False)
        return standing if is_described else standing.filter(user=cast(User, self.request.user))


class OneCorrection(APIView):
    throttle_classes = [FeedbackThrottle]

    @extend_schema(responses={204: None})
    def delete(self, request: Request, correction_id: uuid.UUID) -> Response:
        """Take a correction back; doing it again changes nothing. It leaves data sets, and your rating stays."""
        try:
            correcting.withdraw(user=cast(User, request.user), correction_id=correction_id, now=timezone.now())
        except Correction.DoesNotExist as missing:
            raise Http404 from missing
        return Response(status=status.HTTP_204_NO_CONTENT)
