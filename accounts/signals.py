"""What apps above this one hear about a person's end.

`person_leaving` is sent inside the transaction that erases a person, before their rows go; keywords `user` and `now`.
A receiver removes or blinds what no foreign key reaches (streams, files, copies at other services), after the commit
where that cannot be rolled back, and returns what the law keeps, as a list of plain sentences, or None.

`consent_withdrawn` is sent inside the transaction that writes a withdrawal down, whatever its scope; the same keywords.
"""

from django.dispatch import Signal

person_leaving = Signal()
consent_withdrawn = Signal()
