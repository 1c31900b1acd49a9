"""What happens in a conversation, for apps above this one."""

from django.dispatch import Signal

# A question was stored with its empty reply. Sent inside their transaction with `reply` and `now`: what a receiver
# writes is stored with them, or not at all.
reply_queued = Signal()
