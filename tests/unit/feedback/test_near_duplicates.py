"""Near-duplicates: planted ones are found, others are not, and Chinese is compared by its characters."""

import random

from feedback.release.gates.near_duplicates import clusters
from feedback.release.gates.shingles import shingles

WORDS = [f"word{number}" for number in range(5_000)]


def runs(text):
    words = text.split()
    return {tuple(words[at : at + 3]) for at in range(len(words) - 2)}


def similarity(left, right):
    return len(runs(left) & runs(right)) / len(runs(left) | runs(right))


def found(texts):
    batches = (texts[at : at + 300] for at in range(0, len(texts), 300))
    return clusters(batches, similarity=0.66, texts_at=lambda numbers: [texts[number] for number in numbers])


def test_planted_near_duplicates_are_found_and_nothing_else_is():
    chance = random.Random(7)
    texts = [" ".join(chance.choices(WORDS, k=120)) for _text in range(2_000)]
    planted = []
    for original in range(500):
        words = texts[original].split()
        for place in chance.sample(range(120), chance.randint(1, 12)):
            words[place] = chance.choice(WORDS)
        planted.append((original, len(texts)))
        texts.append(" ".join(words))
    roots = found(texts)
    alike = [pair for pair in planted if similarity(texts[pair[0]], texts[pair[1]]) >= 0.66]
    others = [pair for pair in planted if pair not in alike]
    assert len(alike) > 300
    assert others
    assert sum(roots[left] == roots[right] for left, right in alike) >= 0.99 * len(alike)
    assert sum(roots[left] == roots[right] for left, right in others) == 0
    assert all(roots[number] == number for number in range(2_000))


def test_case_spacing_and_neighbours_make_no_difference_to_a_run():
    alone, _offsets = shingles(["Hello, BIG  world!"], 3)
    among, offsets = shingles(["other " * 40, "hello big world", "", "你好世界"], 3)
    assert among[offsets[1]] == alone[0]
    assert list(offsets[2:] - offsets[1:-1]) == [1, 0, 2]


def test_chinese_texts_are_compared_by_characters():
    said = "今天天气很好，我们一起去公园散步，然后在河边喝茶聊天，直到太阳落山才慢慢走回家吃晚饭。"
    assert list(found([said, said.replace("晚饭", "午饭"), "完全不同的一句话，讲的是别的事情，与上面没有关系。"])) == [
        0,
        0,
        2,
    ]
