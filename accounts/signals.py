"""What apps above this one hear about a person's end, and what they add to a copy of a person's data.

`person_leaving` is sent inside the transaction that erases a person, before their rows go; keywords `user` and `now`.
A receiver removes or blinds what no foreign key reaches (streams, files, copies at other services), after the commit
where that cannot be rolled back, and returns what the law keeps, as a list of plain sentences, or None.

`consent_withdrawn` is sent inside the transaction that writes a withdrawal down, whatever its scope; the same keywords.

`data_copied` is sent while a copy of a person's data is made, in their language; keyword `user`. A receiver returns
pages to read besides the tables: an iterable of (path in the zip, title, HTML), or None.

`kept_rows_copied` is sent with it. A receiver returns the rows about the person that are not deleted with them, by
model label, or None.
"""

from django.dispatch import Signal

person_leaving = Signal()
consent_withdrawn = Signal()
data_copied = Signal()
kept_rows_copied = Signal()
