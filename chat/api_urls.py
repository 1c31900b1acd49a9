from django.urls import path

from chat import api, events, finding_api

urlpatterns = [
    path("search", finding_api.Search.as_view(), name="api-search"),
    path("conversations", api.Conversations.as_view(), name="api-conversations"),
    path("conversations/<uuid:conversation_id>", api.OneConversation.as_view(), name="api-conversation"),
    path("conversations/<uuid:conversation_id>/messages", api.Messages.as_view(), name="api-messages"),
    path("conversations/<uuid:conversation_id>/path", api.Path.as_view(), name="api-path"),
    path("replies/<uuid:reply_id>/regenerate", api.Regenerate.as_view(), name="api-regenerate"),
    path("replies/<uuid:reply_id>/continue", api.Continue.as_view(), name="api-continue"),
    path("replies/<uuid:reply_id>/stop", api.Stop.as_view(), name="api-stop"),
    path("replies/<uuid:reply_id>/events", events.events, name="reply-events"),
]
