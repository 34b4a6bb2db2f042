# SPDX-License-Identifier: BSD-2-Clause
"""
Who is refused, and how it is said: the alert that the device sees, the
sentence in the log, what gatewayctl keeps of it. And who is resumed.
"""
import datetime
import json
import os
import re
import socket
import ssl
import struct
import warnings

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from lib import certs, client, wire
from lib.certs import DAY, Authority
from lib.client import Client, Closed
from lib.gateway import Device
from lib.wait import PATIENCE, SCALE, until
from lib.wire import V5

ALERTS = {
    "SSLV3_ALERT_HANDSHAKE_FAILURE": 40, "SSLV3_ALERT_ILLEGAL_PARAMETER": 47, "SSLV3_ALERT_BAD_CERTIFICATE": 42,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": 43, "SSLV3_ALERT_CERTIFICATE_REVOKED": 44,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": 45, "SSLV3_ALERT_CERTIFICATE_UNKNOWN": 46,
    "TLSV1_ALERT_UNKNOWN_CA": 48, "TLSV1_ALERT_DECRYPT_ERROR": 51,
    "TLSV1_ALERT_PROTOCOL_VERSION": 70, "TLSV13_ALERT_CERTIFICATE_REQUIRED": 116,
}


@pytest.fixture(params=("1.2", "1.3"))
def tls(request):
    return request.param


def alert_of(gw, context):
    """The alert that ends a handshake; with TLS 1.3 the client reads it behind its own end."""
    try:
        with client.tls_socket(gw.port, context) as s:
            s.settimeout(PATIENCE)
            s.recv(1)
    except ssl.SSLError as e:
        return ALERTS.get(e.reason, e.reason)
    return None


def refusal(gw, attempt, sentence):
    """
    The log line of a refused attempt. No more than ten first ones a second are
    logged by each worker, so an attempt that was only counted is made again.
    """
    def logged():
        start = os.path.getsize(gw.log)
        attempt()
        try:
            return until(lambda: line_since(gw, start, sentence), "the line", 0.5 * SCALE)
        except AssertionError:
            return None
    line = until(logged, "a refusal that says: " + sentence)
    assert "address=127.0.0.1" in line, line
    return line


def line_since(gw, start, sentence):
    with open(gw.log, "rb") as f:
        f.seek(start)
        text = f.read().decode(errors="replace")
    found = [line for line in text.splitlines()
             if re.search("session: (device refused|refused again|stranger) ", line)]
    return next((line for line in found if re.search(sentence, line)), None)


def refused(gw, device, tls, alert, sentence):
    context = client.tls_context(gw.ca, device, tls)

    def attempt():
        before = gw.metrics()["handshakes_failed"]
        assert alert_of(gw, context) == alert
        # The alert goes out first, then it is counted.
        until(lambda: gw.metrics()["handshakes_failed"] == before + 1, "the handshake counted")

    return refusal(gw, attempt, sentence)


def ours(gw):
    return Authority.load(os.path.join(gw.state, "pki"))


# ---- bad certificates ------------------------------------------------------------

BAD = {  # name: (alert, sentence, device)
    "wrong-ca": (48, "bad.*was not issued by our CA.*Another CA",
                 lambda gw, d: Authority().issue(d, "x", "bad")),
    "ca-with-our-name": (51, "bad.*another CA with the name of ours",
                         lambda gw, d: twin(ours(gw).cert).issue(d, "x", "bad")),
    "self-signed": (48, "bad.*is self-signed", lambda gw, d: certs.self_signed(d, "x", "bad")),
    "expired": (45, "bad.*has expired.*our clock says",
                lambda gw, d: ours(gw).issue(d, "x", "bad", -9 * DAY, -1 * DAY)),
    "not-yet-valid": (42, "bad.*is not valid yet.*our clock says",
                      lambda gw, d: ours(gw).issue(d, "x", "bad", 1 * DAY, 9 * DAY)),
    "server-only": (43, "bad.*is not one for a client", lambda gw, d: ours(gw).issue(
        d, "x", "bad", usage=ExtendedKeyUsageOID.SERVER_AUTH)),
}


def twin(cert):
    """A CA with the name of another, which only its key tells apart."""
    key, name = certs.new_key(), cert.subject
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(cert.not_valid_before).not_valid_after(cert.not_valid_after)
            .add_extension(x509.BasicConstraints(True, 0), True).sign(key, hashes.SHA256()))
    return Authority(cert=made, key=key)


@pytest.mark.parametrize("case", BAD)
def test_bad_certificate(shared, tls, tmp_path, case):
    alert, sentence, make = BAD[case]
    refused(shared, make(shared, str(tmp_path)), tls, alert, sentence)
    assert shared.sessions("bad") == []


