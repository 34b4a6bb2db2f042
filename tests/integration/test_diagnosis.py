# SPDX-License-Identifier: BSD-2-Clause
"""
Why was it refused? One row for each cause: a real client fails in that way,
from a loopback address of its own, and `gatewayctl failures` must name the
cause, the device where it can be known, and nothing else. Scans and what is as
it should be are no failures: the story of `gatewayctl diagnose` names them, and
`failures` must not.

The table of causes is the gateway's own, src/diagnose/causes.def: a cause
without a row is a failure, unless UNPROVOKED says why it cannot be had here.
"""
import collections
import concurrent.futures
import datetime
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import ssl
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lib import certs, config, wire
from lib.attempt import (ALERT, HANDSHAKE, ECDSA_SUITES, RSA_ONLY_SUITES, Attempt, closed, hello,
                         p256_extensions, record, reset)
from lib.certs import DAY, Authority
from lib.fake_broker import FakeBroker
from lib.gateway import GATEWAYCTL
from lib.process import Process
from lib.wait import PATIENCE, until
from lib.wire import V5, Will
from test_admission import write_crl
from test_arduino_files import ARDUINO_FILES, CC, HERE, compiles
from test_tls import ECDSA_SHA256, der_item, ours, sequence, twin

CAUSES_FILE = os.path.join(HERE, "..", "..", "src", "diagnose", "causes.def")
NOT_RUNNING, USAGE = 3, 2

# What no test here can bring about, and why.
UNPROVOKED = {
    "tls-on-plain-port": "the gateway has no plain port",
    "client-only-old-tls": "TLS 1.2 is the least that can be configured: such a client meets "
                           "tls-version-too-old first",
    "crl-missing": "an authority without a list is trusted without one",
    "device-enrolment-ended": "the register has no dates but those of the certificates, whose end "
                              "is device-certificate-expired",
    "network-lost": "needs a network that loses packets; loopback loses none",
    "gateway-fault": "needs a gateway without memory or disk",
    "unexplained": "what is known how to provoke is explained",
    "nothing-wrong": "is no failure; test_diagnose_a_healthy_device asks for it",
}

Row = collections.namedtuple("Row", "name cause kind run others says slow board")
ROWS = {}


def row(cause, kind="usual", others=(), says="", slow=False, board=False):
    """
    A way to fail, of a gateway of that kind. The function returns the name of
    the device that must be named, or None. others: what belongs to the story
    too; says: a pattern in the sentence.
    """
    def take(run):
        ROWS[run.__name__] = Row(run.__name__, cause, kind, run, set(others), says, slow, board)
        return run
    return take


def causes():
    """id -> class."""
    with open(CAUSES_FILE) as f:
        return dict(re.findall(r'^CAUSE\(\w+, "([a-z0-9-]+)", \w+, (\w+)', f.read(), re.M))


def is_listed(cause):
    """By `failures`."""
    return causes()[cause] in ("FAILURE", "WARNING")


# ---- gateways --------------------------------------------------------------------

LABELLED = {"name": "labelled", "match": {"group": "labelled"},
            "publish": (config.rule("Home", "rooms/${label.room}"),)}
USUAL = {"limits": {"handshake_timeout": "10s", "connect_timeout": "2s", "keepalive_max": 600,
                    "packet_size": 65536},
         "maps": (LABELLED,) + config.MAPS}


def leaf(gw, ca=None, start=None, end=None, eku_critical=False, sign=None):
    """Another certificate for the gateway in the place of its own."""
    ca, now = ca or ours(gw), datetime.datetime.utcnow()
    pki = os.path.join(gw.state, "pki")
    with open(os.path.join(pki, "gateway.key"), "rb") as f:
        key = serialization.load_pem_private_key(f.read(), None)
    builder = (x509.CertificateBuilder()
               .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]))
               .issuer_name(ca.cert.subject).public_key(key.public_key())
               .not_valid_before(start or datetime.datetime(1970, 1, 1))
               .not_valid_after(end or now + 365 * DAY)
               .add_extension(x509.BasicConstraints(False, None), True)
               .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
                              eku_critical)
               .add_extension(x509.SubjectAlternativeName(
                   [x509.DNSName("localhost"), x509.DNSName("127.0.0.1")]), False))
    der = (sign or usual_signature)(builder, ca.key)
    with open(os.path.join(pki, "gateway.crt"), "w") as f:
        f.write(ssl.DER_cert_to_PEM_cert(der))
        if ca.cert.issuer != ca.cert.subject:
            f.write(ca.cert.public_bytes(serialization.Encoding.PEM).decode())


def usual_signature(builder, key):
    return builder.serial_number(x509.random_serial_number()).sign(key, hashes.SHA256()) \
        .public_bytes(serialization.Encoding.DER)


P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551


def short_signature_of(builder, key):
    """
    One signature in 65,536 has two short numbers. The first depends on the
    nonce alone, so it is searched once, and the second by the serial number.
    """
    secret = key.private_numbers().private_value
    nonce = r = P256_ORDER
    while r >> 248:
        nonce = ec.generate_private_key(ec.SECP256R1())
        r = nonce.public_key().public_numbers().x % P256_ORDER
    inverse = pow(nonce.private_numbers().private_value, -1, P256_ORDER)
    s = P256_ORDER
    while s >> 248:
        tbs = builder.serial_number(x509.random_serial_number()).sign(
            key, hashes.SHA256()).tbs_certificate_bytes
        digest = int.from_bytes(hashlib.sha256(tbs).digest(), "big")
        s = inverse * (digest + r * secret) % P256_ORDER
    return sequence(tbs + ECDSA_SHA256 + der_item(3, b"\0" + utils.encode_dss_signature(r, s)))


