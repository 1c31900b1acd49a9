"""Releases by the API: made, followed, counted, cancelled and fetched with a key, by nobody else."""

import hashlib
import json
import sys
import tempfile
import uuid

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import api_keys
from accounts.models import User, WebhookDelivery
from accounts.webhooks import endpoints
from billing.models import Plan
from billing.plans import seed_plans
from feedback import releasing
from feedback.models import LoadCheck, Release
from feedback.release import building, loading, store
from feedback.release.specification import BadSpecification, specification
from tests import factories
from tests.integration.feedback.test_release import frozen, sealed, some_ratings

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]


@pytest.fixture
def reviewer():
    return User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")


def caller(user, *scopes):
    seed_plans()
    Plan.objects.filter(key="free").update(has_api_access=True)
    _key, text = api_keys.create(user=user, name="trainer", scopes=list(scopes), now=timezone.now())
    return Client(headers={"Authorization": f"Bearer {text}"})


def make(client, **wish):
    return client.post("/api/releases", wish, content_type="application/json")


def test_a_release_is_made_followed_and_fetched_with_a_key(reviewer):
    some_ratings(reviewer, 3)
    for user in (reviewer, factories.UserFactory()):  # who may not see releases is told of none
        endpoints.create(user=user, url="https://example.org/", events=["release.ready"], now=timezone.now())
    client = caller(reviewer, "releases")
    made = make(client, specification={"test_share": 0.0})
    assert made.status_code == 201
    address = f"/api/releases/{made.json()['id']}"
    assert client.get(address).json()["progress"]["steps"] >= 1
    assert client.get(address).json()["files"] == []
    building.work_off(made.json()["id"])
    assert make(client, specification={"test_share": 0.0}).status_code == 200
    told = client.get(address).json()
    assert (told["state"], told["progress"], told["counts"]["rows: preference"]) == ("sealed", None, 6)
    assert [release["name"] for release in client.get("/api/releases").json()["results"]] == ["v0001"]
    heard = WebhookDelivery.objects.get()
    assert heard.endpoint.user == reviewer
    ready = {"release": told["id"], "version": 1, "manifest_sha256": told["manifest_sha256"]}
    assert json.loads(heard.body)["data"] == ready
    files = {file["path"]: file["url"] for file in told["files"]}
    raw = b"".join(Client().get(files["manifest.json"].removeprefix(settings.SITE_URL)).streaming_content)
    assert hashlib.sha256(raw).hexdigest() == told["manifest_sha256"]
    release = Release.objects.get()
    assert raw == store.read(f"{release.folder}/manifest.json")
    assert [(taken.user, taken.path) for taken in release.downloads.all()] == [(reviewer, "manifest.json")]


def test_a_dry_run_counts_and_a_release_under_way_can_be_cancelled(reviewer):
    some_ratings(reviewer, 2)
    client = caller(reviewer, "releases")
    counted = make(client, dry_run=True).json()
    building.work_off(counted["id"])
    assert client.get(f"/api/releases/{counted['id']}").json()["counts"]["rows: preference"] == 4
    assert client.get("/api/releases").json()["results"] == []
    address = f"/api/releases/{make(client).json()['id']}/cancel"
    assert client.post(address).json()["state"] == "cancelled"
    assert client.post(address).status_code == 409


def test_one_that_failed_is_tried_again_with_a_key(reviewer):
    some_ratings(reviewer, 1)
    client = caller(reviewer, "releases")
    release = Release.objects.get(pk=make(client).json()["id"])
    address = f"/api/releases/{release.pk}/retry"
    assert client.post(address).status_code == 409
    Release.objects.update(state=Release.State.FAILED, error="OSError: no space left")
    assert (client.post(address).json()["state"], client.post(address).status_code) == ("building", 409)
    assert building.work_off(release.pk).state == "sealed"
    assert caller(factories.UserFactory(), "releases").post(address).status_code == 403


def test_what_cannot_be_made_is_refused_with_the_reason(reviewer):
    client = caller(reviewer, "releases")
    nothing = make(client)
    assert (nothing.status_code, nothing.json()["error"]["code"]) == (409, "not_now")
    bad = make(client, specification={"test_share": 3.0})
    assert bad.status_code == 400
    assert "leave something" in bad.content.decode()
    assert "unknown settings" in make(client, specification={"colour": "red"}).content.decode()
    assert not Release.objects.exists()


@pytest.mark.parametrize(
    "wish",
    [
        {"configs": [["sft"]]},
        {"configs": [None, "sft"]},
        {"configs": ["sft", "sft"]},
        {"configs": []},
        {"languages": ["en\0"]},
        {"rules_version": 1},
        {"shard_rows": True},
        {"validation_share": -0.5, "test_share": 0.6},
        {"person_rows": -1},
        {"min_weight": float("nan")},
        {"shard_rows": 10**30},
    ],
    ids=str,
)
def test_a_specification_that_makes_no_sense_is_refused(wish):
    with pytest.raises(BadSpecification):
        specification(wish).check_versions()


