"""What the hub may answer: anything at all, and it is a model or a sentence."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.errors import Cancelled
from songid_desktop.neural import hub, transport
from songid_desktop.neural.hub import HubError, HubModel
from songid_desktop.neural.transport import LineTrouble, Patience
from tests.support.checkpoint_files import AST

COMMIT = "a" * 40
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
_KEYS = ("type", "path", "size", "oid", "lfs")
_ENTRIES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.just("file") | _VALUES,
            "path": st.just("config.json") | _VALUES,
            "size": st.integers(-5, 10**12) | _VALUES,
            "oid": st.just("b" * 40) | _VALUES,
            "lfs": st.fixed_dictionaries({"oid": st.just("c" * 64) | _VALUES, "size": _VALUES})
            | _VALUES,
        },
    ),
    max_size=4,
)
_INFO = st.fixed_dictionaries(
    {"sha": st.just(COMMIT)},
    optional={"cardData": st.fixed_dictionaries({"license": _VALUES}) | _VALUES, "tags": _VALUES},
)


def look_up_with(info: object, tree: object) -> HubModel:
    def answer(url: str, *_rest: object) -> tuple[bytes, http.client.HTTPMessage]:
        body: Any = info if "/revision/" in url else tree
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return raw, http.client.HTTPMessage()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "read_all", answer)
        patch.delenv("HF_ENDPOINT", raising=False)
        patch.delenv("HF_HUB_OFFLINE", raising=False)
        return hub.look_up(AST)


@given(_INFO | _VALUES, _ENTRIES | _VALUES)
def test_any_json_is_a_model_or_a_sentence(info: object, tree: object) -> None:
    try:
        found = look_up_with(info, tree)
    except HubError as error:
        assert "model hub" in str(error)  # noqa: PT017 - either is right
        return
    assert found.commit == COMMIT
    for file in found.files:
        assert bool(file.sha256) is not bool(file.blob_sha1)
        assert file.size_bytes >= 0


@given(st.binary(max_size=60))
def test_any_bytes_are_a_sentence(body: bytes) -> None:
    with pytest.raises(HubError):
        look_up_with(body, body)


def test_the_default_hub_is_named_in_the_lock() -> None:
    found = look_up_with({"sha": COMMIT, "tags": ["license:mit"]}, [])
    assert (found.endpoint, found.licence) == (hub.DEFAULT_ENDPOINT, "mit")


@pytest.mark.parametrize("name", ["", "ast", "a/b/c", "../x", "a/..", "a b/c", "-a/b", "a/é?"])
def test_names_that_the_hub_can_t_have(name: str) -> None:
    with pytest.raises(HubError, match="no name of a model"):
        hub.look_up(name)


def test_a_page_of_another_host_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = http.client.HTTPMessage()
    headers["Link"] = '<https://elsewhere.invalid/tree?cursor=1>; rel="next"'
    answers = iter([({"sha": COMMIT}, http.client.HTTPMessage()), ([], headers)])

    def answer(*_all: object) -> tuple[bytes, http.client.HTTPMessage]:
        body, head = next(answers)
        return json.dumps(body).encode(), head

    monkeypatch.setattr(hub, "read_all", answer)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(HubError, match="not what a model hub says"):
        hub.look_up(AST)


class OneAnswer:
    """Accepts one connection, says `head`, and then nothing."""

    def __init__(self, head: bytes, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{port}/x"
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(head,))

    def _serve(self, head: bytes) -> None:
        made, _address = self._socket.accept()
        if self._context is not None:
            with contextlib.suppress(OSError):  # the caller does not trust it, and leaves
                made = self._context.wrap_socket(made, server_side=True)
        with made, contextlib.suppress(OSError):
            made.recv(65_536)
            made.sendall(head)
            if b"Content-Length: 9" in head:
                self._leave.wait(20.0)

    def __enter__(self) -> OneAnswer:  # noqa: PYI034 - never subclassed
        self._thread.start()
        return self

    def __exit__(self, *_all: object) -> None:
        self._leave.set()
        self._thread.join()
        self._socket.close()


BRIEF = Patience(connect_s=1.0, stall_s=0.3, tries=1)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "broke off"),
        (b"nonsense\r\n\r\n", "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "nothing came|does not answer"),
        (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n", "not secured|error 302"),
        (b"HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/x\r\n\r\n", "not secured|error 302"),
        (b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n", "proxy asks for a password"),
    ],
)
def test_lines_that_fail_say_how(head: bytes, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("http_proxy", raising=False)
    with OneAnswer(head) as server, pytest.raises(LineTrouble, match=words):
        transport.read_all(server.url, None, BRIEF, 1000)


def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("http_proxy", raising=False)
    head = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000
    with OneAnswer(head) as server, pytest.raises(LineTrouble, match="too long"):
        transport.read_all(server.url, None, BRIEF, 1000)


def test_certificates_are_found_where_the_system_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = ssl.DefaultVerifyPaths(None, None, "", "", "", "")  # type: ignore[arg-type]
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    monkeypatch.setattr(
        ssl, "create_default_context", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    if not any(Path(bundle).exists() for bundle in transport._BUNDLES):
        pytest.skip("this system keeps no certificates")
    context = transport.trusted_context()
    assert context.cert_store_stats()["x509_ca"] > 0
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_certificate_that_nobody_vouches_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("https_proxy", raising=False)
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-keyout", key, "-out", certificate),
        ],
        capture_output=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip("openssl is not installed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    not_trusted = pytest.raises(LineTrouble, match="certificate is not trusted")
    with OneAnswer(b"HTTP/1.1 200 OK\r\n\r\n{}", context) as server, not_trusted:
        transport.read_all(server.url, None, BRIEF, 1000)


def test_a_pause_is_left_at_once() -> None:
    cancel = threading.Event()
    cancel.set()
    trouble = LineTrouble("x", is_passing=True, retry_after_s=1e9)
    with pytest.raises(Cancelled):
        transport.pause(1, trouble, cancel, Patience())
