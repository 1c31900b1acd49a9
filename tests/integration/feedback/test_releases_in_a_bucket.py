"""Releases in a bucket: the same files as in a folder, by the S3 protocol over HTTP.

The server is a simulation (moto) that keeps objects in memory; `s3fs` speaks to it as to Amazon's, MinIO or Garage.
"""

import io
import json
import tempfile

import fsspec
import pyarrow.parquet as pq
import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from moto.server import ThreadedMotoServer

from accounts import erasure
from accounts.models import User
from feedback.models import Release
from feedback.release import downloads, store, verify
from tests.integration.feedback.test_erasure_in_releases import worked_off
from tests.integration.feedback.test_release import sealed, some_ratings, sums

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]
UNSPLIT = {"test_share": 0.0, "validation_share": 0.0}


@pytest.fixture(scope="module")
def simulated_s3():
    """The address of a server that has one empty bucket, `data`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(simulated_s3, settings, monkeypatch):
    for name, value in (
        ("ACCESS_KEY_ID", "simulated"),
        ("SECRET_ACCESS_KEY", "simulated"),
        ("DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("FSSPEC_S3_ENDPOINT_URL", simulated_s3)
    fsspec.config.set_conf_env(fsspec.config.conf)
    settings.STORAGE_URL = "s3://data/parley"
    store._filesystem.cache_clear()
    system, _root = store._filesystem()
    system.makedirs("data", exist_ok=True)
    yield system
    system.rm("data", recursive=True)
    store._filesystem.cache_clear()
    fsspec.config.conf.pop("s3", None)


@pytest.fixture
def reviewer():
    return User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")


def test_a_release_in_a_bucket_is_whole_and_is_read_through_its_links(bucket, reviewer, settings, tmp_path):
    some_ratings(reviewer, 4)
    release = sealed(**UNSPLIT)
    assert release.state == "sealed"
    assert verify.problems(release) == []
    found = bucket.find(f"data/parley/releases/{release.folder}")
    assert len(found) == len(verify.manifest_of(release)["files"]) + 1
    with bucket.open(f"data/parley/releases/{release.folder}/preference/train-00000-of-00001.parquet") as file:
        rows = pq.read_table(file).num_rows
    assert rows == release.counts["rows: preference"]
    link = next(link for link in downloads.links(release, user=reviewer) if link.path.startswith("openai_dpo/"))
    client = Client()
    client.force_login(reviewer)
    taken = b"".join(client.get(link.url).streaming_content)
    assert [json.loads(line)["input"]["parallel_tool_calls"] for line in io.BytesIO(taken)] == [True] * rows
    Release.objects.update(specification_sha256="another")
    settings.STORAGE_URL = tmp_path.as_uri()
    in_bucket = sums(release)
    store._filesystem.cache_clear()
    assert sums(sealed(**UNSPLIT)) == in_bucket


def test_a_release_in_a_bucket_is_opened_with_datasets_by_the_command(bucket, reviewer, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    some_ratings(reviewer, 4)
    release = sealed(**UNSPLIT)
    call_command("release", "load-check", release.version)
    told = capsys.readouterr().out
    for config in ("comparisons", "preference", "prompts", "sft", "unpaired"):
        if rows := release.counts.get(f"rows: {config}"):
            assert f"{config}: {rows:,} rows of train" in told
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("parley-")]


def test_whoever_leaves_is_in_no_object_of_the_bucket_any_more(bucket, reviewer):
    some_ratings(reviewer, 4)
    first = sealed(**UNSPLIT, shard_rows=4)
    person = first.rows.exclude(user=None).first().user
    gone = set(first.rows.filter(user=person).values_list("row_id", flat=True))
    erasure.erase(person.pk, now=timezone.now())
    worked_off()
    second = Release.objects.get(parent=first)
    assert verify.problems(second) == []
    assert store.paths(first.folder) == ["manifest.json"]
    left = set()
    for path in bucket.find("data/parley/releases"):
        assert store.UNFINISHED not in path
        if path.endswith(".parquet"):
            with bucket.open(path) as file:
                left |= set(pq.read_table(file, columns=["id"])["id"].to_pylist())
    assert left
    assert not left & gone
