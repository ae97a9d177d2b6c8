"""TLS contexts: kept, renewed when a file changes, and never without verification."""

import os
import ssl
from pathlib import Path

import pytest
import trustme

from gateway.errors import ConnectFailed
from gateway.seams import Tls
from gateway.transport.tls import Contexts, build, failure


def test_verification_is_always_on(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    for tls in (Tls(), Tls(server_name="x.test"), Tls(ca_file=str(tmp_path / "ca.pem"))):
        context = build(tls)
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_own_authority_replaces_the_systems(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    assert len(build(Tls(ca_file=str(tmp_path / "ca.pem"))).get_ca_certs()) == 1


def test_kept_until_a_file_changes(tmp_path: Path) -> None:
    """A rotated certificate serves the next new connection."""
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(file))
    tls, contexts = Tls(ca_file=str(file)), Contexts()
    assert not contexts.has(tls)
    first = contexts.get(tls)
    assert contexts.has(tls)
    assert contexts.get(tls) is first
    assert contexts.get(Tls(ca_file=str(file))) is first
    trustme.CA().cert_pem.write_to_path(str(file))
    os.utime(file, ns=(1, 1))
    assert not contexts.has(tls)
    assert contexts.get(tls) is not first
    assert len(contexts._kept) == 1


def test_encrypted_key_is_refused_not_asked_for(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    authority = trustme.CA()
    leaf = authority.issue_cert("client.test")
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (tmp_path / "client.pem").write_bytes(locked + leaf.cert_chain_pems[0].bytes())
    with pytest.raises(ConnectFailed, match="cert_file"):
        build(Tls(cert_file=str(tmp_path / "client.pem")))


def test_words() -> None:
    assert failure(OSError(1, "x")) is None
    assert failure(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")) is not None
