from django.urls import path

from billing import api

urlpatterns = [
    path("usage", api.Usage.as_view(), name="api-usage"),
    path("usage/days", api.UsageDays.as_view(), name="api-usage-days"),
]
