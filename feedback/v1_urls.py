"""Feedback beside OpenAI's addresses, so that a program needs one base address and one key."""

from django.urls import path

from feedback import api

urlpatterns = [
    path("feedback", api.Feedback.as_view(), name="v1-feedback"),
    path("feedback/batch", api.FeedbackBatch.as_view(), name="v1-feedback-batch"),
    path("feedback/ideal", api.Ideal.as_view(), name="v1-ideal"),
    path("feedback/exposures", api.Exposures.as_view(), name="v1-exposures"),
    path("feedback/comparisons", api.OpenComparisons.as_view(), name="v1-comparisons"),
    path("feedback/comparisons/<uuid:comparison_id>", api.OneComparison.as_view(), name="v1-comparison"),
]
