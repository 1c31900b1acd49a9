"""LLaMA-Factory and Axolotl themselves read a release, each row of it, in an environment made for them.

They pin other versions than ours of what they share with us: they are installed alone, with the few packages that their
readers import beyond ours, which are lent to them. Nothing is trained.
"""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from accounts.models import User
from feedback.release import store, verify
from tests.integration.feedback.test_release import sealed, some_ratings
from tests.integration.feedback.test_trainers import model_folder  # noqa: F401 - a fixture

pytestmark = [
    pytest.mark.usefixtures("storage"),
    pytest.mark.django_db,
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("FAULTS") != "long", reason="asks the package index: make faults"),
]

HERE = Path(__file__).parent
PINNED = (
    *("llamafactory==0.9.5", "axolotl==0.19.0", "datasets==4.8.4", "addict==2.4.0", "colorama==0.4.6"),
    *("posthog==7.91.1", "distro==1.9.0", "numba==0.68.1", "llvmlite==0.50.0"),
)


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of an environment with both."""
    home = tmp_path_factory.mktemp("others")
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    [packages] = home.glob("lib/python*/site-packages")
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib"))
    subprocess.run([home / "bin/python", "-m", "pip", "install", "--quiet", "--no-deps", *PINNED], check=True)
    return home / "bin/python"


@pytest.fixture
def release(storage):
    """Several files of each kind."""
    some_ratings(User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase"), 6)
    return sealed(shard_rows=5, test_share=0.0, validation_share=0.0)


def read(python, program, *arguments, cwd):
    told = subprocess.run([python, HERE / program, *arguments], cwd=cwd, check=True, capture_output=True, text=True)
    return json.loads(told.stdout)


def rows_of(release, config):
    return sum(file["rows"] for file in verify.manifest_of(release)["files"] if file["path"].startswith(f"{config}/"))


def test_llama_factory_takes_every_row_for_what_it_is(python, release):
    folder = Path(store.location(release.folder), "llamafactory")
    found = read(python, "llama_factory_reads.py", folder, cwd=folder)
    for config in ("preference", "sft", "unpaired"):
        files = [name for name in found if name.startswith(f"{config}-")]
        assert len(files) > 1
        rows = [row for name, mine in found.items() if name.startswith(f"{config}-") for row in mine]
        assert len(rows) == rows_of(release, config) > 5
        for turns, answers in rows:
            assert turns[-1] == "user"
            assert len(turns) % 2 == 1
            if config == "preference":
                assert len(answers) == 2 and all(answers)  # noqa: PT018 - of one row
            else:  # a label is told by which of two answers is empty
                assert sum(bool(answer) for answer in answers) == 1
    labels = {row[1].index("") for name, mine in found.items() if "unpaired" in name for row in mine}
    assert labels == {0, 1}


def test_axolotl_takes_every_row_by_the_recipe_of_the_release(python, release, model_folder):  # noqa: F811
    folder = Path(store.location(release.folder))
    rows = read(python, "axolotl_reads.py", folder / "axolotl.yaml", model_folder, cwd=folder.parent)
    assert len(rows) == rows_of(release, "preference") > 5
    for row in rows:
        assert row["prompt"].endswith("<|im_start|>assistant\n")
        assert row["chosen"] != row["rejected"]
        assert all(row[side].removesuffix("<|im_end|>") for side in ("chosen", "rejected"))