def with_leaf(gw, **kw):
    leaf(gw, **kw)
    gw.broker.start()
    gw.start()


def with_fake_broker(answer):
    def start(gw):
        gw.fake = FakeBroker(gw.broker.socket, answer)
        gw.start()
    return start


def start_open(gw):
    gw.broker.start()
    gw.start()


def start_without_broker(gw):
    gw.start()


def start_with_authorities(gw):
    """Trusts one more CA, which has expired."""
    gw.expired_ca = Authority("Expired CA")
    now = datetime.datetime.utcnow()
    key, name = gw.expired_ca.key, gw.expired_ca.cert.subject
    gw.expired_ca.cert = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - 99 * DAY).not_valid_after(now - DAY)
        .add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256()))
    both = gw.path("both.crt")
    with open(both, "wb") as f:
        for authority in (ours(gw), gw.expired_ca):
            f.write(authority.cert.public_bytes(serialization.Encoding.PEM))
    gw.write_conf(tls={"ca": both})
    start_open(gw)


def make_intermediate(gw):
    made = ours(gw).issue(gw.folder, "middle", "Middle CA", ca=True, usage=None)
    with open(made.cert, "rb") as c, open(made.key, "rb") as k:
        gw.middle = Authority(cert=x509.load_pem_x509_certificate(c.read()),
                              key=serialization.load_pem_private_key(k.read(), None))
    return made


def start_behind_intermediate(gw):
    """Its own certificate comes from an intermediate of the CA."""
    make_intermediate(gw)
    with_leaf(gw, ca=gw.middle)


def start_with_revoked_authority(gw):
    gw.write_conf(tls={"crl": write_crl(gw, ours(gw), make_intermediate(gw))})
    start_open(gw)


