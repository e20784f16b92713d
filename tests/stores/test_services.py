"""What an object service refuses: each its own sentence, without a secret, and what goes on without the service.

A proxy before the S3 server answers some requests as services do that are set up otherwise, or whose keys expire.
"""

import html
import http.client
import threading
import traceback
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from buckets import put, read, remote

import registry_nb as rn
from registry_nb.errors import Corrupted, StorageError
from registry_nb.stores import objects, services
from registry_nb.stores.objects import open_artifacts
from registry_nb.testing import MemoryStore

SIGNED = "https://bucket.example/key?X-Amz-Signature=5ec2e7&X-Amz-Credential=id"
STATUS = {"ExpiredToken": 400, "RequestTimeTooSkewed": 403, "AccessDenied": 403, "NotImplemented": 501}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REGISTRY_NB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.fixture
def service(server, bucket, monkeypatch):
    """A service whose `refuse(method, path, headers)` returns a code for what it does not do."""
    front = SimpleNamespace(url=bucket, refuse=lambda *_: None, seen=[])

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            front.seen.append((self.command, self.path))
            status, headers, data = self.refused() or self.passed_on(body)
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                    self.send_header(name, value)
            size = dict(headers).get("Content-Length", "0") if self.command == "HEAD" else str(len(data))
            self.send_header("Content-Length", size)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def refused(self):
            code = front.refuse(self.command, self.path, self.headers)
            if code is None:
                return None
            text = f"the {code} of {html.escape(SIGNED)} and a secret"
            said = f"<Error><Code>{code}</Code><Message>{text}</Message></Error>"
            return STATUS[code], [("Content-Type", "application/xml")], said.encode()

        def passed_on(self, body):
            behind = http.client.HTTPConnection(urlsplit(server).netloc)
            behind.request(self.command, self.path, body, dict(self.headers))
            answer = behind.getresponse()
            found = answer.status, answer.getheaders(), answer.read()
            behind.close()
            return found

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

        def log_message(self, *_):
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.server_port}")
    yield front
    proxy.shutdown()
    thread.join()
    proxy.server_close()


def told(caught):
    """The sentence, and that no secret is in whatever is printed of the error."""
    printed = "".join(traceback.format_exception(caught.value))
    for secret in ("X-Amz", "5ec2e7", "a secret"):
        assert secret not in printed
        assert secret not in repr(caught.value)
    return str(caught.value)


def test_credentials_that_expire_in_the_middle_of_an_upload_leave_nothing(service, monkeypatch):
    monkeypatch.setattr(objects, "_PART", 5 << 20)
    monkeypatch.setattr(objects, "_AT_ONCE", 1)
    artifacts = open_artifacts(service.url)
    service.refuse = lambda method, path, _: "ExpiredToken" if "partNumber=2" in path else None
    with pytest.raises(StorageError) as caught:
        put(artifacts, bytes(12 << 20))
    assert "the credentials are not valid any more" in told(caught)
    assert told(caught).startswith(f"saving a model to {service.url} failed: ")
    assert remote(artifacts)[2] == []
    assert any("partNumber=1" in path for _, path in service.seen)
    service.refuse = lambda *_: None
    file = put(artifacts, bytes(12 << 20))
    artifacts.verify(file)


def test_credentials_that_expire_while_a_model_is_read(service):
    artifacts = open_artifacts(service.url)
    file = put(artifacts, b"data" * 1000)
    (name,) = remote(artifacts)[2]
    Path(artifacts.cache.path, name).unlink()
    service.refuse = lambda method, *_: "ExpiredToken" if method == "GET" else None
    with pytest.raises(StorageError) as caught:
        read(artifacts, file)
    assert told(caught).endswith("renew them, and call again")
    service.refuse = lambda *_: None
    assert read(artifacts, file) == b"data" * 1000


def test_a_clock_that_is_wrong_is_named(service):
    artifacts = open_artifacts(service.url)
    service.refuse = lambda method, *_: "RequestTimeTooSkewed" if method == "PUT" else None
    with pytest.raises(StorageError) as caught:
        put(artifacts, b"data")
    assert "the clock of this machine differs too much" in told(caught)


@pytest.mark.parametrize(
    ("doing", "method", "right"),
    [("removing unused objects from", "DELETE", "s3:DeleteObject"), ("listing", "GET", "s3:ListBucket")],
)
def test_a_right_that_is_missing_is_named(doing, method, right, service, monkeypatch):
    artifacts = open_artifacts(service.url)
    put(artifacts, b"data")
    real = objects._changed_at
    monkeypatch.setattr(objects, "_changed_at", lambda info: real(info) - 3 * objects.GRACE)
    service.refuse = lambda found, *_: "AccessDenied" if found == method else None
    with pytest.raises(StorageError) as caught:
        artifacts.reclaim(set())
    assert told(caught).startswith(f"{doing} {service.url} failed: the service refuses it")
    assert right in told(caught)


