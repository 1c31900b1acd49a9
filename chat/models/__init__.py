"""What you say: conversations, the message tree, the replies that fill it, and the documents they draw on."""

from chat.models.consistency import ConsistencyCheck, Wording
from chat.models.conversations import MAX_MESSAGE_CHARACTERS, WITH_WORDS_OF_OTHERS, Conversation, Folder, Message
from chat.models.documents import Citation, Document, DocumentFile, Passage
from chat.models.personal import Instructions, SavedPrompt
from chat.models.replies import Certainty, Clarification, Reply
from chat.models.shares import Share

__all__ = [
    "MAX_MESSAGE_CHARACTERS",
    "WITH_WORDS_OF_OTHERS",
    "Certainty",
    "Citation",
    "Clarification",
    "ConsistencyCheck",
    "Conversation",
    "Document",
    "DocumentFile",
    "Folder",
    "Instructions",
    "Message",
    "Passage",
    "Reply",
    "SavedPrompt",
    "Share",
    "Wording",
]
