"""Encrypted servers and proxies: real TLS by a CA of our own, a real proxy on loopback."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="certificates are made with cryptography")

from certificates import Authority
from faulty_server import Behaviour, Log, refuses, serving
from web_proxy import proxying

from ecgedge.errors import NetworkError, TrustError, UsageError
from ecgedge.sync.http import HttpSource
from ecgedge.sync.source import open_source

FILES = {"metadata/timestamp.json": b'{"signed": {}}'}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def read(source: HttpSource, start: int = 0) -> bytes:
    with source.open("metadata/timestamp.json", start) as reply:
        return b"".join(reply.chunks)


def encrypted(context: ssl.SSLContext, *script: Behaviour):  # type: ignore[no-untyped-def]
    return serving(FILES, *script, tls=context)


def test_a_certificate_by_the_named_ca_is_accepted(authority: Authority) -> None:
    with encrypted(authority.server()) as log:
        source = HttpSource(log.url, ca=authority.path)
        assert read(source) == FILES["metadata/timestamp.json"]
        assert read(source, 5) == FILES["metadata/timestamp.json"][5:]


def test_the_environments_ca_counts_where_none_is_named(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    with encrypted(authority.server()) as log:
        assert read(HttpSource(log.url)) == FILES["metadata/timestamp.json"]


def test_the_named_ca_counts_alone(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    other = Authority(tmp_path, "Other CA")
    with encrypted(authority.server()) as log, pytest.raises(NetworkError, match="not accepted"):
        read(HttpSource(log.url, ca=other.path))


@pytest.mark.parametrize(
    ("host", "days", "known", "said"),
    [
        ("localhost", -1, True, r"expired\): check this machine's clock, which says 20"),
        ("localhost", 30, False, r"check the CA bundle \(--ca\)"),
        ("elsewhere", 30, True, "wants a login"),
    ],
)
def test_no_other_certificate_is_accepted_and_the_next_step_is_said(
    authority: Authority, host: str, days: int, known: bool, said: str
) -> None:
    with encrypted(authority.server(host, days)) as log:
        source = HttpSource(log.url, ca=authority.path if known else None)
        with pytest.raises(NetworkError, match=said):
            read(source)
        assert log.requests == []


def test_what_is_not_encrypted_at_all_is_a_sentence(authority: Authority) -> None:
    with serving(FILES) as log, pytest.raises(NetworkError, match="no encrypted connection"):
        read(HttpSource(log.url.replace("http:", "https:"), ca=authority.path))


def test_no_redirect_gives_up_encryption(authority: Authority) -> None:
    def down(log: Log) -> Behaviour:
        return refuses(302, Location=log.url.replace("https:", "http:"))

    script: list[Behaviour] = []
    with encrypted(authority.server(), lambda handler: script[0](handler)) as log:
        script.append(down(log))
        with pytest.raises(TrustError, match="not encrypted"):
            read(HttpSource(log.url, ca=authority.path))


def test_a_ca_that_is_none_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        open_source("https://server", tmp_path / "none.pem")
    (tmp_path / "rubbish.pem").write_text("not a certificate")
    with pytest.raises(UsageError, match="no certificates in PEM"):
        open_source("https://server", tmp_path / "rubbish.pem")


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_the_environments_proxy_is_asked(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    with proxying() as proxy, serving(FILES) as log:
        monkeypatch.setenv(variable, f"http://{proxy.address}")
        assert read(HttpSource(log.url)) == FILES["metadata/timestamp.json"]
        assert proxy.asked == [f"GET {log.url}/metadata/timestamp.json"]


def test_a_proxy_without_a_scheme_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    with proxying() as proxy, serving(FILES) as log:
        monkeypatch.setenv("http_proxy", proxy.address)
        read(HttpSource(log.url))
        assert len(proxy.asked) == 1


@pytest.mark.parametrize("excluded", ["127.0.0.1", "*", "elsewhere,127.0.0.1"])
def test_what_is_excluded_from_the_proxy_is_asked_directly(
    monkeypatch: pytest.MonkeyPatch, excluded: str
) -> None:
    with proxying() as proxy, serving(FILES) as log:
        monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
        monkeypatch.setenv("NO_PROXY", excluded)
        assert read(HttpSource(log.url)) == FILES["metadata/timestamp.json"]
        assert proxy.asked == []


def test_encryption_goes_through_the_proxy_and_is_checked(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxying() as proxy, encrypted(authority.server()) as log:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        assert read(HttpSource(log.url, ca=authority.path)) == FILES["metadata/timestamp.json"]
        assert proxy.asked == ["CONNECT " + log.url.removeprefix("https://")]
        with pytest.raises(NetworkError, match="not accepted"):
            read(HttpSource(log.url))


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_proxy_gets_its_password_and_nobody_sees_it(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tls: bool
) -> None:
    context = authority.server() if tls else None
    name = "https_proxy" if tls else "http_proxy"
    with proxying("Basic d2FyZDpzOmNyZXQ=") as proxy, serving(FILES, tls=context) as log:
        monkeypatch.setenv(name, f"http://ward:s%3Acret@{proxy.address}")
        assert read(HttpSource(log.url, ca=authority.path)) == FILES["metadata/timestamp.json"]
        assert not any("Proxy-Authorization" in sent for sent in log.headers)
        monkeypatch.setenv(name, f"http://ward:guess@{proxy.address}")
        with pytest.raises(NetworkError, match="wants a name and a password") as caught:
            read(HttpSource(log.url, ca=authority.path))
    assert "guess" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://server.invalid", "https://server.invalid"])
def test_a_proxy_that_is_down_is_a_sentence(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://name:secret@127.0.0.1:1")
    with pytest.raises(NetworkError, match=r"proxy http://127\.0\.0\.1:1 ") as caught:
        read(HttpSource(url))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("proxy", ["socks5://localhost:1080", "http://", "http://[", "http://a:x"])
def test_a_proxy_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(UsageError, match="none that sync can use"):
        open_source("https://server.invalid")
