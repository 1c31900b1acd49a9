"""Ratings of a person's own replies as JSON."""

from __future__ import annotations

import uuid
from typing import Any, cast

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api_pages import NewestFirst
from accounts.models import User
from chat.models import Message
from feedback import capture
from feedback.models import MAX_COMMENT_CHARACTERS, Rating
from feedback.pace import FeedbackThrottle, Pace

MOST_AT_ONCE = 100


class BatchThrottle(Pace):
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


class RatedLast(NewestFirst):
    ordering = ("-rated_at", "-id")


class Ratings(ListAPIView[Rating]):
    """What you think of replies now, what you said last first."""

    throttle_classes = [FeedbackThrottle]
    serializer_class = RatingSerializer
    pagination_class = RatedLast

    def get_queryset(self) -> QuerySet[Rating]:
        mine = Rating.objects.filter(message__conversation__deleted_at=None)
        return mine if getattr(self, "swagger_fake_view", False) else mine.filter(user=cast(User, self.request.user))
