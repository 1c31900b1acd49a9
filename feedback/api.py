"""Ratings as JSON."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from accounts.models import User
from chat.models import MAX_MESSAGE_CHARACTERS, Message
from feedback import capture, comparing, correcting, exposing, signals
from feedback.models import MAX_COMMENT_CHARACTERS, Comparison, Correction, ImplicitSignal, Rating
from feedback.pace import FeedbackThrottle

MOST_AT_ONCE = 100
# More replies than a page has in view between two times that its browser tells of them.
MOST_SEEN_AT_ONCE = 20


class BatchThrottle(UserRateThrottle):
    scope = "feedback_batch"
    rate = "12/min"


def _own_replies(user: User) -> QuerySet[Message]:
    mine = Message.objects.filter(conversation__user=user, conversation__deleted_at=None)
    return mine.filter(role=Message.Role.ASSISTANT).select_related("reply", "conversation")


def own_reply(user: User, message_id: uuid.UUID) -> Message:
    """A reply in one of the person's own conversations; raises `Http404` for any other."""
    return get_object_or_404(_own_replies(user), pk=message_id)


class FeedbackSerializer(serializers.Serializer[Any]):
    client_event_id = serializers.UUIDField(help_text="Made by the client; sending it twice is one event.")
    reply = serializers.UUIDField()
    value = serializers.ChoiceField(choices=[1, -1, 0], help_text="1 up, -1 down, 0 withdraws the rating.")
    reasons = serializers.ListField(child=serializers.CharField(max_length=20), default=list, max_length=20)
    comment = serializers.CharField(default="", allow_blank=True, max_length=MAX_COMMENT_CHARACTERS)


class RatingSerializer(serializers.ModelSerializer[Rating]):
    reply = serializers.UUIDField(source="message_id")

    class Meta:
        model = Rating
        fields = ["reply", "value", "reasons", "comment", "rated_at"]


class Feedback(APIView):
    throttle_classes = [FeedbackThrottle]

    @extend_schema(request=FeedbackSerializer, responses={200: RatingSerializer, 204: None})
    def post(self, request: Request) -> Response:
        """Rate one of your own replies, change the rating, or withdraw it."""
        assert isinstance(request.user, User)  # noqa: S101 - IsAuthenticated has let the request in
        serializer = FeedbackSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = dict(serializer.validated_data)
        message = own_reply(request.user, given.pop("reply"))
        event_id, value, now = given.pop("client_event_id"), given.pop("value"), timezone.now()
        try:
            if value == 0:
                capture.withdraw(user=request.user, message=message, client_event_id=event_id, now=now)
                return Response(status=status.HTTP_204_NO_CONTENT)
            rating = capture.rate(
                user=request.user, message=message, value=value, client_event_id=event_id, now=now, **given
            )
        except capture.BadRating as refusal:
            raise serializers.ValidationError(str(refusal)) from refusal
        return Response(RatingSerializer(rating).data)


class BatchSerializer(serializers.Serializer[Any]):
    events = serializers.ListField(
        child=FeedbackSerializer(), min_length=1, max_length=MOST_AT_ONCE, help_text="In the order they happened."
    )


class RatingsSerializer(serializers.Serializer[Any]):
    ratings = RatingSerializer(many=True)


class FeedbackBatch(APIView):
    throttle_classes = [BatchThrottle]

    @extend_schema(request=BatchSerializer, responses=RatingsSerializer)
    def post(self, request: Request) -> Response:
        """Rate up to 100 of your own replies at once: all of it is taken or none.

        The answer has the ratings that those replies have now, so one that was withdrawn is not in it.
        """
        assert isinstance(request.user, User)  # noqa: S101 - IsAuthenticated has let the request in
        serializer = BatchSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        events = serializer.validated_data["events"]
        replies = _own_replies(request.user).in_bulk([event["reply"] for event in events])
        if any(event["reply"] not in replies for event in events):
            raise Http404
        opinions = [capture.Opinion(message=replies[event.pop("reply")], **event) for event in map(dict, events)]
        try:
            ratings = capture.say(user=request.user, opinions=opinions, now=timezone.now())
        except capture.BadRating as refusal:
            raise serializers.ValidationError(str(refusal)) from refusal
        return Response(RatingsSerializer({"ratings": ratings}).data)


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


class CopiedSerializer(serializers.Serializer[Any]):
    client_event_id = serializers.UUIDField(help_text="Made by the client; sending it twice is one event.")
    reply = serializers.UUIDField()


