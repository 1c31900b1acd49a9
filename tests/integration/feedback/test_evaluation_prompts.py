"""What models are tested by is in no release: in a question or in a reply, in English and in Chinese."""

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from feedback.release.gates.contamination import contaminated, runs_of
from tests import factories
from tests.integration.feedback.test_release import frozen, rated, sealed, some_ratings

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]

ENGLISH = "Which of the four moons that Galileo saw goes round its planet in the shortest time?"
CHINESE = "伽利略看见的四颗卫星里哪一颗绕着它的行星转得最快"
SHORT = "Name a prime number."


@pytest.fixture
def reviewer():
    return User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")


@pytest.mark.parametrize(
    ("text", "is_known"),
    [
        (f"Please say: {ENGLISH.upper()} Thank you.", True),
        ("the four moons that Galileo saw goes round its planet in the shortest", True),  # thirteen of its words
        ("the four moons that Galileo saw goes round its planet in the", False),  # twelve
        (f"请问{CHINESE}？谢谢", True),
        (CHINESE[:13], True),
        (CHINESE[:12], False),
        ("name a PRIME number", True),
        (f"{SHORT} Then name another.", False),
        ("Which moon is the nearest to Jupiter?", False),
        ("", False),
    ],
)
def test_thirteen_words_in_a_row_give_an_evaluation_away(text, is_known):
    runs = runs_of([ENGLISH, CHINESE, SHORT])
    assert contaminated([["Hello."], ["Hi.", text], []], runs) == [False, is_known, False]


def test_a_release_leaves_out_and_counts_what_is_in_an_evaluation(reviewer, tmp_path):
    some_ratings(reviewer, 2)
    before = sealed()
    for question, reply in ((ENGLISH, "Io."), ("你好", f"你是问：{CHINESE}？"), ("Ask me.", SHORT)):
        rated(factories.conversation(factories.consenting_user(), (question, reply)), 1, reviewer)
    file = tmp_path / "prompts.txt"
    file.write_text(f'{ENGLISH}\n{{"prompt": "{CHINESE}"}}\n\n{SHORT}\n', "utf-8")
    call_command("release", "evaluation", "moons", str(file))
    release = sealed()
    # A row of `unpaired`, of `sft` and of `prompts` each, of the two replies the prompt alone is clean; and each tree.
    assert release.counts["dropped: evaluation prompt"] == 7 + 3
    assert release.counts["rows: unpaired"] == before.counts["rows: unpaired"]
    assert sealed() == release
    assert sealed(evaluation_prompts="keep").counts["rows: unpaired"] > release.counts["rows: unpaired"]


def test_prompts_added_later_do_not_change_a_release_that_is_frozen(reviewer, tmp_path):
    from feedback.release import building

    some_ratings(reviewer, 2)
    release = frozen()
    file = tmp_path / "prompts.txt"
    file.write_text("Name colour 0.\n")
    call_command("release", "evaluation", "colours", str(file))
    made = building.work_off(release.pk)
    assert "dropped: evaluation prompt" not in made.counts
    assert sealed().counts["dropped: evaluation prompt"] > 0


def test_a_file_that_is_no_list_of_prompts_is_refused_with_its_line(tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_text('Fine.\n{"question": "Which?"}\n')
    with pytest.raises(CommandError, match="line 2"):
        call_command("release", "evaluation", "wrong", str(file))
