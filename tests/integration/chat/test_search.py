"""Finding what was said: words, substrings, Chinese; and that nothing of anybody else's is found."""

import pytest
from django.db import connection
from django.utils import timezone

from chat import collection, search
from chat.models import Conversation
from tests.factories import UserFactory, conversation

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(db):
    return UserFactory()


def excerpts(user, text):
    return [str(hit.excerpt) for hit in search.search(user, text)]


def test_words_are_found_in_other_forms_and_marked(user):
    conversation(user, ("How do ships float?", "A floating ship displaces water."))
    found = excerpts(user, "floats")
    assert found
    assert any("<mark>floating</mark>" in excerpt for excerpt in found)


@pytest.mark.parametrize("text", ["浮力", "水", "阿基米德原理"])
def test_chinese_is_found_by_substring(user, text):
    conversation(user, ("船为什么能浮在水面上？", "因为浮力等于排开的水的重量，这就是阿基米德原理。"))
    found = excerpts(user, text)
    assert found
    assert all(f"<mark>{text}</mark>" in excerpt for excerpt in found)


def test_part_of_a_word_is_found_whatever_its_case(user):
    conversation(user, ("Tell me of PostgreSQL", "It is a database."))
    assert excerpts(user, "tgres") == ["Tell me of Pos<mark>tgreS</mark>QL"]


def test_titles_come_first(user):
    conversation(user, ("nothing", "a lighthouse"))
    titled = conversation(user, ("x", "y")).conversation
    Conversation.objects.filter(pk=titled.pk).update(title="The lighthouse")
    first = search.search(user, "lighthouse")[0]
    assert first.message_id is None
    assert first.excerpt == "The <mark>lighthouse</mark>"


def test_hostile_text_comes_back_escaped(user):
    conversation(user, ("<script>alert('needle')</script>", "\ue001\ue001<img src=x onerror=needles>\ue000"))
    found = excerpts(user, "needle") + excerpts(user, "needles")
    assert len(found) >= 2
    assert not any("<script" in excerpt or "<img" in excerpt for excerpt in found)
    assert all(excerpt.count("<mark>") == excerpt.count("</mark>") for excerpt in found)


@pytest.mark.parametrize("text", ["", "   ", "\0", "%", "_", "'; drop", '"unbalanced', "-", "a & | !", "x" * 5000])
def test_any_query_is_answered(user, text):
    conversation(user, ("Hello", "Hi"))
    assert isinstance(search.search(user, text), list)
    assert not excerpts(user, "%")


def test_only_kept_conversations_of_the_person_are_searched(user):
    stranger = UserFactory()
    conversation(stranger, ("a unicorn", "a unicorn"))
    deleted = conversation(user, ("a unicorn", "yes")).conversation
    temporary = conversation(user, ("a unicorn", "yes")).conversation
    archived = conversation(user, ("a unicorn", "yes")).conversation
    Conversation.objects.filter(pk=temporary.pk).update(is_temporary=True)
    collection.change(user=user, ids=[deleted.pk], action=collection.Action.DELETE, now=timezone.now())
    collection.change(user=user, ids=[archived.pk], action=collection.Action.ARCHIVE, now=timezone.now())
    assert {hit.conversation.pk for hit in search.search(user, "unicorn")} == {archived.pk}


def test_the_server_that_comes_with_parley_has_an_index_for_substrings():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'")
        if not cursor.fetchone():
            pytest.skip("this PostgreSQL lacks pg_trgm; the search scans instead")
        cursor.execute("SELECT 1 FROM pg_indexes WHERE indexname = 'message_substrings'")
        assert cursor.fetchone()
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN SELECT id FROM chat_message WHERE UPPER(content::text) LIKE UPPER('%abcd%')")
        assert "message_substrings" in "".join(row[0] for row in cursor.fetchall())
