from django.urls import path, re_path

from feedback import (
    better_answer_views,
    comparison_views,
    correction_views,
    dashboard_views,
    erasure_views,
    release_views,
    review_views,
    views,
)

urlpatterns = [
    path("replies/<uuid:message_id>", views.rate, name="rate"),
    path("replies/<uuid:message_id>/ask-first", views.ask_first, name="ask-first"),
    path("replies/<uuid:message_id>/training-consent", views.allow_use, name="allow-use"),
    path("replies/<uuid:message_id>/corrections", correction_views.correct, name="correct"),
    path("corrections/<uuid:correction_id>/withdraw", correction_views.withdraw, name="withdraw-correction"),
    path("comparisons/<uuid:comparison_id>", comparison_views.answer, name="answer-comparison"),
    re_path(
        r"^comparisons/(?P<comparison_id>[0-9a-f-]{36})/(?P<name>left|right)$",
        comparison_views.side,
        name="comparison-side",
    ),
    path("dashboard/", dashboard_views.dashboard, name="dashboard"),
    path("dashboard/<slug:key>.csv", dashboard_views.table_as_csv, name="dashboard-csv"),
    path("review/", review_views.review_queue, name="review"),
    path("review/<uuid:rating_id>", review_views.decide, name="decide"),
    path("review/<uuid:rating_id>/keep", review_views.keep, name="keep-rating"),
    path("better-answers/", better_answer_views.queue, name="better-answers"),
    path("better-answers/<uuid:comparison_id>", better_answer_views.write, name="write-better-answer"),
    path("better-answers/<uuid:comparison_id>/keep", better_answer_views.keep, name="keep-better-answer"),
    path("erasures/", erasure_views.erasures, name="erasures"),
    path("erasures/<uuid:erasure_id>", erasure_views.receipt, name="erasure-receipt"),
    path("releases/", release_views.releases, name="releases"),
    path("releases/make", release_views.make_release, name="make-release"),
    path("releases/<uuid:release_id>", release_views.release_detail, name="release"),
    path("releases/<uuid:release_id>/cancel", release_views.cancel_release, name="cancel-release"),
    path("releases/<uuid:release_id>/retry", release_views.retry_release, name="retry-release"),
    path("releases/<uuid:release_id>/load-check", release_views.load_release, name="load-release"),
    path("releases/files/<str:token>", release_views.download, name="release-file"),
]
