# SPDX-License-Identifier: BSD-2-Clause
"""
Who is let in, and for how long: strangers and their approval, revocation of
the connected, changes of group and label, certificates that ended, lists.
"""
import datetime
import os
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from lib import certs, client, config
from lib.certs import DAY, Authority
from lib.client import Closed
from lib.wait import until
from lib.wire import V5
from test_tls import alert_of, connect, ours, refused, resumable, tls  # noqa: F401

WAYS = pytest.mark.parametrize("tls,ticket", (("1.2", False), ("1.2", True), ("1.3", True)),
                               ids=("1.2-id", "1.2-ticket", "1.3-ticket"))


def strangers(gw):
    return gw.ctl("devices", "--pending", output="json")["strangers"]


def stranger(gw, address="127.0.0.1", **fields):
    def find():
        return next((s for s in strangers(gw)
                     if all(s[name] == value for name, value in fields.items())), None)
    found = until(find, "the stranger %r" % fields)
    assert found["address"] == address and found["last_at"] >= found["first_at"] > 0
    return found


def enters(gw, device, tls=None):
    with gw.client(device, V5, tls=tls) as c:
        assert c.fence() == []
        return gw.ctl("devices", output="json")["devices"]


def alert(gw, device, tls=None):
    return alert_of(gw, client.tls_context(gw.ca, device, tls))


def connected(gw, name):
    return gw.ctl("devices", "show", name, output="json")["sessions"]


# ---- strangers -------------------------------------------------------------------

def test_stranger_is_listed_and_approved(gateway, tls):
    gw = gateway()
    device = ours(gw).issue(gw.folder, "x", "factory-17")
    refused(gw, device, tls, 46, "not in the register.*approve")
    found = stranger(gw, identity="factory-17", kind="issued")
    assert found["subject"] == "CN=factory-17"
    assert gw.status()["strangers"] == 1
    gw.ctl("approve", found["short"], "--name", "cellar")
    assert [d["identity"] for d in enters(gw, device, tls)] == ["cellar"]
    assert strangers(gw) == []
    # Another certificate for the same key is the same device, and no other key is.
    key = serialization.load_pem_private_key(open(device.key, "rb").read(), None)
    enters(gw, ours(gw).issue(gw.folder, "y", "another-name", key=key), tls)
    refused(gw, ours(gw).issue(gw.folder, "z", "cellar"), tls, 46, "another key")


def test_self_signed_is_approved_by_its_key(gateway, tls):
    gw = gateway()
    board, thief = gw.enroll("board"), certs.self_signed(gw.folder, "thief", "board")
    device = certs.self_signed(gw.folder, "x", "lonely")
    refused(gw, device, tls, 48, "lonely is self-signed and its key is not known")
    refused(gw, thief, tls, 48, "is self-signed")
    assert stranger(gw, identity="board", kind="self-signed")
    gw.ctl("approve", stranger(gw, identity="lonely")["fingerprint"])
    enters(gw, device, tls)
    # What it calls itself opened nothing, and said nothing about the real one.
    refused(gw, thief, tls, 48, "is self-signed")
    assert not gw.ctl("devices", "show", "board", output="json").get("last_failure")
    enters(gw, board, tls)
    # A copy of the name with a new key is a stranger again.
    refused(gw, certs.self_signed(gw.folder, "y", "lonely"), tls, 48, "is self-signed")
    gw.ctl("revoke", "lonely")
    refused(gw, device, tls, 44, "is revoked")


@WAYS
def test_self_signed_resumption_is_asked_again(gateway, tls, ticket):
    gw = gateway()
    device = certs.self_signed(gw.folder, "x", "lonely")
    assert alert(gw, device, tls) == 48
    gw.ctl("approve", stranger(gw, identity="lonely")["fingerprint"])
    context = resumable(gw, device, tls, ticket)
    with connect(gw, context) as c:
        session = c.sock.session
        c.disconnect()
    with connect(gw, context, session) as c:
        assert c.sock.session_reused
        session = c.sock.session
        c.disconnect()
    gw.ctl("revoke", "lonely")
    with pytest.raises((ssl.SSLError, Closed)):
        connect(gw, context, session)
    gw.ctl("devices", "remove", "lonely")
    with pytest.raises((ssl.SSLError, Closed)):
        connect(gw, context, session)