def with_p384_key(gw):
    """A key that boards, which know P-256 alone, can do nothing with."""
    with open(os.path.join(gw.state, "pki", "gateway.key"), "wb") as f:
        f.write(ec.generate_private_key(ec.SECP384R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
    with_leaf(gw)


def start_with_stale_list(gw):
    gw.lost = gw.enroll("lost")
    gw.write_conf(tls={"crl": write_crl(gw, ours(gw), gw.lost, days=-1)})
    start_open(gw)


CONNACK_OK = b"\x20\x02\x00\x00"
BROKER_CONF = dict(USUAL, upstream={"connect_timeout": "500ms"})
NORMAL_START = datetime.datetime.utcnow() - DAY

KINDS = {  # name: (configuration, how it is started)
    "usual": (USUAL, start_open),
    "open": (dict(USUAL, admission="ca"), start_open),
    "tls-1.3": (dict(USUAL, tls={"min_version": "1.3"}), start_open),
    "client-id": (dict(USUAL, upstream={"client_id": "${identity}/${client_id}"}), start_open),
    "few": (dict(USUAL, limits=dict(USUAL["limits"], connections_per_address=3)), start_open),
    "dates": (USUAL, lambda gw: with_leaf(gw, start=NORMAL_START)),
    "ended": (USUAL, lambda gw: with_leaf(gw, end=NORMAL_START)),
    "critical": (USUAL, lambda gw: with_leaf(gw, eku_critical=True)),
    "short": (USUAL, lambda gw: with_leaf(gw, sign=short_signature_of)),
    "replaced": (USUAL, start_open),
    "register": (USUAL, start_open),
    "authorities": (USUAL, start_with_authorities),
    "intermediate": (USUAL, start_behind_intermediate),
    "list": (USUAL, start_with_stale_list),
    "authority-revoked": (USUAL, start_with_revoked_authority),
    "p384": (USUAL, with_p384_key),
    "no-broker": (USUAL, start_without_broker),
    "broker-mute": (BROKER_CONF, with_fake_broker(lambda n: b"")),
    "broker-refuses": (BROKER_CONF, with_fake_broker(lambda n: b"\x20\x02\x00\x05")),
    "broker-closes": (BROKER_CONF, with_fake_broker(lambda n: CONNACK_OK if n == 0 else None)),
    "broker-babbles": (BROKER_CONF, with_fake_broker(lambda n: b"\xd0\x00")),
}


@pytest.fixture(scope="module")
def kinds(module_gateway):
    """kind -> gateway, made when the first row needs it."""
    made = {}

    def get(kind):
        if kind not in made:
            conf, start = KINDS[kind]
            made[kind] = module_gateway(conf=conf, start=False, start_broker=False)
            start(made[kind])
        return made[kind]

    yield get
    for gw in made.values():
        if hasattr(gw, "fake"):
            gw.fake.close()


@pytest.fixture(scope="module")
def bear(pki, tmp_path_factory):
    """The board, compiled with the CA that all these gateways have; None without BearSSL."""
    if not os.access(ARDUINO_FILES, os.X_OK) or shutil.which(CC[0]) is None or not compiles(
            CC, "#include <bearssl.h>\n", "-xc", "-fsyntax-only"):
        return None
    folder = str(tmp_path_factory.mktemp("bear"))
    device = Authority.load(os.path.join(pki, "pki")).issue(folder, "any", "any")
    for command in (
            [ARDUINO_FILES, os.path.join(pki, "pki"), device.cert, "any", "localhost", "1", folder],
            CC + ["-std=gnu11", "-Wall", "-Werror", "-I", folder, "-o",
                  os.path.join(folder, "bear"), os.path.join(HERE, "bear_client.c"),
                  "-lbearssl"]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=4 * PATIENCE)
        assert done.returncode == 0, done.stderr
    return os.path.join(folder, "bear")


def address_of(name):
    """An address for each row: their stories must not mix."""
    number = sorted(ROWS).index(name)
    return "127.20.%d.%d" % (number // 200, number % 200 + 1)


def run(one, kinds, bear):
    at = Attempt(kinds(one.kind), address_of(one.name), bear)
    at.held = []
    return at, one.run(at)


@pytest.fixture(scope="module", autouse=True)
def slow(kinds, bear, request):
    """The rows that wait for a deadline of the gateway wait side by side, from the start."""
    chosen = {item.callspec.params.get("name") for item in request.session.items
              if hasattr(item, "callspec")}
    rows = [r for r in ROWS.values()
            if r.slow and r.name in chosen and (bear is not None or not r.board)]
    for one in rows:
        kinds(one.kind)  # not from several threads
    with concurrent.futures.ThreadPoolExecutor(len(rows) + 1) as pool:
        yield {one.name: pool.submit(run, one, kinds, bear) for one in rows}


# ---- not TLS at all --------------------------------------------------------------

@row("plain-mqtt-on-tls-port", says="speaks plain MQTT")
def plain_mqtt(at):
    at.mosquitto()


@row("plain-mqtt-on-tls-port")
def plain_mqtt_3_1(at):
    at.send(wire.connect(3, "x"))


@row("http-on-mqtt-port")
def http(at):
    at.send(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")


@row("http-proxy-request")
def proxy(at):
    at.send(b"CONNECT example.org:443 HTTP/1.1\r\n\r\n")


@row("ssl-too-old")
def ssl_2(at):
    at.send(b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(37))


@row("other-protocol", says="SSH")
def ssh(at):
    at.send(b"SSH-2.0-OpenSSH_9.0\r\n")


@row("other-protocol")
def noise(at):
    at.send(bytes(range(200, 256)) * 4)


@row("closed-without-a-word")
def scan(at):
    at.send_and_leave()


@row("closed-without-a-word")
def scan_with_reset(at):
    reset(at.raw())


@row("silent-client", slow=True)
def silent(at):
    at.send()


@row("silent-client", slow=True, board=True)
def silent_board(at):
    device = at.gw.enroll()
    assert at.board("-x", "no-hello", device=device, ending="open")["closed"] == 1


@row("record-too-long")
def long_record(at):
    at.send(b"\x16\x03\x01\xff\xff" + bytes(300))


@row("tls-out-of-place", says="alert")
def alert_first(at):
    at.send(record(ALERT, b"\x02\x50"))


@row("tls-out-of-place", says="data")
def data_first(at):
    at.send(record(23, b"ab"))


@row("hello-cut-short")
def half_hello(at):
    at.send_and_leave(at.openssl_hello()[:60])


@row("hello-cut-short", slow=True)
def half_hello_and_silence(at):
    at.send(at.openssl_hello()[:60])


# ---- hello -----------------------------------------------------------------------

@row("tls-version-too-old", "tls-1.3", says="1.2", board=True)
def board_at_tls_1_3_gateway(at):
    at.board_fails(326, device=at.gw.enroll())


@row("tls-version-too-old")
def tls_1_1(at):
    at.s_client("-tls1_1", "-cipher", "ALL:@SECLEVEL=0")


@row("wifi-module-tls")
def wifi_module(at):
    at.send(hello(RSA_ONLY_SUITES, extensions=((13, vector_of_signatures(0x0401, 0x0201)),)))


def vector_of_signatures(*numbers):
    body = b"".join(n.to_bytes(2, "big") for n in numbers)
    return len(body).to_bytes(2, "big") + body


@row("no-common-signature-algorithm", says="EC P-256")
def rsa_signatures(at):
    at.s_client("-tls1_3", "-sigalgs", "RSA-PSS+SHA256")


@row("client-suites-unsuitable", board=True)
def rsa_client(at):
    at.board_fails(296, "-x", "rsa-suites", device=at.gw.enroll())


@row("client-suites-unsuitable")
def suite_of_a_scan(at):
    """The gateway has no fault, and this is no board with a WiFi module either."""
    at.s_client("-tls1_2", "-cipher", "AES128-SHA")


@row("client-suites-unsuitable")
def curve_of_a_scan(at):
    at.s_client("-tls1_3", "-groups", "P-521")


@row("gateway-key-unsuitable", "p384", says="EC P-384")
def key_of_another_curve(at):
    at.send(hello(ECDSA_SUITES, extensions=p256_extensions()))


@row("handshake-too-large")
def endless_client_certificate(at):
    at.after_flight(record(HANDSHAKE, b"\x0b\x03\x00\x00" + bytes(8000)))


@row("bad-fragment-length", says="9")
def bad_fragment(at):
    at.send(hello(ECDSA_SUITES, extensions=p256_extensions((1, b"\x09"))))


@row("hello-malformed")
def broken_hello(at):
    good = bytearray(hello(ECDSA_SUITES, extensions=p256_extensions()))
    good[5 + 4 + 2 + 32] = 200  # a session identifier longer than the hello
    at.send(bytes(good))


# ---- the client tells us ---------------------------------------------------------

@row("client-untrusted-ca")
def own_certificate_as_ca(at):
    device = at.gw.enroll()
    assert at.mosquitto(device=device, ca=device.cert)[0] != 0


@row("client-untrusted-ca")
def openssl_without_ca(at):
    at.s_client("-verify_return_error", "-tls1_2", ca=at.gw.enroll().cert)


@row("client-refused-name-or-date")
def openssl_checks_the_name(at):
    at.s_client("-verify_return_error", "-verify_hostname", "other.example")


@row("client-sees-us-expired")
def client_from_the_future(at):
    at.s_client("-verify_return_error", "-attime", "4102444800")


@row("client-refused-unspecified")
def certificate_unknown(at):
    at.after_flight(record(ALERT, b"\x02\x2e"))


@row("client-name-check-failed")
def mosquitto_checks_the_name(at):
    # The same host, by a name that is not in the certificate.
    assert at.mosquitto(device=at.gw.enroll(), host="127.1")[0] != 0


@row("client-rejects-our-signature")
def decrypt_error(at):
    at.after_flight(record(ALERT, b"\x02\x33"))


@row("client-refused-other", says="43")
def unsupported_certificate(at):
    at.after_flight(record(ALERT, b"\x02\x2b"))


# ---- the client certificate ------------------------------------------------------

@row("no-client-certificate", board=True)
def board_without_certificate(at):
    at.board_fails(296, "-n", device=at.gw.enroll())


@row("no-client-certificate")
def mosquitto_without_certificate(at):
    assert at.mosquitto("--cafile", at.gw.ca)[0] != 0


@row("not-a-certificate", board=True)
def csr_pasted(at):
    device = at.gw.enroll()
    with open(device.key, "rb") as f:
        key = serialization.load_pem_private_key(f.read(), None)
    csr = (x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device.name)]))
        .sign(key, hashes.SHA256()))
    path = at.gw.path(device.name + ".csr")
    with open(path, "wb") as f:
        f.write(csr.public_bytes(serialization.Encoding.PEM))
    at.board_fails(306, device=device, cert=path)