def test_no_certificate(shared, tls):
    refused(shared, None, tls, 40 if tls == "1.2" else 116, "presented no certificate")


def test_unknown_device(gateway, tls, tmp_path):
    """A certificate of our CA that nobody enrolled: refused, and listed as pending.
    A gateway of its own: of one address only a few strangers a minute are noted."""
    shared = gateway()
    name = "stranger-" + tls
    device = ours(shared).issue(str(tmp_path), "x", name)
    line = refused(shared, device, tls, 46, "not in the register; enrol it")
    assert "device=" + name in line
    until(lambda: name in [s["identity"] for s in shared.ctl(
        "devices", "--pending", output="json")["strangers"]], "the stranger to be listed")


def shown_failure(gw, name):
    result = gw.ctl("-o", "json", "devices", "show", name, status=None)
    if result.status != 0:
        return None
    shown = json.loads(result.out)
    return shown if shown.get("last_failure") else None


def test_revoked_device(shared, tls):
    device = shared.enroll()
    with shared.client(device, V5) as c:
        shared.ctl("revoke", device.name)
        c.expect_closed(0x98)
    line = refused(shared, device, tls, 44, "is revoked")
    assert "device=" + device.name in line
    shown = until(lambda: shown_failure(shared, device.name), "the failure to be kept")
    assert shown["state"] == "revoked" and "revoked" in shown["last_failure"]
    assert shown["last_address"] == "127.0.0.1"
    shared.ctl("reinstate", device.name)
    until(lambda: alert_of_session(shared, device), "the device to be let in")


def alert_of_session(gw, device):
    """True when a CONNECT is answered."""
    try:
        with gw.client(device):
            return True
    except (ssl.SSLError, Closed, ConnectionError):
        return False


def test_enrolled_name_with_another_key(shared, tls, tmp_path):
    name = shared.enroll().name
    device = ours(shared).issue(str(tmp_path), "x", name)
    line = refused(shared, device, tls, 46, "another key than the one enrolled")
    assert "device=" + name in line
    shown = until(lambda: shown_failure(shared, name), "the failure to be kept")
    assert "another key" in shown["last_failure"]


# ---- hostile names ---------------------------------------------------------------

PLACE = "PLACEHOLDER"


def forged(gw, folder, name, san=False):
    """A certificate of our CA with any bytes as its name, where no library would put them."""
    ca, key = ours(gw), certs.new_key()
    place = (PLACE * (len(name) // len(PLACE) + 1))[:len(name)]
    subject = "x" if san else place
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attribute = x509.NameAttribute(x509.NameOID.COMMON_NAME, subject, _validate=False)
    now = datetime.datetime.utcnow()
    builder = (x509.CertificateBuilder().subject_name(x509.Name([attribute]))
               .issuer_name(ca.cert.subject).public_key(key.public_key())
               .serial_number(x509.random_serial_number())
               .not_valid_before(now - DAY).not_valid_after(now + DAY)
               .add_extension(x509.BasicConstraints(False, None), True)
               .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False))
    if san:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(place)]), False)
    made = builder.sign(ca.key, hashes.SHA256())
    tag = 0x86 if san else 0x0c
    tbs = made.tbs_certificate_bytes
    assert tbs.count(der_item(tag, place.encode())) == 1
    tbs = tbs.replace(der_item(tag, place.encode()), der_item(tag, name))
    der = sequence(tbs + ECDSA_SHA256 + der_item(3, b"\0" + ca.key.sign(tbs, ec.ECDSA(hashes.SHA256()))))
    device = Device(repr(name[:20]), os.path.join(folder, "f.crt"), os.path.join(folder, "f.key"))
    with open(device.cert, "w") as f:
        f.write(ssl.DER_cert_to_PEM_cert(der))
    with open(device.key, "wb") as f:
        f.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                  serialization.NoEncryption()))
    return device


