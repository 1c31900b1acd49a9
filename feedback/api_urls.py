from django.urls import path

from feedback import api

urlpatterns = [path("feedback", api.Feedback.as_view(), name="api-feedback")]