@row("device-certificate-foreign-ca", says="Another CA", board=True)
def foreign_ca(at):
    at.board_fails(304, device=Authority().issue(at.gw.folder, "foreign", "foreign"))


@row("device-certificate-old-ca")
def old_ca(at):
    ca = twin(ours(at.gw).cert)
    device = ca.issue(at.gw.folder, "old-ca", "old-ca", extensions=(
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key()), False),))
    at.refused(device)


@row("intermediate-missing", "intermediate", says="Middle CA")
def no_intermediate(at):
    at.refused(at.gw.middle.issue(at.gw.folder, "leaf", "below"))


@row("issuer-revoked", "authority-revoked", says="Middle CA")
def revoked_authority(at):
    """The device is enrolled and good; who issued its certificate is not any more."""
    device, both = at.gw.middle.issue(at.gw.folder, "leaf", "below"), at.gw.path("both.crt")
    with open(device.cert) as f, open(both, "w") as to:
        to.write(f.read())
        to.write(at.gw.middle.cert.public_bytes(serialization.Encoding.PEM).decode())
    at.refused(device._replace(cert=both))


@row("device-certificate-self-signed", says="lonely")
def self_signed(at):
    at.refused(certs.self_signed(at.gw.folder, "lonely", "lonely"))


@row("device-certificate-foreign-chain", says="2 certificates")
def foreign_chain(at):
    other = Authority()
    device = other.issue(at.gw.folder, "chain", "chain")
    with open(device.cert, "ab") as f:
        f.write(other.cert.public_bytes(serialization.Encoding.PEM))
    at.refused(device)


@row("device-certificate-expired", says="our clock says", board=True)
def expired(at):
    at.board_fails(301, device=reissued(at, not_before=-9 * DAY, not_after=-DAY))


@row("ca-expired", "authorities", says="Expired CA")
def expired_ca(at):
    at.refused(at.gw.expired_ca.issue(at.gw.folder, "x", "late"))


@row("device-certificate-not-yet-valid", says="our own clock", board=True)
def not_yet_valid(at):
    at.board_fails(298, device=reissued(at, not_before=DAY, not_after=9 * DAY))


@row("ca-certificate-pasted", board=True)
def ca_pasted(at):
    at.board_fails(299, device=at.gw.enroll(), cert=at.gw.ca)


@row("gateway-certificate-pasted", board=True)
def gateway_pasted(at):
    at.board_fails(299, device=at.gw.enroll(),
                   cert=os.path.join(at.gw.state, "pki", "gateway.crt"))


@row("device-certificate-wrong-purpose", board=True)
def for_servers(at):
    at.board_fails(299, device=ours(at.gw).issue(at.gw.folder, "server", "server",
                                                 usage=ExtendedKeyUsageOID.SERVER_AUTH))


@row("device-certificate-too-weak", says="RSA")
def weak(at):
    device = ours(at.gw).issue(at.gw.folder, "weak", "weak",
                               key=rsa.generate_private_key(65537, 1024))
    context = at.context()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(device.cert, device.key)
    at.refused(context=context)


@row("device-certificate-damaged", board=True)
def same_name_other_key(at):
    at.board_fails(307, device=twin(ours(at.gw).cert).issue(at.gw.folder, "twin", "twin"))


@row("wrong-key-in-chip", board=True)
def wrong_key(at):
    device = at.gw.enroll()
    at.board_fails(307, device=device, key=at.gw.enroll().key)
    return device.name


