from django.urls import path

from chat.views import collection, documents, pages, preferences, saying, sharing, support, transfer

CONVERSATION = "c/<uuid:conversation_id>"
TURN = f"{CONVERSATION}/turns/<uuid:message_id>"

urlpatterns = [
    path("", pages.home, name="home"),
    path("chat", saying.new_conversation, name="chat"),
    path("chats", collection.older_conversations, name="older-conversations"),
    path("chats/all", collection.all_conversations, name="collection"),
    path("chats/change", collection.change, name="change-conversations"),
    path("chats/folders/<uuid:folder_id>", collection.change_folder, name="change-folder"),
    path("chats/transfer", transfer.transfer, name="transfer"),
    path("chats/export/<slug:kind>", transfer.export_all, name="export-all"),
    path("s/<slug:token>", sharing.shared_page, name="shared"),
    path("s/<slug:token>/card.png", sharing.card, name="shared-card"),
    path("s/<slug:token>/continue", sharing.continue_shared, name="continue-shared"),
    path("shares/<uuid:share_id>/revoke", sharing.revoke, name="revoke"),
    path("settings/chat", preferences.preferences, name="chat-preferences"),
    path("settings/prompts", preferences.save_prompt, name="save-prompt"),
    path("settings/prompts/<uuid:prompt_id>", preferences.save_prompt, name="change-prompt"),
    path("settings/prompts.json", preferences.prompts, name="prompts"),
    path("documents", documents.attach, name="attach"),
    path("documents/<uuid:document_id>", documents.document, name="document"),
    path("documents/<uuid:document_id>/state", documents.state, name="document-state"),
    path("documents/<uuid:document_id>/remove", documents.remove, name="remove-document"),
    path(CONVERSATION, pages.conversation, name="conversation"),
    path(f"{CONVERSATION}/messages", saying.send, name="send"),
    path(f"{CONVERSATION}/manage", collection.manage, name="manage"),
    path(f"{CONVERSATION}/title", collection.title, name="title"),
    path(f"{CONVERSATION}/share", sharing.share, name="share"),
    path(f"{CONVERSATION}/export/<slug:kind>", transfer.export, name="export"),
    path(f"{CONVERSATION}/settings", preferences.chat_settings, name="chat-settings"),
    path(f"{CONVERSATION}/rename", collection.rename, name="rename"),
    path(f"{CONVERSATION}/delete", collection.delete, name="delete"),
    path(TURN, pages.turn, name="turn"),
    path(f"{TURN}/certainty", pages.certainty, name="certainty"),
    path(f"{TURN}/regenerate", saying.regenerate, name="regenerate"),
    path(f"{TURN}/fork", sharing.fork, name="fork"),
    path(f"{TURN}/continue", saying.continue_reply, name="continue"),
    path(f"{TURN}/delete", saying.delete_branch, name="delete-branch"),
    path(f"{TURN}/stop", saying.stop, name="stop"),
    path("support/conversations/<uuid:conversation_id>", support.read_conversation, name="support-conversation"),
]