def test_strangers_of_one_address_are_few(gateway):
    gw = gateway()
    for i in range(15):
        assert alert(gw, certs.self_signed(gw.folder, "x", "s%d" % i), "1.2") == 48
    until(lambda: gw.metrics()["strangers_dropped"] == 5, "five to be left out")
    until(lambda: len(strangers(gw)) == 10, "ten to be listed")


# ---- revocation ------------------------------------------------------------------

def test_revoke_ends_live_sessions(gateway):
    gw = gateway()
    device, other = gw.enroll("board"), gw.enroll("other")
    new = gw.client(device, V5, tls="1.3")
    stays = gw.client(other, V5)
    # gatewayctl waits until the daemon says so, and not for long.
    assert gw.ctl("revoke", "board", output="json")["proved"]
    new.expect_closed(0x98)
    assert stays.fence() == []
    refused(gw, device, "1.2", 44, "is revoked")
    refused(gw, device, "1.3", 44, "is revoked")
    assert gw.ctl("reinstate", "board", output="json")["proved"]
    old = gw.client(device)
    gw.ctl("revoke", "board")
    old.expect_closed()
    gw.ctl("reinstate", "board")
    enters(gw, device)
    assert stays.fence() == []
    gw.ctl("disconnect", "other")
    stays.expect_closed(0x98)
    gw.ctl("reload")
    audit = gw.ctl("audit").out
    for action in ("enroll", "revoke", "reinstate", "disconnect", "reload"):
        assert action in audit, audit


@WAYS
def test_sessions_from_before_a_revocation_are_void(gateway, tls, ticket):
    gw = gateway()
    device = gw.enroll("board")
    context = resumable(gw, device, tls, ticket)
    with connect(gw, context) as c:
        session = c.sock.session
        c.disconnect()
    gw.ctl("revoke", "board")
    gw.ctl("reinstate", "board")
    until(lambda: "its TLS sessions are void" in gw.text(), "the key to be forgotten")
    with connect(gw, context, session) as c:
        assert not c.sock.session_reused
        session = c.sock.session
        c.disconnect()
    with connect(gw, context, session) as c:
        assert c.sock.session_reused


# ---- rights ----------------------------------------------------------------------

def test_only_changed_rights_end_a_session(gateway):
    rules = config.MAPS[0]
    gw = gateway(conf={"maps": (
        dict(rules, name="group", match={"group": "sensors"}, publish=(
            config.rule("Home", "sensors/${identity}/${label.room}"),)),
        rules)})
    a, b = gw.enroll("a", "--label", "room=hall"), gw.enroll("b", "--group", "sensors",
                                                             "--label", "room=hall")
    first, second = gw.client(a, V5), gw.client(b, V5)
    # A label that no template of its map has, and the same value again.
    gw.ctl("label", "a", "room=cellar")
    gw.ctl("label", "b", "floor=2", "room=hall")
    until(lambda: gw.ctl("devices", "show", "b", output="json")["labels"].get("floor") == "2",
          "the label")
    enters(gw, gw.enroll("c"))
    assert first.fence() == [] and second.fence() == []
    gw.ctl("label", "b", "room=cellar")
    second.expect_closed(0x98)
    assert first.fence() == []
    gw.ctl("group", "a", "sensors")
    first.expect_closed(0x98)


# ---- dates -----------------------------------------------------------------------

def expired(gw, name, days):
    """An enrolled device whose certificate ended so long ago."""
    device = gw.enroll(name)
    key = serialization.load_pem_private_key(open(device.key, "rb").read(), None)
    return ours(gw).issue(gw.folder, name + "-old", name, not_before=-100 * DAY,
                          not_after=-days * DAY, key=key)


def test_grace_after_the_end(gateway, tls):
    gw = gateway()
    late, later = expired(gw, "late", 2), expired(gw, "later", 4)
    refused(gw, late, tls, 45, "has expired.*our clock says")
    gw.write_conf(maps=(dict(config.MAPS[0], grace_days=3),))
    gw.ctl("reload")
    refused(gw, later, tls, 45, "has expired")
    context = resumable(gw, late, tls)
    with connect(gw, context) as c:
        assert [s["grace"] for s in connected(gw, "late")] == [True]
        assert "certificate expired, let in by grace" in gw.text()
        session = c.sock.session
        c.disconnect()
    with connect(gw, context, session) as c:
        assert not c.sock.session_reused
        assert c.fence() == []
        gw.write_conf(maps=config.MAPS)
        gw.ctl("reload")
        c.expect_closed(0x98)
    refused(gw, late, tls, 45, "has expired")
    gw.write_conf(maps=(dict(config.MAPS[0], grace_days=3),))
    gw.ctl("reload")
    gw.ctl("revoke", "late")
    refused(gw, late, tls, 44, "is revoked")
    assert strangers(gw) == []