@row("device-key-wrong-curve", "open", says="P-521")
def wrong_curve(at):
    at.refused(ours(at.gw).issue(at.gw.folder, "curve", "curve",
                                 key=ec.generate_private_key(ec.SECP521R1())))


@row("device-revoked", board=True)
def revoked(at):
    device = at.gw.enroll()
    at.gw.ctl("revoke", device.name)
    at.board_fails(300, device=device)
    return device.name


@row("device-not-registered", board=True)
def not_registered(at):
    at.board_fails(302, device=ours(at.gw).issue(at.gw.folder, "new", "newcomer"))
    return "newcomer"


@row("device-identity-unusable", "open")
def unusable_name(at):
    at.refused(ours(at.gw).issue(at.gw.folder, "slash", "a/b"))


@row("register-unreadable", "register")
def broken_register(at):
    device = at.gw.enroll()
    with sqlite3.connect(os.path.join(at.gw.state, "register.db")) as db:
        tables = [r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        db.execute("ALTER TABLE %s RENAME TO gone" % next(t for t in tables if "device" in t))
    at.refused(device)


@row("crl-expired", "list")
def stale_list(at):
    at.refused(at.gw.enroll())


@row("device-certificate-refused")
def critical_extension(at):
    at.refused(ours(at.gw).issue(at.gw.folder, "critical", "critical", extensions=(
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\0"), True),)))


def reissued(at, name=None, **how):
    """An enrolled device with another certificate for its key."""
    device = at.gw.enroll(name)
    with open(device.key, "rb") as f:
        key = serialization.load_pem_private_key(f.read(), None)
    return ours(at.gw).issue(at.gw.folder, device.name + "-again", device.name, key=key, **how)


# ---- silence ---------------------------------------------------------------------

@row("name-mismatch", says="other.local", board=True)
def other_name(at):
    at.board_fails(56, device=at.gw.enroll(), name="other.local")


@row("name-mismatch", says="other.local", slow=True, board=True)
def other_name_and_silence(at):
    device = at.gw.enroll()
    assert at.board(device=device, name="other.local", ending="open")["closed"] == 1


@row("gateway-certificate-unsuitable", "critical", says="critical", board=True)
def critical_usage(at):
    at.board_fails(57, device=at.gw.enroll())


@row("gateway-certificate-expired", "ended", board=True)
def gateway_expired(at):
    at.board_fails(54, device=at.gw.enroll())


@row("gateway-signature-short", "short", board=True)
def short_signature(at):
    # Software can check it: this board lacks the CA, which looks the same.
    at.board_fails(62, "-x", "no-anchor", device=at.gw.enroll())


@row("gateway-ca-replaced", "replaced", board=True)
def ca_replaced(at):
    device = at.gw.enroll()
    at.board_works(device=device)
    new, pki = Authority("New CA"), os.path.join(at.gw.state, "pki")
    with open(os.path.join(pki, "ca.crt"), "wb") as f:
        f.write(new.cert.public_bytes(serialization.Encoding.PEM))
    leaf(at.gw, ca=new)
    at.gw.ctl("reload")
    at.board_fails(62, device=device)


@row("device-lacks-ca", board=True)
def lacks_ca(at):
    at.board_fails(62, "-x", "no-anchor", device=at.gw.enroll())


@row("device-lacks-ca", board=True)
def lacks_ca_and_resets(at):
    at.board_fails(62, "-x", "no-anchor", device=at.gw.enroll(), ending="reset")


@row("device-lacks-ca", board=True)
def lacks_ca_with_old_library(at):
    at.board_fails(62, "-x", "no-anchor", "-x", "old-library", device=at.gw.enroll())


@row("device-lacks-ca", slow=True, board=True)
def lacks_ca_and_silence(at):
    device = at.gw.enroll()
    said = at.board("-x", "no-anchor", device=device, ending="open")
    assert (said["tls_error"], said["closed"]) == (62, 1)


@row("device-lacks-ca-or-time", "dates", board=True)
def lacks_ca_or_time(at):
    at.board_fails(54, "-t", "0", device=at.gw.enroll())


@row("device-lost-time", "dates", board=True)
def lost_time(at):
    device = at.gw.enroll()
    at.board_works(device=device)
    at.board_fails(54, "-t", "0", device=device)


@row("device-perhaps-cannot-sign", others=("refused-by-chance",), board=True)
def cannot_sign_short(at):
    device = reissued(at)
    at.board_works(device=device)
    for _ in range(2):
        at.board_fails(26, "-x", "no-sign", device=device)


@row("device-forgot-ca", others=("refused-by-chance",), board=True)
def forgot_ca(at):
    device = at.gw.enroll()
    at.board_works(device=device)
    for _ in range(2):
        at.board_fails(62, "-x", "no-anchor", device=device)


@row("refused-by-chance", board=True)
def refused_once(at):
    device = at.gw.enroll()
    at.board_works(device=device)
    at.board_fails(62, "-x", "no-anchor", device=device)


@row("device-cannot-sign", slow=True, board=True)
def cannot_sign(at):
    """
    As on the board: the socket stays open until the gateway closes. The first
    record of 512 bytes, which is sent before the chip is asked, must hold the
    whole certificate and be filled by it and the key exchange.
    """
    bare = x509.load_pem_x509_certificate(open(reissued(at).cert, "rb").read())
    filler = bytes(490 - 20 - len(bare.public_bytes(serialization.Encoding.DER)))
    device = reissued(at, extensions=(
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), filler), False),))
    said = at.board("-x", "no-sign", device=device, ending="open")
    assert (said["tls_error"], said["closed"]) == (26, 1)
    return device.name


@row("client-left")
def client_left(at):
    at.send_and_leave(at.openssl_hello())


@row("handshake-stalled", slow=True)
def stalled(at):
    at.after_flight(b"")


# ---- after the handshake ---------------------------------------------------------

@row("connect-does-not-fit", board=True)
def connect_too_long(at):
    device = at.gw.enroll()
    assert at.board("-x", "connect-lost", device=device)["mqtt_state"] == -1
    return device.name


@row("left-before-connect", says="test of TLS")
def only_a_handshake(at):
    device = at.gw.enroll()
    at.s_client("-tls1_2", device=device)
    return device.name


@row("connack-not-seen", others=("lost-in-session",), slow=True, board=True)
def connack_not_seen(at):
    """A board whose sketch waits as long as PubSubClient does."""
    device = at.gw.enroll()
    for i in range(3):
        at.board("-x", "cut-connect", device=device)
        if i < 2:
            time.sleep(14)
    return device.name


@row("lost-in-session", board=True)
def lost_in_session(at):
    device = at.gw.enroll()
    at.board("-x", "cut-connect", device=device)
    return device.name


@row("record-damaged")
def damaged_record(at):
    device = at.gw.enroll()
    c = at.mqtt(device)
    c.connect()
    os.write(c.sock.fileno(), record(23, os.urandom(60)))
    closed(c)
    return device.name


@row("renegotiation-refused")
def renegotiation(at):
    device = at.gw.enroll()
    at.s_client("-tls1_2", device=device, sent="R\n")
    return device.name


# ---- MQTT ------------------------------------------------------------------------

def one_packet(at, *sent, version=wire.V311):
    """A device that says only this behind the handshake."""
    device = at.gw.enroll()
    c = at.mqtt(device, version)
    c.send(*sent)
    closed(c)
    return device.name


@row("connect-missing", slow=True, board=True)
def connect_missing(at):
    device = at.gw.enroll()
    at.board("-x", "no-connect", device=device, ending="open")
    return device.name


@row("connect-not-first")
def ping_first(at):
    return one_packet(at, wire.PING)


@row("connect-not-first")
def http_over_tls(at):
    return one_packet(at, b"GET / HTTP/1.1\r\n\r\n")


@row("connect-malformed")
def reserved_flag(at):
    bad = bytearray(wire.connect(4, "x"))
    bad[9] |= 1  # the connect flags
    return one_packet(at, bytes(bad))


@row("protocol-level-unknown", says="level 6")
def level_6(at):
    return one_packet(at, wire.connect(6, "x"))


@row("client-identifier-refused", "client-id")
def bad_client_id(at):
    return one_packet(at, wire.connect(4, "a+b"))


@row("client-identifier-refused")
def no_client_id(at):
    return one_packet(at, wire.connect(4, "", clean=False))


@row("keepalive-too-long")
def no_keepalive(at):
    return one_packet(at, wire.connect(4, "x", keepalive=0))


@row("topic-rules-unusable")
def no_label(at):
    device = at.gw.enroll(None, "--group", "labelled")
    c = at.mqtt(device)
    c.connect(code=5)
    closed(c)
    return device.name


@row("will-denied", says="elsewhere")
def denied_will(at):
    return one_packet(at, wire.connect(4, "x", will=Will("elsewhere", b"")))


def session(at, act, **kw):
    """A device that is let in, and then does that."""
    device = at.gw.enroll()
    c = at.mqtt(device, **kw)
    c.connect(client_id="x")
    act(c)
    return device.name


@row("publish-denied", says='"elsewhere"')
def denied_publish(at):
    def act(c):
        c.publish("elsewhere", "x", 1)
        c.disconnect()
    return session(at, act)


@row("publish-denied", says='"elsewhere"')
def denied_publish_and_goodbye(at):
    """As mosquitto_pub does it: both packets come together."""
    return session(at, lambda c: c.send(wire.publish(4, "elsewhere", "x") + wire.disconnect()))


@row("subscribe-denied", says='"nowhere/x"')
def denied_subscribe(at):
    def act(c):
        c.subscribe("nowhere/x", codes=[0x80])
        c.disconnect()
    return session(at, act)


@row("keepalive-timeout", says="keepalive of 1 s")
def keepalive_timeout(at):
    device = at.gw.enroll()
    c = at.mqtt(device)
    c.connect(keepalive=1)
    closed(c)
    return device.name


@row("takeover-loop", others=("taken-over",))
def takeover_loop(at):
    device = at.gw.enroll()
    first = Attempt(at.gw, "127.21" + at.address[len("127.20"):])
    older = None
    for board in (first, at, at, at):
        c = board.mqtt(device)
        c.connect()
        if older is not None:
            closed(older)
        older = c
    at.held.append(older)
    return device.name


@row("reconnect-loop", others=("taken-over",))
def reconnect_loop(at):
    """One board that restarts and restarts."""
    device = at.gw.enroll()
    for _ in range(6):
        c = at.mqtt(device)
        c.connect()
        at.held.append(c)
    return device.name


@row("taken-over")
def taken_over(at):
    device = at.gw.enroll()
    for _ in range(2):
        c = at.mqtt(device)
        c.connect()
        at.held.append(c)
    return device.name


@row("packet-too-large")
def too_large(at):
    def act(c):
        c.send(wire.publish(4, "Home", bytes(70000)))
        closed(c)
    return session(at, act)


@row("limit-hit", "few", says="connections_per_address")
def too_many(at):
    at.held += [at.raw() for _ in range(3)]
    until(lambda: at.gw.metrics()["connections"] == 3, "three connections to be held")
    at.send()


@row("packet-malformed")
def malformed(at):
    def act(c):
        c.send(b"\x00\x00")
        closed(c)
    return session(at, act)


@row("ended-by-gateway")
def disconnected(at):
    device = at.gw.enroll()
    c = at.mqtt(device)
    c.connect()
    at.gw.ctl("disconnect", device.name)
    closed(c)
    return device.name


# ---- the broker ------------------------------------------------------------------

def at_bad_broker(at):
    """A persistent session: it must not be held through an outage."""
    device = at.gw.enroll()
    c = at.mqtt(device)
    c.send(wire.connect(4, "x", clean=False), wire.PING)
    closed(c)
    return device.name


@row("broker-away", "no-broker")
def broker_away(at):
    return at_bad_broker(at)


@row("broker-silent", "broker-mute")
def broker_silent(at):
    return at_bad_broker(at)


@row("broker-refused", "broker-refuses")
def broker_refused(at):
    return at_bad_broker(at)


@row("broker-closed", "broker-closes")
def broker_closed(at):
    return at_bad_broker(at)


@row("broker-broke-rules", "broker-babbles")
def broker_malformed(at):
    return at_bad_broker(at)


# ---- warnings --------------------------------------------------------------------

@row("no-random-source", board=True)
def fixed_random(at):
    device = at.gw.enroll()
    for _ in range(2):
        at.board_works("-x", "fixed-random", device=device)
    return device.name


@row("version-1-certificate")
def version_1(at):
    device = at.gw.enroll()
    pki, made = os.path.join(at.gw.state, "pki"), at.gw.path(device.name + "-v1.crt")
    request = subprocess.run(["openssl", "req", "-new", "-key", device.key, "-subj",
                              "/CN=" + device.name], capture_output=True, check=True)
    subprocess.run(["openssl", "x509", "-req", "-CA", os.path.join(pki, "ca.crt"), "-CAkey",
                    os.path.join(pki, "ca.key"), "-set_serial", "77", "-days", "9", "-out", made],
                   input=request.stdout, capture_output=True, check=True)
    c = at.mqtt(device._replace(cert=made))
    c.connect()
    c.disconnect()
    return device.name


# ---- the table -------------------------------------------------------------------

def failures(gw, *words):
    return gw.ctl("failures", *words, output="json")["failures"]


def story(gw, subject):
    """What `diagnose` tells of it, without what went well."""
    result = gw.ctl("-o", "json", "diagnose", subject, status=None)
    if result.status != 0:
        return []
    return [e for e in json.loads(result.out)["story"] if e["cause"] != "nothing-wrong"]


def told(at, one):
    """What is said of the row's address, once its cause is among it."""
    ask = failures if is_listed(one.cause) else story
    try:
        until(lambda: one.cause in [f["cause"] for f in ask(at.gw, at.address)], "the cause")
    except AssertionError:
        raise AssertionError("wanted %s, got %s and the story %s" % (
            one.cause, json.dumps(failures(at.gw, at.address), indent=1),
            json.dumps(story(at.gw, at.address), indent=1)))
    return failures(at.gw, at.address), story(at.gw, at.address)


def check_told(at, one, device):
    listed, told_of_it = told(at, one)
    assert {e["cause"] for e in told_of_it} - one.others == {one.cause}, told_of_it
    wanted = {one.cause} if is_listed(one.cause) else set()
    assert {f["cause"] for f in listed} - one.others == wanted, listed
    (event,) = [e for e in told_of_it if e["cause"] == one.cause]
    assert re.search(one.says, event["sentence"]), event["sentence"]
    if device is not None:
        assert one.cause in [e["cause"] for e in story(at.gw, device)]
    for failure in [f for f in listed if f["cause"] == one.cause]:
        assert failure["address"] == at.address
        assert re.search(one.says, failure["sentence"]), failure["sentence"]
        assert failure["remedy"] and failure["decided_by"] and failure["count"] >= 1
        assert device is None or failure["identity"] == device, failure


@pytest.mark.parametrize("name", sorted(ROWS, key=lambda n: ROWS[n].slow))
def test_cause(name, kinds, bear, slow, record_property):
    one = ROWS[name]
    if one.board and bear is None:
        pytest.skip("no BearSSL")
    at, device = slow[name].result(10 * PATIENCE) if one.slow else run(one, kinds, bear)
    try:
        check_told(at, one, device)
    finally:
        for s in at.held:
            getattr(s, "cut", getattr(s, "close", None))()
    record_property("diagnosed", one.cause)
    record_property("causes", len(causes()))


def test_every_cause_has_a_row():
    provoked = {r.cause for r in ROWS.values()}
    assert not provoked & set(UNPROVOKED)
    assert provoked | set(UNPROVOKED) == set(causes())


# ---- the commands ----------------------------------------------------------------

@pytest.fixture
def refused_twice(kinds):
    """A device that was let in once, from an address of its own, and then locked out."""
    gw = kinds("usual")
    device = gw.enroll()
    number = int(device.name[3:])
    at = Attempt(gw, "127.30.%d.%d" % (number // 200, number % 200 + 1))
    c = at.mqtt(device)
    c.connect()
    c.disconnect()
    gw.ctl("revoke", device.name)
    for _ in range(2):
        at.refused(device)
    until(lambda: [f for f in failures(gw, at.address) if f["count"] == 2], "both to be counted")
    at.device = device
    return at


def test_failures_are_listed(refused_twice):
    at, gw, name = refused_twice, refused_twice.gw, refused_twice.device.name
    (failure,) = failures(gw, name)
    assert (failure["cause"], failure["identity"], failure["address"], failure["count"]) == (
        "device-revoked", name, at.address, 2)
    assert failure["first_at"] <= failure["last_at"] <= time.time() + 1
    newest = failures(gw)
    assert [f["last_at"] for f in newest] == sorted((f["last_at"] for f in newest), reverse=True)
    (one,) = failures(gw, "--limit", "1")
    assert one["last_at"] >= newest[0]["last_at"]
    head, line = gw.ctl("failures", at.address).out.splitlines()[:2]
    assert head.split() == ["LAST", "COUNT", "EVERY", "ADDRESS", "DEVICE", "CAUSE", "SENTENCE"]
    for word in (at.address, name, "device-revoked", failure["sentence"]):
        assert word in line
    assert failures(gw, "127.9.9.9") == [] and failures(gw, "nobody") == []
    assert "number" in gw.ctl("failures", "--limit", "x", status=USAGE).err


def test_diagnose_tells_the_story(refused_twice):
    at, gw, name = refused_twice, refused_twice.gw, refused_twice.device.name
    for subject in (at.address, name):
        told = gw.ctl("diagnose", subject, output="json")
        assert told["subject"] == subject and told["connected"] is False
        assert told["verdict"]["cause"] == "device-revoked"
        times = [event["at"] for event in told["story"]]
        assert times == sorted(times) and len(times) >= 2
        assert told["story"][-1]["cause"] == "device-revoked"
        text = gw.ctl("diagnose", subject).out
        for word in (subject, "not connected now", "device-revoked", told["verdict"]["remedy"],
                     told["verdict"]["codes"], "what to do"):
            assert word in text, text


def test_diagnose_a_healthy_device(kinds):
    gw = kinds("usual")
    device = gw.enroll()
    with gw.client(device, V5) as c:
        c.fence()
        until(lambda: gw.ctl("diagnose", device.name, status=None).status == 0, "an answer")
        told = gw.ctl("diagnose", device.name, output="json")
        assert told["verdict"]["cause"] == "nothing-wrong"
        assert "connected now" in gw.ctl("diagnose", device.name).out


def test_diagnose_one_that_has_said_nothing_yet(kinds):
    """Connected, and silent since CONNACK: that is known of the session, not of any event."""
    gw = kinds("usual")
    device = gw.enroll()
    assert "nothing was seen of it" in gw.ctl("diagnose", device.name, status=None).err
    with gw.client(device, V5):
        told = gw.ctl("diagnose", device.name, output="json")
        assert told["connected"] and told["story"] == []
        assert told["verdict"]["cause"] == "nothing-wrong"
        assert "connected now" in gw.ctl("diagnose", device.name).out


def test_story_of_an_address_has_all_that_failed(kinds):
    """Also of one that was never seen before, within one moment."""
    gw = kinds("usual")
    at = Attempt(gw, "127.31.0.9")
    at.send(wire.connect(4, "x"))
    at.send(b"SSH-2.0-x")
    at.send(b"GET / HTTP/1.1")
    until(lambda: [e["cause"] for e in gw.ctl("diagnose", at.address, output="json")["story"]] ==
          ["plain-mqtt-on-tls-port", "other-protocol", "http-on-mqtt-port"], "the whole story")


def watcher(gw, *options):
    log = gw.path("watch-%d" % next(gw.numbers))
    return Process("watch", [GATEWAYCTL, "-c", gw.conf_file, *options, "watch", "--failures"],
                   log)


def fail_until(at, seen, what):
    """A watcher takes a moment to be there: fail until it has seen it."""
    def attempt():
        at.send(wire.connect(4, "x"))
        return seen()
    until(attempt, what, pause=0.1)


def test_watch_shows_failures_live(kinds):
    gw = kinds("usual")
    at = Attempt(gw, "127.31.0.1")
    lines, people = watcher(gw, "-o", "json"), watcher(gw)
    fail_until(at, lambda: at.address in lines.text() and at.address in people.text(),
               "the failure to be shown")
    for line in lines.text().splitlines():
        shown = json.loads(line)
        assert shown["cause"] and shown["sentence"]
    assert any(json.loads(l)["address"] == at.address for l in lines.text().splitlines())
    assert re.search(r"^\d\d:\d\d:\d\d  127\.31\.0\.1  -  plain-mqtt-on-tls-port  .* speaks plain", people.text(),
                     re.M)
    for one, signum in ((lines, signal.SIGINT), (people, signal.SIGTERM)):
        assert one.stop(signum) == 0
        assert "gatewayctl:" not in one.text()


def test_watch_ends_with_the_gateway(gateway):
    gw = gateway()
    one = watcher(gw)
    fail_until(Attempt(gw, "127.31.0.2"), one.text, "the failure to be shown")
    gw.stop()
    assert one.wait() == NOT_RUNNING
    assert "gatewayd has ended" in one.text()


def test_without_the_gateway(gateway):
    gw = gateway(start=False, start_broker=False)
    for words in (("failures",), ("diagnose", "x"), ("watch", "--failures")):
        assert "is not running" in gw.ctl(*words, status=NOT_RUNNING).err
    assert "--failures" in gw.ctl("watch", status=USAGE).err