class Copied(APIView):
    throttle_classes = [FeedbackThrottle]

    @extend_schema(request=CopiedSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        """Say that a reply was copied, which only the client sees. It is kept with the person's consent alone."""
        assert isinstance(request.user, User)  # noqa: S101 - IsAuthenticated has let the request in
        serializer = CopiedSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        message = own_reply(request.user, serializer.validated_data["reply"])
        signals.keep(
            user=request.user,
            message=message,
            kind=ImplicitSignal.Kind.COPIED,
            cause=serializer.validated_data["client_event_id"],
            now=timezone.now(),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class SeenSerializer(serializers.Serializer[Any]):
    client_event_id = serializers.UUIDField(help_text="Made by the client; sending it twice is one event.")
    reply = serializers.UUIDField()
    comparison = serializers.UUIDField(
        default=None, allow_null=True, help_text="Of a reply that stood beside another one."
    )
    visible_ms = serializers.IntegerField(
        min_value=0, max_value=exposing.LONGEST_LOOK_MS, help_text="How long it was in view since it was last told of."
    )
    is_whole = serializers.BooleanField(
        help_text="Whether the client had the finished reply, and the end of its text had been in view by then."
    )


class ExposuresSerializer(serializers.Serializer[Any]):
    exposures = serializers.ListField(child=SeenSerializer(), min_length=1, max_length=MOST_SEEN_AT_ONCE)


class Exposures(APIView):
    throttle_classes = [FeedbackThrottle]

    @extend_schema(request=ExposuresSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        """Say how long replies were in view, up to 20 at once. It is kept with the person's consent alone.

        What is not one of the person's own replies, or did not stand where it is said to, is passed over.
        """
        assert isinstance(request.user, User)  # noqa: S101 - IsAuthenticated has let the request in
        serializer = ExposuresSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        seen = [exposing.Seen(**one) for one in serializer.validated_data["exposures"]]
        exposing.keep(user=request.user, seen=seen, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class ChoiceSerializer(serializers.Serializer[Any]):
    client_event_id = serializers.UUIDField(
        default=None, allow_null=True,
        help_text="Made by the client; sent twice it is one event. Without it, what stands said again is nothing new.",
    )  # fmt: skip
    choice = serializers.ChoiceField(choices=Comparison.Choice.choices)
    strength = serializers.ChoiceField(choices=Comparison.Strength.choices, default=None, allow_null=True)
    reasons = serializers.ListField(child=serializers.CharField(max_length=20), default=list, max_length=20)
    comment = serializers.CharField(default="", allow_blank=True, max_length=MAX_COMMENT_CHARACTERS)
    left_ms = serializers.IntegerField(default=None, allow_null=True, help_text="How long the left reply was in view.")
    right_ms = serializers.IntegerField(default=None, allow_null=True)
    left_whole = serializers.BooleanField(
        default=None,
        allow_null=True,
        help_text="Whether the end of the finished left reply was in view; null: not known.",
    )
    right_whole = serializers.BooleanField(default=None, allow_null=True)


class TakenBackSerializer(serializers.Serializer[Any]):
    client_event_id = serializers.UUIDField(
        default=None, allow_null=True, help_text="Made by the client: a late repeat takes back nothing newer."
    )


class ComparisonSerializer(serializers.ModelSerializer[Comparison]):
    class Meta:
        model = Comparison
        fields = ["id", "question", "left", "right", "choice", "strength", "reasons", "comment", "answered_at"]


class OpenComparisons(APIView):
    throttle_classes = [FeedbackThrottle]

    @extend_schema(responses=ComparisonSerializer(many=True))
    def get(self, request: Request) -> Response:
        """The comparisons that wait for your choice, the newest first; at most 50. One taken back does not wait."""
        assert isinstance(request.user, User)  # noqa: S101 - IsAuthenticated has let the request in
        waiting = Comparison.objects.of(request.user).waiting()
        return Response(ComparisonSerializer(waiting.order_by("-drawn_at")[:50], many=True).data)


class OneComparison(APIView):
    throttle_classes = [FeedbackThrottle]

    @extend_schema(responses=ComparisonSerializer)
    def get(self, request: Request, comparison_id: uuid.UUID) -> Response:
        """Two replies to one question, and which one you prefer."""
        assert isinstance(request.user, User)  # noqa: S101 - IsAuthenticated has let the request in
        comparison = get_object_or_404(Comparison.objects.of(request.user), pk=comparison_id)
        return Response(ComparisonSerializer(comparison).data)

    @extend_schema(request=ChoiceSerializer, responses=ComparisonSerializer)
    def post(self, request: Request, comparison_id: uuid.UUID) -> Response:
        """Choose, or choose anew. The answer is what stands now; skipping takes back what was chosen."""
        assert isinstance(request.user, User)  # noqa: S101 - IsAuthenticated has let the request in
        serializer = ChoiceSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = dict(serializer.validated_data)
        exposure = {name: given.pop(name) for name in comparing.MEASURED}
        try:
            answered = comparing.answer(
                comparison_id=comparison_id, user=request.user, exposure=exposure, now=timezone.now(), **given
            )
        except Comparison.DoesNotExist as missing:
            raise Http404 from missing
        except comparing.BadChoice as refusal:
            raise serializers.ValidationError(str(refusal)) from refusal
        return Response(ComparisonSerializer(answered).data)

    @extend_schema(parameters=[TakenBackSerializer], responses={204: None})
    def delete(self, request: Request, comparison_id: uuid.UUID) -> Response:
        """Take your choice back. It leaves data sets, and you may choose again."""
        assert isinstance(request.user, User)  # noqa: S101 - IsAuthenticated has let the request in
        serializer = TakenBackSerializer(data=request.query_params)
        serializer.is_valid(raise_exception=True)
        try:
            comparing.withdraw(
                comparison_id=comparison_id, user=request.user, now=timezone.now(), **serializer.validated_data
            )
        except Comparison.DoesNotExist as missing:
            raise Http404 from missing
        except comparing.BadChoice as refusal:
            raise serializers.ValidationError(str(refusal)) from refusal
        return Response(status=status.HTTP_204_NO_CONTENT)
