"""What a person has said, as JSON: their ratings, corrections and choices, and taking a correction back."""

from __future__ import annotations

import uuid
from typing import cast

from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api_pages import NewestFirst
from accounts.models import User
from feedback import correcting
from feedback.api import ComparisonSerializer, CorrectionSerializer, RatingSerializer
from feedback.models import Comparison, Correction, Rating
from feedback.pace import FeedbackThrottle


class RatedLast(NewestFirst):
    ordering = ("-rated_at", "-id")


class AnsweredLast(NewestFirst):
    ordering = ("-answered_at", "-id")


class Ratings(ListAPIView[Rating]):
    """What you think of replies now, what you said last first."""

    throttle_classes = [FeedbackThrottle]
    serializer_class = RatingSerializer
    pagination_class = RatedLast

    def get_queryset(self) -> QuerySet[Rating]:
        mine = Rating.objects.filter(message__conversation__deleted_at=None)
        return mine if is_described(self) else mine.filter(user=cast(User, self.request.user))


class Corrections(ListAPIView[Correction]):
    """Your corrections that you have not taken back, the newest first."""

    throttle_classes = [FeedbackThrottle]
    serializer_class = CorrectionSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Correction]:
        standing = Correction.objects.filter(withdrawn_at=None, message__conversation__deleted_at=None)
        return standing if is_described(self) else standing.filter(user=cast(User, self.request.user))


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


class AnsweredComparisons(ListAPIView[Comparison]):
    """The comparisons that you answered or skipped, what you said last first."""

    throttle_classes = [FeedbackThrottle]
    serializer_class = ComparisonSerializer
    pagination_class = AnsweredLast

    def get_queryset(self) -> QuerySet[Comparison]:
        answered = Comparison.objects.exclude(choice="")
        return answered if is_described(self) else answered.of(cast(User, self.request.user))


def is_described(view: APIView) -> bool:
    """Whether nobody asks: the description of the API is made."""
    return getattr(view, "swagger_fake_view", False)
