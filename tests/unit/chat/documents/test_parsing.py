"""Files in, passages with their place out; and a file that is hostile, broken or no document gets its reason."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from chat.documents import reading
from chat.documents.parsing.__main__ import parsed
from chat.documents.parsing.blocks import Unreadable
from chat.documents.parsing.passages import LARGEST_PASSAGE, size
from chat.documents.refusals import REASONS, text_of
from tests import documents


def places(answer: dict[str, Any]) -> list[tuple[int, str, str]]:
    return [(passage["place"], passage["heading"], passage["text"]) for passage in answer["passages"]]


def test_pages_of_a_pdf() -> None:
    answer = parsed(documents.pdf("Badgers dig.", "", "Owls fly (at night)."), "a.pdf")
    assert (answer["kind"], places(answer)) == ("pdf", [(1, "", "Badgers dig."), (3, "", "Owls fly (at night).")])


def test_paragraphs_of_a_docx_with_the_heading_above() -> None:
    answer = parsed(documents.docx([("Heading1", "Birds"), ("Normal", "Owls fly."), ("Heading1", "Fish")]), "a.docx")
    assert places(answer) == [(1, "Birds", "Birds\n\nOwls fly."), (3, "Fish", "Fish")]


def test_rows_of_a_table_in_a_docx_stay_rows() -> None:
    cell = "<w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    table = f"<w:tbl><w:tr>{cell.format('owl')}{cell.format('7')}</w:tr></w:tbl>"
    part = f'<w:document xmlns:w="{documents.WORD}"><w:body>{table}</w:body></w:document>'
    assert places(parsed(documents.docx_around(part.encode()), "a.docx"))[0][2] == "owl | 7"


def test_lines_of_markdown_with_the_heading_above_and_none_from_code() -> None:
    text = b"# Birds\n\nOwls fly.\n\n```\n# no heading\n```\n\n## Fish\nCarp swim.\n"
    assert places(parsed(text, "notes.md")) == [
        (1, "Birds", "# Birds\n\nOwls fly.\n\n```\n# no heading\n```"),
        (9, "Fish", "## Fish\nCarp swim."),
    ]


def test_rows_of_a_csv_with_the_names_of_its_columns() -> None:
    answer = parsed(b'name;price\n"owl; grey";7\ncarp;\n', "prices.csv")
    assert answer["columns"] == ("name", "price")
    assert [passage["cells"] for passage in answer["passages"]] == [("owl; grey", "7"), ("carp", "")]
    assert places(answer)[0] == (1, "", "name: owl; grey; price: 7")


def test_html_without_what_nobody_sees() -> None:
    page = (
        b"<!doctype html><title>Zoo</title><style>p{}</style><script>alert('x')</script><h2>Birds</h2><p>Owls &amp; co"
    )
    text = "\n".join(text for _place, _heading, text in places(parsed(page, "zoo.html")))
    assert "Owls & co" in text
    assert "alert" not in text
    assert "p{}" not in text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_chinese_in_every_usual_encoding(encoding: str) -> None:
    answer = parsed("猫头鹰在夜间飞行。\n\n獾在挖洞。".encode(encoding), "动物.txt")
    assert "猫头鹰在夜间飞行。" in places(answer)[0][2]


@pytest.mark.parametrize("text", ["An owl flies at night. " * 500, "猫头鹰在夜间飞行。" * 500, "x" * 20_000], ids=len)
def test_no_passage_is_longer_than_the_embedding_model_reads(text: str) -> None:
    passages = parsed(text.encode(), "a.txt")["passages"]
    assert max(size(passage["text"]) for passage in passages) <= LARGEST_PASSAGE
    assert "".join("".join(passage["text"].split()) for passage in passages) == "".join(text.split())


def test_what_hides_in_text_is_not_kept() -> None:
    answer = parsed("Safe\u202e txt\U000e0041 \x1b[2J\u2066 and sound".encode(), "a.txt")
    assert places(answer)[0][2] == "Safe txt [2J and sound"


def zipped(**entries: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return sink.getvalue()


ENTITIES = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
HOSTILE = {
    "nothing": ("a.txt", b"", "empty"),
    "blanks": ("a.txt", b" \n\0\n ", "empty"),
    "windows program": ("report.pdf", b"MZ\x90\0\x03" + b"\0" * 200, "program"),
    "linux program": ("notes.txt", b"\x7fELF\x02\x01\x01" + b"\0" * 200, "program"),
    "picture": ("notes.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not_text"),
    "noise": ("notes.txt", bytes(range(1, 32)) * 50, "not_text"),
    "zip": ("notes.docx", zipped(a=b"b"), "not_supported"),
    "spreadsheet": ("a.docx", zipped(**{"[Content_Types].xml": b"", "xl/workbook.xml": b""}), "not_supported"),
    "half a zip": ("a.docx", documents.docx([("Normal", "text")])[:100], "damaged"),
    "broken XML": ("a.docx", documents.docx_around(b"<w:document"), "damaged"),
    "entity bomb": ("a.docx", documents.docx([("Normal", "x")], prolog=ENTITIES), "entity_bomb"),
    "entity from outside": ("a.docx", documents.docx([("Normal", "x")], prolog=OUTSIDE), "entity_bomb"),
    "zip bomb": ("a.docx", documents.docx_around(b" " * 60_000_000), "unpacks_too_large"),
    "empty docx": ("a.docx", documents.docx([]), "empty"),
    "old office": ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100, "old_or_locked_office"),
    "pdf with a password": ("a.pdf", documents.pdf("secret", password="open sesame"), "locked"),
    "pdf of pictures": ("a.pdf", documents.pdf("", ""), "only_pictures"),
    "pdf without pages": ("a.pdf", documents.pdf(), "empty"),
    "broken pdf": ("a.pdf", b"%PDF-1.7\n1 0 obj <<", "damaged"),
    "half a pdf": ("a.pdf", documents.pdf("text")[:200], "damaged"),
    "table of one line": ("a.csv", b"name,price\n", "bad_table"),
    "too many rows": ("a.csv", b"a,b\n" + b"1,2\n" * 5_001, "too_many_rows"),
    "too many columns": ("a.csv", b"a," * 200 + b"\n" + b"1," * 200, "too_many_columns"),
    "too much text": ("a.txt", b"word " * 500_000, "too_long"),
    "html of scripts": ("a.html", b"<html><script>only()</script></html>", "empty"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_cannot_be_read_gets_its_reason(case: str) -> None:
    name, content, reason = HOSTILE[case]
    with pytest.raises(Unreadable) as refusal:
        parsed(content, name)
    assert refusal.value.code == reason
    assert text_of(reason) != REASONS["damaged"] or reason == "damaged"


def test_a_zip_that_lies_about_its_sizes_is_not_believed() -> None:
    bomb = bytearray(documents.docx_around(b" " * 60_000_000))
    told = (60_000_000).to_bytes(4, "little")
    assert bomb.count(told) == 2
    with pytest.raises(Unreadable):
        parsed(bytes(bomb.replace(told, (100).to_bytes(4, "little"))), "a.docx")


def test_ten_thousand_pages_are_too_many() -> None:
    with pytest.raises(Unreadable, match="too_many_pages"):
        parsed(documents.pdf_of_many_pages(10_000), "a.pdf")


class TestTheProcess:
    """Reading happens in a child process, whose end is an answer too."""

    def test_answers_what_the_readers_do(self) -> None:
        answer = reading.parsed(documents.pdf("Owls fly."), "--help")
        assert answer["passages"][0]["text"] == "Owls fly."

    def test_is_ended_when_it_takes_too_long(self) -> None:
        assert reading.parsed(b"text", "a.txt", seconds=0.01) == {"refused": "too_much_work"}

    def test_has_no_more_memory_than_it_may(self) -> None:
        # Deep nesting takes about a hundred times its size as a tree.
        part = b"<w:x>" * 7_000_000
        assert reading.parsed(documents.docx_around(part), "a.docx")["refused"] in ("too_much_work", "damaged")

    def test_sees_none_of_our_secrets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: dict[str, str] = {}
        start = reading.subprocess.Popen

        def watch(*arguments: Any, **given: Any) -> Any:
            seen.update(given["env"])
            return start(*arguments, **given)

        monkeypatch.setattr(reading.subprocess, "Popen", watch)
        monkeypatch.setenv("SECRET_KEY", "hush")
        reading.parsed(b"text", "a.txt")
        assert set(seen) == {"PATH", "PYTHONPATH", "PYTHONUTF8"}
