"""A corpus with personal data planted in English and Chinese sentences, and clean sentences with numbers in them."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from dataclasses import dataclass

PLANTED = 2_000
CLEAN = 2_000


@dataclass(frozen=True)
class Planted:
    """A message, what was planted in it, and of which kind; both empty in a clean one."""

    text: str
    kind: str = ""
    words: str = ""


ENGLISH = [
    "You can reach me: {} at any time.",
    "My details are as follows, {}, please write them down.",
    "Could you fill in this form for me?\n{}\nThanks!",
    "I sent it to {} yesterday and nobody answered.",
    "here it is ({}) in case you need it",
]
CHINESE = [
    "我的信息是{}，请帮我填一下表格。",
    "请联系{}，谢谢！",
    "昨天发到{}没人回复。",
    "这是（{}），备用。",
    "资料：{}\n请核对。",
]
CLEAN_TEXTS = [
    "The war lasted from 1914 to 1918 and cost {} lives, by one count.",
    "Version 2.{small}.{small} was released on 2024-0{digit}-1{digit} with {small} fixes.",
    "Pi is 3.14159265358979 and e is 2.71828182845905, near enough.",
    "In {year} the population was {}, of whom {small} per cent lived in towns.",
    "订单金额为{}元，编号为第{small}号，请在{year}年1{digit}月前付款。",
    "圆周率约为3.14159265，光速为299792458米每秒。",
    "def total(xs): return sum(x * {small} for x in xs)  # see issue {small}",
    "The 10 most common words are the, of, and, to, a; about {small}% of a text.",
    "ISBN 978-0-306-40615-7 is a book about {small} birds.",
    "Meet me @ noon; it costs ${small}.99, i.e. {small},{year} yen.",
]


def corpus(seed: int = 7) -> list[Planted]:
    """The same messages for the same seed, planted and clean mixed."""
    chance = random.Random(seed)
    makers = list(MAKERS.items())
    messages = []
    for number in range(PLANTED):
        kind, make = makers[number % len(makers)]
        words = make(chance)
        frame = chance.choice(CHINESE if number // len(makers) % 2 else ENGLISH)
        messages.append(Planted(frame.format(words), kind.partition(" ")[0], words))
    messages += [Planted(_clean(chance)) for _number in range(CLEAN)]
    chance.shuffle(messages)
    return messages


def _clean(chance: random.Random) -> str:
    text = chance.choice(CLEAN_TEXTS).replace("{}", f"{chance.randrange(10**5, 10**8):,}")
    return text.format(small=chance.randrange(2, 999), digit=chance.randrange(1, 9), year=chance.randrange(1500, 2026))


def _digits(chance: random.Random, count: int) -> str:
    return "".join(chance.choices(string.digits, k=count))


def _email(chance: random.Random) -> str:
    name = "".join(chance.choices(string.ascii_lowercase, k=6)) + chance.choice([".", "_", "+x"])
    return f"{name}{chance.randrange(99)}@{chance.choice(['qq.com', 'mail.example.co.uk', '163.com', 'example.org'])}"


def _hidden_email(chance: random.Random) -> str:
    name = "".join(chance.choices(string.ascii_lowercase, k=6))
    return chance.choice(["{} (at) example (dot) org", "{}[at]example[dot]com"]).format(name)


def _chinese_mobile(chance: random.Random) -> str:
    number = f"1{chance.randrange(3, 10)}{_digits(chance, 9)}"
    spaced = f"{number[:3]}{{0}}{number[3:7]}{{0}}{number[7:]}"
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in number)
    return chance.choice([number, spaced.format(" "), spaced.format("-"), f"+86 {number}", wide])


def _chinese_landline(chance: random.Random) -> str:
    return chance.choice(["010-", "021-", "0755-", "0571 "]) + str(chance.randrange(2, 9)) + _digits(chance, 7)


def _american_phone(chance: random.Random) -> str:
    area, middle = (f"{chance.randrange(2, 10)}{_digits(chance, 2)}" for _part in range(2))
    shape = chance.choice(["({}) {}-{}", "{}-{}-{}", "+1 {} {} {}", "{}.{}.{}"])
    return shape.format(area, middle, _digits(chance, 4))


def _british_phone(chance: random.Random) -> str:
    return f"{chance.choice(['+44 7', '07'])}{_digits(chance, 3)} {_digits(chance, 6)}"


def _chinese_identity(chance: random.Random) -> str:
    born = f"{chance.randrange(1950, 2010)}{chance.randrange(1, 13):02}{chance.randrange(1, 29):02}"
    first = f"{chance.choice(['110101', '310104', '440305'])}{born}{_digits(chance, 3)}"
    weights = [pow(2, 17 - place, 11) for place in range(17)]
    check = (12 - sum(int(digit) * weight for digit, weight in zip(first, weights, strict=True)) % 11) % 11
    return first + ("X" if check == 10 else str(check))


def _social(chance: random.Random) -> str:
    return f"{chance.randrange(100, 600)}-{chance.randrange(10, 99)}-{chance.randrange(1000, 9999)}"


def _card(chance: random.Random) -> str:
    first = chance.choice(["4", "51", "62"])
    digits = first + _digits(chance, 15 - len(first))
    # Luhn from the definition, apart from the code that is tested.
    doubled = [int(digit) * 2 for digit in digits[-1::-2]]
    total = sum(value // 10 + value % 10 for value in doubled) + sum(map(int, digits[-2::-2]))
    digits += str(-total % 10)
    fours = [digits[at : at + 4] for at in range(0, 16, 4)]
    return chance.choice(["", " ", "-"]).join(fours)


def _iban(chance: random.Random) -> str:
    account = _digits(chance, 18)
    return f"DE{98 - int(account + '131400') % 97:02}{account}"


def _key(chance: random.Random) -> str:
    letters = string.ascii_letters + string.digits
    tail = "".join(chance.choices(letters, k=40))
    upper = "".join(chance.choices(string.ascii_uppercase + string.digits, k=16))
    return chance.choice(
        [
            f"sk-{tail}",
            f"ghp_{tail[:36]}",
            f"AKIA{upper}",
            f"hf_{tail[:34]}",
            f"sk_live_{tail[:24]}",
            f"glpat-{tail[:20]}",
        ]
    )


MAKERS: dict[str, Callable[[random.Random], str]] = {
    "email": _email,
    "email hidden": _hidden_email,
    "phone China": _chinese_mobile,
    "phone landline": _chinese_landline,
    "phone America": _american_phone,
    "phone Britain": _british_phone,
    "id_number China": _chinese_identity,
    "id_number America": _social,
    "card": _card,
    "iban": _iban,
    "key": _key,
}