def test_who_may_not_list_registers_and_loads_all_the_same(service):
    """S3 refuses to say that an object is not there to whoever may not list."""
    artifacts = open_artifacts(service.url)

    def without_list(method, path, _):
        unknown = method in {"HEAD", "GET"} and ("PUT", path) not in service.seen
        return "AccessDenied" if "list-type" in path or unknown else None

    service.refuse = without_list
    file = put(artifacts, b"data")
    artifacts.verify(file)
    Path(artifacts._kept(file)).unlink()
    assert read(artifacts, file) == b"data"
    with pytest.raises(StorageError) as caught:
        artifacts.open(replace(file, digest=f"sha256:{'0' * 64}"))
    assert "without s3:ListBucket a missing one is refused too" in told(caught)


def test_a_service_without_checksums_gets_none_and_is_read_back(service):
    artifacts = open_artifacts(service.url)

    def refuse(method, _, headers):
        has_sum = method == "PUT" and headers.get("x-amz-sdk-checksum-algorithm") == "SHA256"
        return "NotImplemented" if has_sum else None

    service.refuse = refuse
    for data in (b"data", b"more"):
        service.seen.clear()
        file = put(artifacts, data)
        assert len([1 for method, path in service.seen if method == "GET" and "list-type" not in path]) == 1, (
            "it is read back"
        )
        artifacts.verify(file, thorough=False)


def test_what_arrived_otherwise_than_it_was_sent_is_noticed(service, monkeypatch):
    artifacts = open_artifacts(service.url)
    artifacts._takes_sums = False
    fs, _ = artifacts._file_system()
    monkeypatch.setattr(fs, "put_file", lambda path, key, **_: fs.pipe_file(key, b"atad"))
    with pytest.raises(Corrupted, match="its SHA-256 is"):
        put(artifacts, b"data")


def test_another_refusal_of_an_upload_is_not_tried_again(service):
    artifacts = open_artifacts(service.url)
    service.refuse = lambda method, *_: "AccessDenied" if method == "PUT" else None
    with pytest.raises(StorageError) as caught:
        put(artifacts, b"data")
    assert "s3:PutObject" in told(caught)
    assert [method for method, _ in service.seen].count("PUT") == 1


def test_bytes_that_cannot_be_reached_stop_no_record(service, constant, monkeypatch, tmp_path):
    registry = rn.Registry(store=MemoryStore(), artifacts=open_artifacts(service.url), user="ada")
    registry.register(constant(1), "Iris")
    monkeypatch.setenv("REGISTRY_NB_CACHE", str(tmp_path / "another machine"))
    there = rn.Registry(store=registry.store, artifacts=open_artifacts(service.url), user="ada")
    service.refuse = lambda *_: "AccessDenied"
    there.tag("Iris", {"seen": "yes"}, version=1)
    there.promote("Iris", 1)
    with pytest.raises(StorageError, match="reading s3://"):
        there.load("models:/Iris/1")
    with pytest.raises(StorageError, match="saving a model to s3://"):
        there.register(constant(2), "Iris")
    assert [version.version for version in there.versions("Iris")] == [1]
    assert registry.load("models:/Iris/1").predict([0]) == [1], "what is on this machine needs no service"


@pytest.mark.parametrize(
    "text",
    [
        f"GET {SIGNED}",
        "https://account.blob.core.windows.net/c/k?sv=2026&sig=ab%2Fcd",
        "AccountName=a;AccountKey=abcdefgh==;EndpointSuffix=core.windows.net",
        "Authorization: Bearer abcdefghijklmnopqrstuvwxyz",
        "the key is a very secret text",
    ],
)
def test_what_services_quote_is_masked(text, monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a very secret text")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/home/ada/key.json")
    shown = services.without_secrets(f"{text} and /home/ada/key.json")
    for secret in ("5ec2e7", "sig=", "abcdefgh", "a very secret text"):
        assert secret not in shown
    assert "/home/ada/key.json" in shown


def test_the_code_is_found_however_a_library_names_it():
    from botocore.exceptions import ClientError

    refused = OSError("refused")
    refused.__cause__ = ClientError({"Error": {"Code": "ExpiredToken"}}, "PutObject")
    azure = ValueError("expired")
    azure.error_code = "AuthenticationFailed"
    assert [services.code_of(error) for error in (refused, azure, OSError("no"))] == [
        "ExpiredToken",
        "AuthenticationFailed",
        "",
    ]
    assert "renew them" in str(services.failure("reading", "az://c", azure))
