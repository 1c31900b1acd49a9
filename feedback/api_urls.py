from django.urls import path

from feedback import comparisons_api, consent_api, corrections_api, ratings_api, releases_api, signals_api

urlpatterns = [
    path("feedback", ratings_api.Feedback.as_view(), name="api-feedback"),
    path("feedback/batch", ratings_api.FeedbackBatch.as_view(), name="api-feedback-batch"),
    path("feedback/ideal", corrections_api.Ideal.as_view(), name="api-ideal"),
    path("feedback/copied", signals_api.Copied.as_view(), name="api-copied"),
    path("feedback/exposures", signals_api.Exposures.as_view(), name="api-exposures"),
    path("feedback/ratings", ratings_api.Ratings.as_view(), name="api-ratings"),
    path("feedback/corrections", corrections_api.Corrections.as_view(), name="api-corrections"),
    path("feedback/corrections/<uuid:correction_id>", corrections_api.OneCorrection.as_view(), name="api-correction"),
    path("feedback/consent", consent_api.ConsentOfAccount.as_view(), name="api-consent"),
    path(
        "feedback/consent/conversations/<uuid:conversation_id>",
        consent_api.ConsentOfConversation.as_view(),
        name="api-consent-of-conversation",
    ),
    path("feedback/consent/replies/<uuid:reply_id>", consent_api.ConsentOfReply.as_view(), name="api-consent-of-reply"),
    path(
        "feedback/consent/comparisons/<uuid:comparison_id>",
        consent_api.ConsentOfComparison.as_view(),
        name="api-consent-of-comparison",
    ),
    path("releases", releases_api.Releases.as_view(), name="api-releases"),
    path("releases/<uuid:release_id>", releases_api.OneRelease.as_view(), name="api-release"),
    path("releases/<uuid:release_id>/verify", releases_api.VerifyRelease.as_view(), name="api-release-verify"),
    path("releases/<uuid:release_id>/load-check", releases_api.LoadRelease.as_view(), name="api-release-load-check"),
    path("releases/<uuid:release_id>/diff", releases_api.CompareReleases.as_view(), name="api-release-diff"),
    path("releases/<uuid:release_id>/retry", releases_api.RetryRelease.as_view(), name="api-release-retry"),
    path("releases/<uuid:release_id>/cancel", releases_api.CancelRelease.as_view(), name="api-release-cancel"),
    path("comparisons", comparisons_api.OpenComparisons.as_view(), name="api-comparisons"),
    path("comparisons/answered", comparisons_api.AnsweredComparisons.as_view(), name="api-answered-comparisons"),
    path("comparisons/<uuid:comparison_id>", comparisons_api.OneComparison.as_view(), name="api-comparison"),
]
