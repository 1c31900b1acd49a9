from django.urls import path

from chat.openai import views

urlpatterns = [
    path("chat/completions", views.chat_completions, name="v1-chat-completions"),
    path("completions", views.completions, name="v1-completions"),
    path("models", views.models, name="v1-models"),
    path("models/<str:name>", views.model, name="v1-model"),
    path("<path:path>", views.nothing_here, name="v1-nothing"),
]
