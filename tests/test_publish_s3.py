"""Publishing to S3 through s3fs, against moto's server; carts read the bucket over plain HTTP."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("moto.server")
pytest.importorskip("s3fs")

import boto3
from moto.server import ThreadedMotoServer
from publishing_builders import Centre, add_release, make_centre, read_by_tuf

from ecgedge.central.destination import open_destination
from ecgedge.central.publish import Change
from ecgedge.errors import BusyError, NetworkError, UsageError
from ecgedge.sync.layout import release_of

BUCKET = "releases"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[object]:
    """An empty bucket that anybody may read, and the environment of an operator who may write."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "operator")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket=BUCKET, ACL="public-read")
    yield client
    for one in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=one["Key"])
    client.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def centre(s3: object, tmp_path: Path) -> Centre:
    return make_centre(tmp_path, f"s3://{BUCKET}/ecg")


def test_a_bucket_is_read_back_over_http_by_python_tufs_client(centre, endpoint):
    first, second = add_release(centre.store, "1"), add_release(centre.store, "2", segments=2)
    centre.publish(first)
    report = centre.publish(second)
    assert len([one for one in report.uploaded if one.path.startswith("targets/blobs")]) == 2
    centre.rotate("timestamp")
    centre.change(withdraw=(first,), prune=True)
    found = read_by_tuf(None, centre.root(), url=f"{endpoint}/{BUCKET}/ecg/")
    assert {release_of(path) for path in found} - {None} == {second}
    for name in centre.store.manifest(second).blobs():
        assert found[f"blobs/{name}"] == (centre.store.blobs / name).read_bytes()


def test_caches_are_told_to_ask_for_the_timestamp_anew_and_to_keep_all_else(centre, s3):
    for name in "12":
        centre.publish(add_release(centre.store, name))
        for one in s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
            told = s3.head_object(Bucket=BUCKET, Key=one["Key"])["CacheControl"]
            pointer = one["Key"].endswith("timestamp.json")
            assert told == ("no-cache" if pointer else "public, max-age=31536000, immutable")


def test_the_second_of_two_publishers_to_s3_notices(centre):
    first, second = add_release(centre.store, "1"), add_release(centre.store, "2")
    centre.publish(first)
    slow = centre.publisher()

    def overtaken(iterable, label, length=None):
        centre.publish(second, channel="pilot")
        return iter(iterable)

    third = add_release(centre.store, "3")
    slow = replace(slow, progress=overtaken)
    with pytest.raises(BusyError, match="run it again"):
        slow.publish(Change(store=centre.store, release=third))
    assert centre.releases() == sorted([first, second])


def test_a_timestamp_that_changed_at_the_last_moment_is_not_overwritten(centre, monkeypatch):
    """Between the last look at it and the write, which only the store itself can notice."""
    centre.publish(add_release(centre.store, "1"))
    before = centre.destination.read("metadata/timestamp.json")
    real = type(centre.destination).read

    def read(self, path):
        data = real(self, path)
        self._fs.pipe_file(self._full(path), b"another publisher's")
        return data

    with monkeypatch.context() as patch:
        patch.setattr(type(centre.destination), "read", read)
        with pytest.raises(BusyError, match="run it again"):
            centre.destination.switch("metadata/timestamp.json", b"ours", before)
    assert centre.destination.read("metadata/timestamp.json") == b"another publisher's"


def test_a_bucket_that_is_not_there_is_told(centre):
    centre.destination = open_destination("s3://no-such-bucket/ecg")
    with pytest.raises(UsageError, match="make the bucket, or mend the address"):
        centre.publish(add_release(centre.store, "1"))


def test_no_credentials_are_told(centre, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("HOME", "/nonexistent")
    centre.destination = open_destination(f"s3://{BUCKET}/ecg")
    with pytest.raises(UsageError, match="no credentials: set AWS_ACCESS_KEY_ID"):
        centre.publish(add_release(centre.store, "1"))


def test_a_store_of_objects_that_does_not_answer_is_trouble_of_the_network(centre, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    centre.destination = open_destination(f"s3://{BUCKET}/ecg")
    with pytest.raises(NetworkError, match="run it again"):
        centre.publish(add_release(centre.store, "1"))