def der_item(tag, body):
    size = len(body)
    if size < 128:
        head = bytes([size])
    else:
        raw = size.to_bytes((size.bit_length() + 7) // 8, "big")
        head = bytes([128 | len(raw)]) + raw
    return bytes([tag]) + head + body


def sequence(body):
    return der_item(0x30, body)


ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")

HOSTILE = {
    "plus": b"+", "hash": b"#", "slash": b"a/b", "dollar": b"$SYS", "plus-inside": b"a+b",
    "NUL": b"good\0bad", "NUL-first": b"\0good", "newline": b"good\nbad", "escape": b"\x1b[2J",
    "DEL": b"a\x7f", "C1": b"a\xc2\x85b", "invalid": b"caf\xe9", "overlong": b"a\xc0\xaf",
    "surrogate": b"a\xed\xa0\x80", "64-KiB": b"a" * 65536, "513": b"a" * 513,
}


# OpenSSL's own client takes no certificate with these in its subject.
NO_SUBJECT = ("invalid", "overlong", "surrogate")


@pytest.fixture(scope="module")
def open_door(module_gateway):
    """Admission "ca": nothing but the name stands between these certificates and a session."""
    return module_gateway(conf={"admission": "ca"})


@pytest.mark.parametrize("name,san", [(name, san) for name in HOSTILE for san in (False, True)
                                      if san or name not in NO_SUBJECT])
def test_hostile_identity(open_door, tmp_path, name, san):
    gw = open_door
    context = client.tls_context(gw.ca, forged(gw, str(tmp_path), HOSTILE[name], san))
    connects = gw.metrics()["upstream_connects"]
    large = name == "64-KiB"

    def attempt():
        assert alert_of(gw, context) == (47 if large else 42)

    line = refusal(gw, attempt, "message that is too long" if large else
                   "may not be used as an identity|gives no usable identity")
    assert len(line) < 2000 and line.isprintable()
    until(lambda: gw.ctl("devices", output="json")["devices"] == [], "the last attempt to be gone")
    assert gw.metrics()["upstream_connects"] == connects


def test_good_identity_at_the_open_door(open_door, tmp_path):
    """The forge itself makes certificates that are let in."""
    with open_door.dial(forged(open_door, str(tmp_path), b"honest name \xc3\xa9")) as c:
        c.connect()
        c.disconnect()


# ---- not TLS, old TLS ------------------------------------------------------------

@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_1_1_is_refused(shared):
    context = client.tls_context(shared.ca, shared.enroll())
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    refusal(shared, lambda: alert_of(shared, context), "knows only older TLS than this gateway")
    assert alert_of(shared, context) == 70


def raw(gw, source=None):
    s = socket.socket()
    s.settimeout(PATIENCE)
    if source is not None:
        s.bind((source, 0))
    s.connect(("127.0.0.1", gw.port))
    return s


def ended(s):
    """The other side closes, whatever it says before."""
    try:
        while s.recv(4096):
            pass
    except ConnectionError:
        pass
    s.close()
    return True


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


NOT_TLS = {
    "mqtt-3.1.1": (wire.connect(4, "x"), "speaks plain MQTT to the encrypted port"),
    "mqtt-3.1": (wire.connect(3, "x"), "speaks plain MQTT to the encrypted port"),
    "mqtt-5.0": (wire.connect(5, "x"), "speaks plain MQTT to the encrypted port"),
    "http": (b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n", "a web client opened the MQTT port"),
    "proxy": (b"CONNECT example.org:443 HTTP/1.1\r\n\r\n", "as a web proxy"),
    "ssh": (b"SSH-2.0-OpenSSH_9.0\r\n", "an SSH client opened the MQTT port"),
    "random": (bytes(range(200, 256)) * 4, "what arrived is not TLS"),
    "zeros": (bytes(200), "what arrived is not TLS"),
    "huge-record": (b"\x16\x03\x01\xff\xff" + bytes(300), "a record is too long"),
    "alert-first": (b"\x15\x03\x03\x00\x02\x02\x50", ""),
    "data-first": (b"\x17\x03\x03\x00\x02ab", "does not belong here"),
}


@pytest.mark.parametrize("case", NOT_TLS)
def test_not_tls(shared, case):
    sent, sentence = NOT_TLS[case]

    def attempt():
        s = raw(shared)
        s.sendall(sent)
        assert ended(s)

    refusal(shared, attempt, sentence)


def hello(gw):
    """The first flight of a client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = client.tls_context(gw.ca, None)
    talk = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        talk.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("how", ("fin", "reset"))
@pytest.mark.parametrize("part", ("nothing", "one-byte", "half", "whole"))
def test_client_that_goes_in_mid_handshake(shared, part, how):
    flight = hello(shared)
    sent = {"nothing": 0, "one-byte": 1, "half": len(flight) // 2, "whole": len(flight)}[part]

    def attempt():
        s = raw(shared)
        s.sendall(flight[:sent])
        if part == "whole":
            assert s.recv(5)[0] == 22  # the answer has begun
        if how == "fin":
            s.shutdown(socket.SHUT_WR)
            assert ended(s)
        else:
            reset(s)

    # A reset overtakes what was not read yet.
    refusal(shared, attempt, "without a word" if sent == 0 else "broke off in the middle" if
            part == "whole" or how == "fin" else "without a word|broke off in the middle")
    until(lambda: shared.metrics()["connections"] == 0, "the connection to be gone")


def test_silence_meets_the_deadline(gateway):
    """The only test that waits: 10 s is the least that can be set."""
    gw = gateway(conf={"limits": {"handshake_timeout": "10s", "connect_timeout": "1s"}})
    start = os.path.getsize(gw.log)
    silent, half = raw(gw), raw(gw)
    half.sendall(hello(gw)[:100])
    # Meanwhile: TLS is done, but there is no CONNECT, or half a one.
    device = gw.enroll()
    for sent in (b"", wire.connect(V5, "x")[:-1]):
        with gw.dial(device, V5) as c:
            c.send(sent)
            c.expect_closed()
    assert gw.metrics()["connect_timed_out"] == 2
    assert ended(silent) and ended(half)
    until(lambda: line_since(gw, start, "not finished within limits.handshake_timeout"), "the line")
    assert gw.metrics()["handshakes_timed_out"] == 2
    until(lambda: gw.metrics()["connections"] == 0, "the connections to be gone")


# ---- resumption ------------------------------------------------------------------

def resumable(gw, device, tls, ticket=True):
    context = client.tls_context(gw.ca, device, tls)
    if not ticket:
        context.options |= ssl.OP_NO_TICKET
    return context


def connect(gw, context, session=None):
    c = Client(client.tls_socket(gw.port, context, session=session), V5)
    c.connect()
    return c


@pytest.mark.parametrize("tls,ticket", (("1.2", False), ("1.2", True), ("1.3", True)),
                         ids=("1.2-id", "1.2-ticket", "1.3-ticket"))
def test_resumption_across_workers(shared, tls, ticket):
    device = shared.enroll()
    context = resumable(shared, device, tls, ticket)
    with connect(shared, context) as c:
        session = c.sock.session
        assert not c.sock.session_reused
        c.disconnect()
    assert session.has_ticket == ticket
    before, workers = shared.metrics()["handshakes_resumed"], set()
    count = 0
    while workers != {0, 1}:
        count += 1
        assert count <= 64, "one worker got every connection, or does not resume"
        with connect(shared, context, session) as c:
            assert c.sock.session_reused
            live = shared.ctl("devices", "show", device.name, output="json")["sessions"]
            session = c.sock.session
            workers |= {s["worker"] for s in live if s["resumed"]}
            c.disconnect()
    assert shared.metrics()["handshakes_resumed"] == before + count


@pytest.mark.parametrize("tls,ticket", (("1.2", False), ("1.2", True), ("1.3", True)),
                         ids=("1.2-id", "1.2-ticket", "1.3-ticket"))
def test_no_resumption_after_revoke(shared, tls, ticket):
    device = shared.enroll()
    context = resumable(shared, device, tls, ticket)
    with connect(shared, context) as c:
        session = c.sock.session
        c.disconnect()
    shared.ctl("revoke", device.name)
    for _ in range(4):
        with pytest.raises((ssl.SSLError, Closed)):
            connect(shared, context, session)
    shared.ctl("reinstate", device.name)
    with connect(shared, context) as c:
        assert c.fence() == []


def test_resumption_of_another_device(shared):
    """A session of one device, offered with the certificate of another, is still the first's."""
    first, second = shared.enroll(), shared.enroll()
    context = resumable(shared, first, "1.2", False)
    with connect(shared, context) as c:
        session = c.sock.session
        c.disconnect()
    context.load_cert_chain(second.cert, second.key)
    with connect(shared, context, session) as c:
        assert c.sock.session_reused
        assert shared.ctl("devices", "show", first.name, output="json")["sessions"]
        assert not shared.ctl("devices", "show", second.name, output="json")["sessions"]


# ---- budgets ---------------------------------------------------------------------

def test_connections_per_address(gateway):
    gw = gateway(conf={"limits": {"connections_per_address": 3}})
    device = gw.enroll()
    held = [raw(gw) for _ in range(3)]
    until(lambda: gw.metrics()["connections"] == 3, "three connections to be held")
    assert ended(raw(gw))
    other = raw(gw, "127.0.0.2")
    until(lambda: gw.metrics()["connections"] == 4, "another address to be let in")
    assert gw.metrics()["connections_refused_address_limit"] == 1
    for s in held + [other]:
        s.close()
    until(lambda: alert_of_session(gw, device), "the place to be free again")


def test_connections_in_total(gateway):
    gw = gateway(conf={"limits": {"connections": 3}})
    device = gw.enroll()
    held = [raw(gw, "127.0.0.%d" % (i + 2)) for i in range(3)]
    until(lambda: gw.metrics()["connections"] == 3, "three connections to be held")
    assert ended(raw(gw))
    assert gw.metrics()["connections_refused_total_limit"] == 1
    for s in held:
        s.close()
    until(lambda: alert_of_session(gw, device), "the place to be free again")
