"""The programmatic API, gathered from the apps."""

from django.urls import include, path

urlpatterns = [
    path("", include("chat.api_urls")),
    path("", include("feedback.api_urls")),
    path("", include("billing.api_urls")),
    path("", include("accounts.api_urls")),
]