def test_a_release_whose_files_were_lost_or_changed_says_so(reviewer):
    some_ratings(reviewer, 2)
    release = sealed()
    store.write(f"{release.folder}/manifest.json", b"{")
    client = caller(reviewer, "releases")
    page = Client()
    page.force_login(reviewer)
    for _state in ("changed", "gone"):
        assert client.get(f"/api/releases/{release.pk}").json()["files"] == []
        assert "gone or were changed" in page.get(reverse("release", args=[release.pk])).content.decode()
        for command in ("verify", "load-check"):
            with pytest.raises(CommandError, match="manifest"):
                call_command("release", command, str(release.version))
        store.remove(f"{release.folder}/manifest.json")


def test_releases_are_verified_and_compared_with_a_key_and_by_command(reviewer, capsys):
    some_ratings(reviewer, 2)
    old = sealed(test_share=0.0, validation_share=0.0)
    some_ratings(reviewer, 1)
    new, cancelled = sealed(test_share=0.0, validation_share=0.0), frozen(configs=("sft",))
    releasing.cancel(cancelled, now=timezone.now())
    client = caller(reviewer, "releases")
    assert client.get(f"/api/releases/{old.pk}/verify").json() == {"is_whole": True, "problems": []}
    store.write(f"{old.folder}/README.md", b"changed")
    told = client.get(f"/api/releases/{old.pk}/verify").json()
    assert told == {"is_whole": False, "problems": ["README.md was changed"]}
    changed = client.get(f"/api/releases/{old.pk}/diff", {"other": str(new.pk)}).json()
    call_command("release", "diff", "1", "2")
    lines = [f"{one['config']:12} +{one['added']:,} -{one['removed']:,} ={one['kept']:,}" for one in changed]
    assert capsys.readouterr().out.splitlines() == lines
    assert lines
    # One that was not made has no rows, which is not the same as that all of them were removed.
    refused = client.get(f"/api/releases/{old.pk}/diff", {"other": str(cancelled.pk)})
    assert refused.status_code == 409
    assert "v0003 was not made to its end" in refused.content.decode()
    with pytest.raises(CommandError, match="v0003 was not made to its end"):
        call_command("release", "diff", "1", "3")
    assert client.get(f"/api/releases/{old.pk}/diff").status_code == 400
    assert client.get(f"/api/releases/{uuid.uuid4()}/verify").status_code == 404


def test_a_release_is_opened_as_trainers_do_and_nothing_is_left_behind(reviewer, tmp_path, monkeypatch, capsys):
    some_ratings(reviewer, 2)
    release = sealed(test_share=0.0, validation_share=0.0)
    client, address = caller(reviewer, "releases"), f"/api/releases/{release.pk}/load-check"
    assert client.get(address).status_code == 404
    asked = client.post(address)
    assert asked.status_code == 202
    assert (asked.json()["checked_at"], client.get(address).json()) == (None, asked.json())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "kept")
    call_command("release", "load-check", "1")
    told = client.get(address).json()
    assert told["rows"] == {
        "preference": {"train": 4},
        "prompts": {"train": 2},
        "sft": {"train": 4},
        "unpaired": {"train": 4},
    }
    assert "preference: 4 rows of train" in capsys.readouterr().out
    assert (told["error"], told["checked_at"] is not None) == ("", True)
    assert list(tmp_path.rglob("*.arrow")) == []
    page = Client()
    page.force_login(reviewer)
    assert "Opened with datasets" in page.get(reverse("release", args=[release.pk])).content.decode()
    store.write(f"{release.folder}/README.md", b"changed")
    with pytest.raises(CommandError, match=r"README\.md was changed"):
        call_command("release", "load-check", "1")
    assert client.get(address).json()["error"] == "README.md was changed"


def test_what_has_no_files_is_not_opened(reviewer):
    some_ratings(reviewer, 1)
    release = frozen()
    address = f"/api/releases/{release.pk}/load-check"
    refused = caller(reviewer, "releases").post(address)
    assert refused.status_code == 409
    assert "has no files to open" in refused.content.decode()
    page = Client()
    page.force_login(reviewer)
    page.post(reverse("load-release", args=[release.pk]))
    assert "There are no files to open." in page.get(reverse("release", args=[release.pk])).content.decode()


def test_a_process_that_dies_while_it_opens_a_release_says_so_and_leaves_no_copy(reviewer, monkeypatch, tmp_path):
    some_ratings(reviewer, 1)
    release = sealed()
    releasing.check_loading(release, now=timezone.now())
    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setenv("TMPDIR", str(copies))
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    dies = tmp_path / "dies"
    dies.write_text('#!/bin/sh\necho words > "$TMPDIR/words.arrow"\nkill -9 $$\n')
    dies.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(dies))
    loading.check_apart(release)
    assert "was killed" in LoadCheck.objects.get(release=release).error
    assert list(copies.iterdir()) == []


def test_nobody_else_gets_in(reviewer):
    some_ratings(reviewer, 1)
    release_id = make(caller(reviewer, "releases")).json()["id"]
    strangers = [caller(factories.UserFactory(), "releases"), caller(reviewer, "chat", "ratings", "usage")]
    for client in strangers:
        assert make(client).status_code == 403
        assert client.get("/api/releases").status_code == 403
        for address in ("", "/verify", "/load-check", f"/diff?other={release_id}"):
            assert client.get(f"/api/releases/{release_id}{address}").status_code == 403
        assert client.post(f"/api/releases/{release_id}/cancel").status_code == 403
    assert make(Client()).status_code in (401, 403)
