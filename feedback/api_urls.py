from django.urls import path

from feedback import api

urlpatterns = [
    path("feedback", api.Feedback.as_view(), name="api-feedback"),
    path("feedback/copied", api.Copied.as_view(), name="api-copied"),
    path("comparisons/<uuid:comparison_id>", api.OneComparison.as_view(), name="api-comparison"),
]
