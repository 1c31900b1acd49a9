"""Feedback beside OpenAI's addresses, so that a program needs one base address and one key."""

from django.urls import path

from feedback import comparisons_api, consent_api, corrections_api, ratings_api, signals_api

urlpatterns = [
    path("feedback", ratings_api.Feedback.as_view(), name="v1-feedback"),
    path("feedback/batch", ratings_api.FeedbackBatch.as_view(), name="v1-feedback-batch"),
    path("feedback/ideal", corrections_api.Ideal.as_view(), name="v1-ideal"),
    path("feedback/exposures", signals_api.Exposures.as_view(), name="v1-exposures"),
    path("feedback/ratings", ratings_api.Ratings.as_view(), name="v1-ratings"),
    path("feedback/corrections", corrections_api.Corrections.as_view(), name="v1-corrections"),
    path("feedback/corrections/<uuid:correction_id>", corrections_api.OneCorrection.as_view(), name="v1-correction"),
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
    path("feedback/comparisons", comparisons_api.OpenComparisons.as_view(), name="v1-comparisons"),
    path(
        "feedback/comparisons/answered", comparisons_api.AnsweredComparisons.as_view(), name="v1-answered-comparisons"
    ),
    path("feedback/comparisons/<uuid:comparison_id>", comparisons_api.OneComparison.as_view(), name="v1-comparison"),
]
