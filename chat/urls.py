from django.urls import path

from chat import views

urlpatterns = [
    path("", views.home, name="home"),
    path("chat", views.new_conversation, name="chat"),
    path("chats", views.older_conversations, name="older-conversations"),
    path("c/<uuid:conversation_id>", views.conversation, name="conversation"),
    path("c/<uuid:conversation_id>/messages", views.send, name="send"),
    path("c/<uuid:conversation_id>/turns/<uuid:message_id>", views.turn, name="turn"),
    path("c/<uuid:conversation_id>/turns/<uuid:message_id>/regenerate", views.regenerate, name="regenerate"),
    path("c/<uuid:conversation_id>/turns/<uuid:message_id>/stop", views.stop, name="stop"),
    path("c/<uuid:conversation_id>/rename", views.rename, name="rename"),
    path("c/<uuid:conversation_id>/delete", views.delete, name="delete"),
]
