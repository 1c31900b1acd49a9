"""What you say: conversations, the message tree, and the replies that fill it."""

from chat.models.conversations import MAX_MESSAGE_CHARACTERS, Conversation, Folder, Message
from chat.models.personal import Instructions, SavedPrompt
from chat.models.replies import Reply
from chat.models.shares import Share

__all__ = [
    "MAX_MESSAGE_CHARACTERS",
    "Conversation",
    "Folder",
    "Instructions",
    "Message",
    "Reply",
    "SavedPrompt",
    "Share",
]
