"""Webhooks by the API: the same things as the page, for programs that set themselves up."""

from __future__ import annotations

import uuid
from typing import Any, cast

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api_pages import NewestFirst
from accounts.models import ActivityEvent, ApiKey, User, WebhookDelivery, WebhookEndpoint, WebhookTry
from accounts.views.webhooks import record
from accounts.webhooks import endpoints, publishing, sending

Kind = ActivityEvent.Kind


class WebhookSerializer(serializers.ModelSerializer[WebhookEndpoint]):
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=WebhookEndpoint.Event.choices), allow_empty=False, max_length=10
    )
    url = serializers.CharField(max_length=500, help_text="https, and no address of a private network.")
    is_paused = serializers.BooleanField(required=False)

    class Meta:
        model = WebhookEndpoint
        fields = ["id", "url", "events", "is_paused", "created_at", "paused_at", "failing_since"]
        read_only_fields = ["created_at", "paused_at", "failing_since"]


class WebhookWithSecretSerializer(WebhookSerializer):
    """The answer that holds the secret: the only one ever."""

    secret = serializers.CharField(read_only=True, help_text="Shown this once.")

    class Meta(WebhookSerializer.Meta):
        fields = [*WebhookSerializer.Meta.fields, "secret"]


class SecretSerializer(serializers.Serializer[Any]):
    secret = serializers.CharField(help_text="Shown this once. The one before signs beside it for 24 hours.")


class TrySerializer(serializers.ModelSerializer[WebhookTry]):
    class Meta:
        model = WebhookTry
        fields = ["tried_at", "status", "error", "milliseconds"]


class DeliverySerializer(serializers.ModelSerializer[WebhookDelivery]):
    message_id = serializers.CharField(read_only=True, help_text="The header `webhook-id`.")
    log = TrySerializer(many=True, read_only=True)

    class Meta:
        model = WebhookDelivery
        fields = ["id", "message_id", "event", "state", "created_at", "due_at", "body", "log"]


class WebhookView(APIView):
    required_scope = ApiKey.Scope.WEBHOOKS

    def own(self, endpoint_id: uuid.UUID) -> WebhookEndpoint:
        return get_object_or_404(WebhookEndpoint, user=cast(User, self.request.user), pk=endpoint_id)


class Webhooks(WebhookView):
    @extend_schema(responses=WebhookSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Your webhooks; there are never more than a few."""
        found = WebhookEndpoint.objects.filter(user=cast(User, request.user))
        return Response(WebhookSerializer(found, many=True).data)

    @extend_schema(request=WebhookSerializer, responses={201: WebhookWithSecretSerializer})
    def post(self, request: Request) -> Response:
        """Make one. The answer holds its secret, which is shown this once."""
        given = _validated(WebhookSerializer(data=request.data))
        try:
            endpoint, secret = endpoints.create(
                user=cast(User, request.user), url=given["url"], events=given["events"], now=timezone.now()
            )
        except ValidationError as refusal:
            raise serializers.ValidationError({"url": refusal.messages}) from refusal
        record(request._request, endpoint, Kind.WEBHOOK_MADE)
        shown = {**WebhookSerializer(endpoint).data, "secret": secret}
        return Response(shown, status=status.HTTP_201_CREATED)


class OneWebhook(WebhookView):
    @extend_schema(responses=WebhookSerializer)
    def get(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        return Response(WebhookSerializer(self.own(endpoint_id)).data)

    @extend_schema(request=WebhookSerializer, responses=WebhookSerializer)
    def patch(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        """Another address, other events, or a pause."""
        endpoint = self.own(endpoint_id)
        given = _validated(WebhookSerializer(data=request.data, partial=True))
        try:
            endpoints.change(
                endpoint=endpoint,
                url=given.get("url", endpoint.url),
                events=given.get("events", endpoint.events),
                is_paused=given.get("is_paused", endpoint.is_paused),
                now=timezone.now(),
            )
        except ValidationError as refusal:
            raise serializers.ValidationError({"url": refusal.messages}) from refusal
        record(request._request, endpoint, Kind.WEBHOOK_CHANGED)
        return Response(WebhookSerializer(endpoint).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        endpoint = self.own(endpoint_id)
        record(request._request, endpoint, Kind.WEBHOOK_REMOVED)
        endpoint.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


class WebhookSecret(WebhookView):
    @extend_schema(request=None, responses={201: SecretSerializer})
    def post(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        """Replace the secret; for a day, messages are signed with both."""
        endpoint = self.own(endpoint_id)
        secret = endpoints.rotate(endpoint=endpoint, now=timezone.now())
        record(request._request, endpoint, Kind.WEBHOOK_CHANGED)
        return Response({"secret": secret}, status=status.HTTP_201_CREATED)


class WebhookTest(WebhookView):
    @extend_schema(request=None, responses={202: None})
    def post(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        """Send a message that says only that it is a test."""
        publishing.send_test(endpoint=self.own(endpoint_id), now=timezone.now())
        return Response(status=status.HTTP_202_ACCEPTED)


class WebhookDeliveries(WebhookView, ListAPIView[WebhookDelivery]):
    """What an endpoint was told in the last 30 days, newest first, with every try."""

    serializer_class = DeliverySerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[WebhookDelivery]:
        if getattr(self, "swagger_fake_view", False):
            return WebhookDelivery.objects.none()
        return self.own(self.kwargs["endpoint_id"]).deliveries.prefetch_related("log")


class SendAgain(WebhookView):
    @extend_schema(request=None, responses={202: None})
    def post(self, request: Request, delivery_id: uuid.UUID) -> Response:
        """Send the message again, under the same `webhook-id`."""
        own = WebhookDelivery.objects.filter(endpoint__user=cast(User, request.user))
        sending.send_again(delivery=get_object_or_404(own, pk=delivery_id), now=timezone.now())
        return Response(status=status.HTTP_202_ACCEPTED)


def _validated(serializer: serializers.BaseSerializer[Any]) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
