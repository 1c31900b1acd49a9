"""Choices between two replies as JSON."""

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
from feedback import comparing
from feedback.models import MAX_COMMENT_CHARACTERS, Comparison
from feedback.pace import FeedbackThrottle


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


class AnsweredLast(NewestFirst):
    ordering = ("-answered_at", "-id")


class AnsweredComparisons(ListAPIView[Comparison]):
    """The comparisons that you answered or skipped, what you said last first."""

    throttle_classes = [FeedbackThrottle]
    serializer_class = ComparisonSerializer
    pagination_class = AnsweredLast

    def get_queryset(self) -> QuerySet[Comparison]:
        answered = Comparison.objects.exclude(choice="")
        return answered if getattr(self, "swagger_fake_view", False) else answered.of(cast(User, self.request.user))


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
