from django.urls import path

from chat.views import library, pages, preferences, saying

CONVERSATION = "c/<uuid:conversation_id>"
TURN = f"{CONVERSATION}/turns/<uuid:message_id>"

urlpatterns = [
    path("", pages.home, name="home"),
    path("chat", saying.new_conversation, name="chat"),
    path("chats", library.older_conversations, name="older-conversations"),
    path("chats/all", library.all_conversations, name="library"),
    path("chats/change", library.change, name="change-conversations"),
    path("chats/folders/<uuid:folder_id>", library.change_folder, name="change-folder"),
    path("settings/chat", preferences.preferences, name="chat-preferences"),
    path("settings/prompts", preferences.save_prompt, name="save-prompt"),
    path("settings/prompts/<uuid:prompt_id>", preferences.save_prompt, name="change-prompt"),
    path("settings/prompts.json", preferences.prompts, name="prompts"),
    path(CONVERSATION, pages.conversation, name="conversation"),
    path(f"{CONVERSATION}/messages", saying.send, name="send"),
    path(f"{CONVERSATION}/manage", library.manage, name="manage"),
    path(f"{CONVERSATION}/settings", preferences.chat_settings, name="chat-settings"),
    path(f"{CONVERSATION}/rename", library.rename, name="rename"),
    path(f"{CONVERSATION}/delete", library.delete, name="delete"),
    path(TURN, pages.turn, name="turn"),
    path(f"{TURN}/regenerate", saying.regenerate, name="regenerate"),
    path(f"{TURN}/continue", saying.continue_reply, name="continue"),
    path(f"{TURN}/delete", saying.delete_branch, name="delete-branch"),
    path(f"{TURN}/stop", saying.stop, name="stop"),
]
