"""Feedback beside OpenAI's addresses, so that a program needs one base address and one key."""

from django.urls import path

from feedback import api, consent_api, said_api

urlpatterns = [
    path("feedback", api.Feedback.as_view(), name="v1-feedback"),
    path("feedback/batch", api.FeedbackBatch.as_view(), name="v1-feedback-batch"),
    path("feedback/ideal", api.Ideal.as_view(), name="v1-ideal"),
    path("feedback/exposures", api.Exposures.as_view(), name="v1-exposures"),
    path("feedback/ratings", said_api.Ratings.as_view(), name="v1-ratings"),
    path("feedback/corrections", said_api.Corrections.as_view(), name="v1-corrections"),
    path("feedback/corrections/<uuid:correction_id>", said_api.OneCorrection.as_view(), name="v1-correction"),
    path("feedback/consent", consent_api.ConsentOfAccount.as_view(), name="v1-consent"),
    path(
        "feedback/consent/conversations/<uuid:conversation_id>",
        consent_api.ConsentOfConversation.as_view(),
        name="v1-consent-of-conversation",
    ),
    path("feedback/consent/replies/<uuid:reply_id>", consent_api.ConsentOfReply.as_view(), name="v1-consent-of-reply"),
    path(
        "feedback/consent/comparisons/<uuid:comparison_id>",
        consent_api.ConsentOfComparison.as_view(),
        name="v1-consent-of-comparison",
    ),
    path("feedback/comparisons", api.OpenComparisons.as_view(), name="v1-comparisons"),
    path("feedback/comparisons/answered", said_api.AnsweredComparisons.as_view(), name="v1-answered-comparisons"),
    path("feedback/comparisons/<uuid:comparison_id>", api.OneComparison.as_view(), name="v1-comparison"),
]
