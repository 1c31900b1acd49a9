"""What is left of the plan, as JSON."""

from __future__ import annotations

from typing import Any, cast

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from billing import quota, usage


class AllowanceSerializer(serializers.Serializer[quota.Allowance]):
    plan = serializers.CharField(source="plan_key")
    limit = serializers.IntegerField(help_text="Messages in one window.")
    used = serializers.IntegerField(help_text="Running replies count as used.")
    remaining = serializers.IntegerField()
    resets_at = serializers.DateTimeField(allow_null=True, help_text="Null while the window has not begun.")
    window_seconds = serializers.SerializerMethodField()
    token_limit = serializers.IntegerField(help_text="Tokens in one month.")
    tokens_used = serializers.IntegerField()
    tokens_remaining = serializers.IntegerField()
    tokens_reset_at = serializers.DateTimeField(allow_null=True)

    def get_window_seconds(self, allowance: quota.Allowance) -> int:
        return int(allowance.window.total_seconds())


class Usage(APIView):
    @extend_schema(responses=AllowanceSerializer)
    def get(self, request: Request) -> Response:
        """What you have used and have left, and when it comes back."""
        allowance: Any = quota.allowance_of(cast(User, request.user), now=timezone.now())
        return Response(AllowanceSerializer(allowance).data)


class SpanSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField(default=30, min_value=1, max_value=366, help_text="How many days, today included.")


class DaySerializer(serializers.Serializer[usage.Day]):
    day = serializers.DateField()
    messages = serializers.IntegerField()
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()


class DaysSerializer(serializers.Serializer[Any]):
    results = DaySerializer(many=True)


class UsageDays(APIView):
    @extend_schema(parameters=[SpanSerializer], responses=DaysSerializer)
    def get(self, request: Request) -> Response:
        """What you used day by day, oldest first, days without use too."""
        span = SpanSerializer(data=request.query_params)
        span.is_valid(raise_exception=True)
        days: Any = usage.days_of(cast(User, request.user), now=timezone.now(), count=span.validated_data["count"])
        return Response({"results": DaySerializer(days, many=True).data})
