"""An invoice as a PDF of one page, written by hand: text in a standard font needs no library."""

from __future__ import annotations

from typing import Any

from billing.sandbox.currencies import money


def render(
    invoice: dict[str, Any],
    *,
    taken: list[tuple[str, int]],
    taxes: list[tuple[str, int, bool]],
    tax_id_names: dict[str, str],
) -> bytes:
    """A valid PDF 1.4 with the invoice's number, customer, lines, discounts (name, amount) and total."""
    currency = invoice["currency"]
    lines = [
        "SIMULATED STRIPE - NO MONEY MOVES",
        "",
        f"Invoice {invoice['number'] or invoice['id']}",
        f"Status: {invoice['status']}",
        *([invoice["customer_name"]] if invoice["customer_name"] else []),
        *(f"{tax_id_names.get(one['type'], one['type'])} {one['value']}" for one in invoice["customer_tax_ids"]),
        "",
        *(f"{line['description']}: {money(line['amount'], currency)}" for line in invoice["lines"]["data"]),
        *(f"Discount {name}: -{money(amount, currency)}" for name, amount in taken),
        *(
            f"{name}{' (included)' if is_included else ''}: {money(amount, currency)}"
            for name, amount, is_included in taxes
        ),
        "",
        f"Total: {money(invoice['total'], currency)}",
        f"Paid: {money(invoice['amount_paid'], currency)}",
    ]
    text = "\n".join(f"({_escaped(line)}) Tj T*" for line in lines)
    content = f"BT /F1 12 Tf 56 780 Td 18 TL\n{text}\nET".encode("latin-1", "replace")
    return _document(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
            b" /Resources << /Font << /F1 5 0 R >> >> >>",
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        ]
    )


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def _document(objects: list[bytes]) -> bytes:
    parts, offsets = [b"%PDF-1.4\n"], []
    for number, body in enumerate(objects, start=1):
        offsets.append(sum(map(len, parts)))
        parts.append(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = sum(map(len, parts))
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    parts.append(b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table))
    parts.append(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, start))
    return b"".join(parts)
