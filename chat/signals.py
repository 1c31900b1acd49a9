"""What happens in a conversation, for apps above this one."""

from django.dispatch import Signal

# A question was stored with its empty reply. Sent inside their transaction with `reply` and `now`: what a receiver
# writes is stored with them, or not at all.
reply_queued = Signal()

# A person had another reply written, had a question just answered, or shared a reply. Sent inside the transaction with
# `user`, `message` (the reply), `kind` ("regenerated", "just_answer" or "shared"), `cause` (id of what came of it) and
# `now`.
person_acted = Signal()

# A reply has ended, however. Sent by the worker with `reply` after the transaction that settled it, when those who
# watch have been told: a receiver keeps nobody waiting, and misses the replies whose worker died just then.
reply_ended = Signal()

# Conversations of a person were deleted, and can be brought back for a while. Sent inside the transaction that deletes
# them with `user` and `now`.
conversations_deleted = Signal()

# Messages of a person are about to be erased for good. Sent inside the transaction that erases them, before it does,
# with `user`, `message_ids` and `now`.
messages_erased = Signal()
