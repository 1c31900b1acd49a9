"""What only a client sees of what people do, as JSON."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from feedback import exposing, signals
from feedback.models import ImplicitSignal
from feedback.pace import SignalThrottle
from feedback.ratings_api import own_reply

# More replies than a page has in view between two times that its browser tells of them.
MOST_SEEN_AT_ONCE = 100


class CopiedSerializer(serializers.Serializer[Any]):
    client_event_id = serializers.UUIDField(help_text="Made by the client; sending it twice is one event.")
    reply = serializers.UUIDField()


class Copied(APIView):
    throttle_classes = [SignalThrottle]

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
    throttle_classes = [SignalThrottle]

    @extend_schema(request=ExposuresSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        """Say how long replies were in view, up to 100 at once. It is kept with the person's consent alone.

        What is not one of the person's own replies, or did not stand where it is said to, is passed over.
        """
        assert isinstance(request.user, User)  # noqa: S101 - IsAuthenticated has let the request in
        serializer = ExposuresSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        seen = [exposing.Seen(**one) for one in serializer.validated_data["exposures"]]
        exposing.keep(user=request.user, seen=seen, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)
