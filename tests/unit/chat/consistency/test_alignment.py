"""Answers lined up: what agrees, what contradicts, and what only one of them says. No embedding model here."""

import pytest

from chat.consistency.alignment import align
from chat.consistency.contradictions import contradictions
from chat.consistency.statements import statements


def kinds(one, other, **names):
    return [found.kind for found in contradictions(one, other, **names)]


def clashing(one, other):
    """What is marked in each of two statements."""
    return [
        ([one[slice(*span)] for span in found.places], [other[slice(*span)] for span in found.other_places])
        for found in contradictions(one, other)
    ]


def test_the_same_in_another_order_agrees():
    found = align(["The tower is 330 metres tall. It stands in Paris.", "It stands in Paris. The tower is 330 m tall."])
    assert found.agreement == 1
    assert found.group == [0, 1]
    assert found.contradictions == 0
    assert [row.said_by for row in found.rows] == [[0, 1], [0, 1]]


def test_another_figure_is_a_contradiction_and_is_marked():
    assert clashing("It was built in 1889.", "It was built in 1887.") == [(["1889"], ["1887"])]
    found = align(["It was built in 1889.", "It was built in 1889.", "It was built in 1887.", "It was built in 1889."])
    assert found.group == [0, 1, 3]
    assert found.contradictions == 1
    assert found.rows[0].kinds == ["figures"]
    assert found.rows[0].marks == [[[16, 20]]] * 4
    assert found.agreement == 0.5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It has 1,234 rooms.", "It has 1234 rooms."),
        ("It has twelve rooms.", "It has 12 rooms."),
        ("It cost $5 million.", "It cost $5,000,000."),
        ("It happened on July 20, 1969.", "It happened on 20 July 1969."),
        ("It happened on 1969-07-20.", "It happened in 1969."),
        ("It happened in July 1969.", "It happened on July 20, 1969."),
        ("It is 330 metres tall.", "It is 1,083 feet tall."),
        ("It has 12 rooms.", "It has 12 rooms and 3 baths."),
        ("About 40 percent of it is water.", "About 40% of it is water."),
        ("塔高三百三十米。", "塔高330米。"),
        ("约百分之四十是水。", "约40%是水。"),
        ("人口二十三万。", "人口230,000。"),
    ],
)
def test_figures_that_say_the_same_do_not_contradict(one, other):
    assert kinds(one, other) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It happened on July 20, 1969.", "It happened on July 21, 1969."),
        ("It happened in 1969.", "It happened on July 20, 1968."),
        ("It weighs 3 kg.", "It weighs 4 kg."),
        ("It weighs three kilograms.", "It weighs four kilograms."),
        ("About 40% of it is water.", "About 45 percent of it is water."),
        ("塔高三百三十米。", "塔高324米。"),
        ("塔建于1889年。", "塔建于一八八七年。"),
        ("It is -5 °C.", "It is 5 °C."),
    ],
)
def test_figures_that_cannot_both_be_meant_contradict(one, other):
    assert kinds(one, other) == ["figures"]


def test_names_in_each_others_place_contradict():
    assert clashing("The capital of Australia is Canberra.", "The capital of Australia is Sydney.") == [
        (["Canberra"], ["Sydney"])
    ]
    assert kinds("Paris is the capital.", "Lyon is the capital.") == ["names"]
    assert kinds("Canberra is the capital of Australia.", "The capital of Australia is Sydney.", names={"Canberra"})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The capital is Canberra.", "The capital of Australia is Canberra."),
        ("Neil Armstrong landed there with Apollo.", "Armstrong came from NASA after years of training."),
        ("The Moon is cold.", "However, the Moon is cold."),
    ],
)
def test_one_name_more_or_another_sentence_does_not(one, other):
    assert kinds(one, other) == []


def test_a_denial_contradicts():
    assert kinds("The mushroom is safe to eat.", "The mushroom is not safe to eat.") == ["negation"]
    assert kinds("Cats can't taste sugar.", "Cats can taste sugar.") == ["negation"]
    assert kinds("这种蘑菇可以吃。", "这种蘑菇不可以吃。") == ["negation"]
    assert kinds("It is not unsafe, no doubt.", "It is not unsafe.") == []
    assert kinds("他不仅会唱歌。", "他会唱歌。") == []
    assert kinds("The mushroom is safe to eat.", "I would not look for it in winter.") == []


def test_yes_and_no_contradict_however_else_they_are_put():
    found = align(["Yes, it is safe to eat.", "No. Nobody should ever touch that mushroom.", "It is safe to eat."])
    assert found.rows[0].kinds == ["stance"]
    assert found.rows[0].said_by == [0, 1, 2]
    assert found.group == [0, 2]
    assert align(["是的，猫可以吃鱼。", "不，猫不可以吃鱼。"]).rows[0].kinds == ["stance"]
    assert kinds("No, it is not safe.", "It is safe.") == ["negation"]


def test_what_only_one_says_stands_alone_in_its_place():
    found = align(["It is red. It is round and sweet.", "It is red. Horses like it a lot. It is round and sweet."])
    assert [row.said_by for row in found.rows] == [[0, 1], [1], [0, 1]]
    assert found.group == [0, 1]
    assert 0.5 < found.agreement < 1


def test_different_matters_do_not_agree_though_nothing_contradicts():
    found = align(["Bread is baked in an oven.", "Whales sing to each other."])
    assert (found.group, found.agreement, found.contradictions) == ([0], 0, 0)


def test_chinese_is_lined_up_by_its_characters():
    found = align(["铁塔高330米。它建于1889年。", "它建于1887年。铁塔高330米。", "铁塔的高度是330米。"])
    assert [row.said_by for row in found.rows] == [[0, 1, 2], [0, 1]]
    assert found.rows[1].kinds == ["figures"]
    assert not found.used_meaning


def test_meaning_lines_up_what_shares_no_words():
    vectors = {"Dogs bark.": [1, 0], "Hounds make noise.": [0.8, 0.6], "Tea is hot.": [0, 1]}
    answers = ["Dogs bark. Tea is hot.", "Hounds make noise."]
    found = align(answers, vectors_of=lambda texts: [vectors[text] for text in texts])
    assert [row.cells for row in found.rows] == [["Dogs bark.", "Hounds make noise."], ["Tea is hot.", None]]
    assert found.used_meaning


def test_nothing_and_one_answer_are_no_comparison():
    assert align(["Hello."]).agreement is None
    assert align(["", "Hello."]).agreement == 0


def test_markdown_is_cut_into_statements():
    text = "# Tea\n\nDr. Smith said so, e.g. in 1969. It is 3.5 m!\n\n- one item\n- two. Then three\n\n"
    text += "```py\nx = 1\ny = 2\n```\n\n| a | b |\n|--|--|\n| 1 | 2 |\n\n你好。世界！"
    assert statements(text) == [
        "Tea", "Dr. Smith said so, e.g. in 1969.", "It is 3.5 m!", "one item", "two.", "Then three", "x = 1\ny = 2",
        "a | b", "1 | 2", "你好。", "世界！",
    ]  # fmt: skip


def test_very_long_answers_are_cut_and_say_so():
    long = " ".join(f"Thing {number} is here." for number in range(200))
    found = align([long, long])
    assert found.is_cut
    assert len(found.rows) == 60
