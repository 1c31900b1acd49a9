"""Other wordings of a question by rule, and what each must keep."""

import pytest

from chat.consistency import rewording
from chat.consistency.words import is_chinese


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of France?",
        "How tall is the Eiffel Tower in 2024?",
        "Explain `map()` to me in Python 3.",
        'Write a poem about "the big sea" in 4 lines.',
        "Fix this:\n\n```py\nx = [1, 2\n```",
        "hi",
        "法国的首都是什么？",
        "为什么《红楼梦》有120回？",
        "42",
    ],
)
def test_every_question_has_at_least_three_that_keep_everything(question):
    made = rewording.by_rule(question)
    texts = [one.text for one in made]
    assert len(made) >= 3
    assert len({rewording.normal(text) for text in [question, *texts]}) == len(texts) + 1
    assert all(rewording.missing(question, text) == [] for text in texts)
    assert {one.rule for one in made} <= set(rewording.RULES)
    assert all(is_chinese(text) == is_chinese(question) for text in texts if question != "42")


def test_rules_change_words_and_turn_questions_round():
    by_rule = {one.rule: one.text for one in rewording.by_rule("How tall is the Eiffel Tower?")}
    assert by_rule["indirect"] == "Please tell me how tall the Eiffel Tower is."
    assert rewording.by_rule("What is the capital of France?")[0].text == "What's the capital of France?"
    assert rewording.by_rule("为什么天空是蓝色的？")[0].text == "为何天空是蓝色的？"


def test_what_cannot_be_turned_round_safely_is_left():
    assert "indirect" not in {one.rule for one in rewording.by_rule("Who was born in 1905?")}
    assert "indirect" not in {one.rule for one in rewording.by_rule("What is it? And why?")}


def test_words_in_quotations_and_code_stay():
    changed = rewording.by_rule('What does "big" mean, and how big is it?')[0].text
    assert changed == 'What does "big" mean, and how large is it?'
    assert rewording.by_rule("Why is `big` so big?")[0].text == "Why is `big` so large?"


@pytest.mark.parametrize(
    ("question", "wording", "absent"),
    [
        ("In 1969, who landed?", "Who landed?", ["1969"]),
        ("Give me 3 ideas.", "Give me three ideas.", []),
        ("Give me 3 ideas.", "Give me 4 ideas.", ["3"]),
        ("Did Neil Armstrong say “one step”?", "Did Armstrong say it?", ["“one step”", "Neil"]),
        ("Did he say “one step”?", 'Are the words "one step" his?', []),
        ("What does `len` do?", "What does it do?", ["`len`"]),
        ("Sum up https://example.org/a", "Sum it up", ["https://example.org/a"]),
        ("《红楼梦》有多少回？", "这本书有多少回？", ["《红楼梦》"]),
        ("请写5句话。", "请写几句话。", ["5"]),
    ],
)
def test_figures_names_quotations_and_code_must_stay(question, wording, absent):
    assert rewording.missing(question, wording) == absent


@pytest.mark.parametrize(
    "question", ["ſix metres", "5 ſeconds", "Sıx of 3 mıllıon", "1 ſeptember 2024", "Auguſt 3, 2020"]
)
def test_letters_that_only_count_as_others_when_case_is_ignored_are_read(question):
    assert rewording.by_rule(question)


def test_a_question_made_to_be_slow_is_read_in_time_that_grows_with_its_length():
    question = "x" + "\n" * 2000 + " Name" * 400 + "a" * 1500
    made = rewording.by_rule(question)
    assert all(rewording.missing(question, one.text) == [] for one in made)