def test_expiring_are_counted(gateway):
    gw = gateway(start=False)
    gw.enroll("soon", "--days", "10")
    gw.enroll("far")
    gw.start()
    assert gw.status()["expiring"] == 1
    assert "expire within 30 days" in gw.text() and "soon" in gw.text()
    assert gw.status()["register"] == os.path.join(gw.state, "register.db")


# ---- lists -----------------------------------------------------------------------

def serial_of(device):
    with open(device.cert, "rb") as f:
        return x509.load_pem_x509_certificate(f.read()).serial_number


def write_crl(gw, authority, *devices, days=30):
    now = datetime.datetime.utcnow()
    builder = (x509.CertificateRevocationListBuilder().issuer_name(authority.cert.subject)
               .last_update(now - 100 * DAY).next_update(now + days * DAY))
    for device in devices:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial_of(device))
            .revocation_date(now - DAY).build())
    crl = builder.sign(authority.key, hashes.SHA256())
    with open(gw.path("list.pem"), "wb") as f:
        f.write(crl.public_bytes(serialization.Encoding.PEM))
    return gw.path("list.pem")


@WAYS
def test_list_ends_sessions_and_resumption(gateway, tls, ticket):
    gw = gateway()
    lost, kept = gw.enroll("lost"), gw.enroll("kept")
    context = resumable(gw, lost, tls, ticket)
    with connect(gw, context) as c:
        session = c.sock.session
        c.disconnect()
    live, stays = gw.client(lost, V5, tls=tls), gw.client(kept, V5, tls=tls)
    gw.write_conf(tls={"crl": write_crl(gw, ours(gw), lost)})
    gw.ctl("reload")
    live.expect_closed(0x98)
    assert stays.fence() == []
    refused(gw, lost, tls, 44, "is on the revocation list")
    with pytest.raises((ssl.SSLError, Closed)):
        connect(gw, context, session)
    enters(gw, kept, tls)


def test_stale_list_refuse(gateway):
    gw = gateway()
    device, lost = gw.enroll("board"), gw.enroll("lost")
    live = gw.client(device, V5)
    gw.write_conf(tls={"crl": write_crl(gw, ours(gw), lost, days=-1)})
    gw.ctl("reload")
    assert live.fence() == []
    refused(gw, device, "1.2", 45, "our revocation list of its issuer has expired")
    assert "out of date: the devices of its authority are refused" in gw.text()
    write_crl(gw, ours(gw), lost, days=5)
    gw.ctl("reload")
    assert "a revocation list is soon out of date" in gw.text()
    assert live.fence() == []
    enters(gw, device)


def test_stale_list_warn(gateway):
    gw = gateway(start=False)
    device, lost = gw.enroll("board"), gw.enroll("lost")
    gw.write_conf(tls={"crl": write_crl(gw, ours(gw), lost, days=-1), "crl_policy": "warn"})
    gw.start()
    assert "out of date, and still used" in gw.text()
    enters(gw, device)
    refused(gw, lost, "1.2", 44, "is on the revocation list")


def test_list_of_one_authority_only(gateway):
    gw = gateway(start=False)
    outside = Authority("Outside CA")
    lost = outside.issue(gw.folder, "lost", "lost")
    good = outside.issue(gw.folder, "good", "good")
    both = gw.path("both.crt")
    with open(both, "wb") as f:
        for authority in (ours(gw), outside):
            f.write(authority.cert.public_bytes(serialization.Encoding.PEM))
    gw.write_conf(admission="ca", tls={"ca": both, "crl": write_crl(gw, outside, lost)})
    own = gw.enroll("own")
    gw.start()
    enters(gw, own)
    enters(gw, good)
    refused(gw, lost, "1.2", 44, "is on the revocation list")
    # Under this admission the unknown are let in, and can be locked out by name.
    stranger(gw, identity="good", kind="issued")
    with gw.client(good, V5) as c:
        gw.ctl("revoke", "good")
        c.expect_closed(0x98)
    refused(gw, good, "1.2", 44, "is revoked")
