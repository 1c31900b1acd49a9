"""The simulated account: its store, its events, what is due in it, and the address of its hosted pages."""

from __future__ import annotations

from dataclasses import dataclass, field

from billing.sandbox.agenda import Agenda
from billing.sandbox.events import Events
from billing.sandbox.store import Document, Store


@dataclass(frozen=True)
class Account:
    store: Store
    events: Events
    base_url: str
    agenda: Agenda = field(default_factory=Agenda)

    def now(self) -> int:
        return self.store.now()

    def create(self, document: Document, *, event: str | None = None) -> Document:
        document = self.store.insert(document)
        if event:
            self.events.emit(event, document)
        return document

    def update(self, before: Document, *, event: str | None = None, **changes: object) -> Document:
        """Save the changes; the event carries what the changed fields were."""
        changed = {name: value for name, value in changes.items() if before.get(name) != value}
        after = self.store.save({**before, **changes})
        if event and changed:
            self.events.emit(event, after, previous={name: before.get(name) for name in changed})
        return after
