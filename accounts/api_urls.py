from django.urls import path

from accounts import api

ONE = "webhooks/<uuid:endpoint_id>"

urlpatterns = [
    path("webhooks", api.Webhooks.as_view(), name="api-webhooks"),
    path(ONE, api.OneWebhook.as_view(), name="api-webhook"),
    path(f"{ONE}/secret", api.WebhookSecret.as_view(), name="api-webhook-secret"),
    path(f"{ONE}/test", api.WebhookTest.as_view(), name="api-webhook-test"),
    path(f"{ONE}/deliveries", api.WebhookDeliveries.as_view(), name="api-webhook-deliveries"),
    path("deliveries/<uuid:delivery_id>/resend", api.SendAgain.as_view(), name="api-webhook-resend"),
]
