from django.urls import path

from chat import api, consistency_api, events, finding_api

urlpatterns = [
    path("search", finding_api.Search.as_view(), name="api-search"),
    path("conversations", api.Conversations.as_view(), name="api-conversations"),
    path("conversations/<uuid:conversation_id>", api.OneConversation.as_view(), name="api-conversation"),
    path("conversations/<uuid:conversation_id>/messages", api.Messages.as_view(), name="api-messages"),
    path("conversations/<uuid:conversation_id>/path", api.Path.as_view(), name="api-path"),
    path("replies/<uuid:reply_id>/regenerate", api.Regenerate.as_view(), name="api-regenerate"),
    path("replies/<uuid:reply_id>/continue", api.Continue.as_view(), name="api-continue"),
    path("replies/<uuid:reply_id>/stop", api.Stop.as_view(), name="api-stop"),
    path(
        "replies/<uuid:reply_id>/consistency-checks",
        consistency_api.ConsistencyChecks.as_view(),
        name="api-consistency-checks",
    ),
    path(
        "consistency-checks/<uuid:check_id>",
        consistency_api.OneConsistencyCheck.as_view(),
        name="api-consistency-check",
    ),
    path(
        "consistency-checks/<uuid:check_id>/stop",
        consistency_api.StopConsistencyCheck.as_view(),
        name="api-stop-consistency-check",
    ),
    path("replies/<uuid:reply_id>/events", events.events, name="reply-events"),
]
