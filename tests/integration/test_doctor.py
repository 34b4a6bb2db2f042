# SPDX-License-Identifier: BSD-2-Clause
"""gatewayctl doctor beside a real daemon and a real broker: each breakage gives its fault."""
import datetime
import ipaddress
import json
import os
import shutil
import socket
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from lib import certs
from lib.broker import free_port
from lib.wait import until
from lib.wire import V5

DAY = datetime.timedelta(days=1)


def doctor(gw, *only):
    """status by identifier (the worst of each), the findings."""
    result = gw.ctl("-o", "json", "doctor", *only, status=None)
    found = json.loads(result.out)
    order = ["ok", "skipped", "warning", "fault"]
    worst = {}
    for row in found["checks"]:
        assert row["sentence"] and row["title"] and row["status"] in order
        assert row["status"] != "fault" or row.get("remedy") or row["id"] == "configuration"
        before = worst.get(row["id"], "ok")
        worst[row["id"]] = max(before, row["status"], key=order.index)
    assert found["counts"] == {s: sum(r["status"] == s for r in found["checks"]) for s in order}
    assert result.status == (1 if "fault" in worst.values() else 0)
    return worst, found["checks"]


def faults(gw, *only):
    return sorted(i for i, status in doctor(gw, *only)[0].items() if status == "fault")


def sentence(gw, ident, status="fault"):
    rows = doctor(gw, ident)[1]
    return next(r["sentence"] for r in rows if r["id"] == ident and r["status"] == status)


def gateway_certificate(gw, name="localhost", **kw):
    """Another certificate in the gateway's place."""
    pki = os.path.join(gw.state, "pki")
    authority = kw.pop("authority", None) or certs.Authority.load(pki)
    sans = kw.pop("sans", (x509.DNSName(name),))
    made = authority.issue(gw.folder, "new", name, sans=sans,
                           usage=kw.pop("usage", ExtendedKeyUsageOID.SERVER_AUTH), **kw)
    shutil.copy(made.cert, os.path.join(pki, "gateway.crt"))
    shutil.copy(made.key, os.path.join(pki, "gateway.key"))
    os.chmod(os.path.join(pki, "gateway.key"), 0o640)


# ---- healthy ---------------------------------------------------------------------

def test_healthy(gateway):
    gw = gateway()
    gw.enroll()
    worst, rows = doctor(gw)
    assert "fault" not in worst.values(), rows
    for ident in ("certificate.issuer", "ca.type", "files.register", "daemon.running",
                  "daemon.configuration", "daemon.socket", "network.ports", "broker.connection",
                  "devices.admission"):
        assert worst[ident] == "ok", rows
    assert any("mosquitto version" in r["sentence"] for r in rows if r["id"] == "broker.version")
    out = gw.ctl("doctor").out
    assert "faults 0" in out and "accepts a device's identity" in out


def test_own_session(gateway):
    gw = gateway()
    until(lambda: doctor(gw, "broker.session")[0] == {"broker.session": "ok"}, "the session")
    gw.broker.stop()
    # One cause, one fault: that of broker.connection.
    until(lambda: doctor(gw, "broker.session")[0] == {"broker.session": "skipped"}, "its end")
    assert "the broker is away" in sentence(gw, "broker.session", "skipped")


def test_another_with_our_name(gateway):
    """Whoever connects with uplink.client_id takes the session of the gateway."""
    gw = gateway(conf={"upstream": {"retry_min": "10ms", "retry_max": "50ms"}})

    def told():
        with gw.broker.client(client_id="gateway-gw", version=V5):
            pass
        rows = doctor(gw, "broker.session")[1]
        return rows[0]["status"] == "fault" and "in a row within seconds" in rows[0]["sentence"]

    until(told, "the other one to be suspected")
    assert "is another gateway running" in gw.text()


def test_refused_by_the_broker(gateway):
    """What is stored and then denied: the reason is in `spool`, in the log, and the doctor knows."""
    rule = {"device": "Home", "broker": "home/${identity}/telemetry", "delivery": "store"}
    gw = gateway(conf={"maps": ({"name": "all", "publish": (rule,)},)},
                 broker={"acl": "pattern readwrite home/%u/#\n"
                                "user mqtt-gateway\ntopic readwrite gateway/#\n",
                         "options": ["max_queued_messages 1000"]})
    device = gw.enroll()
    with gw.client(device) as c:
        for _ in range(3):
            c.publish("Home", "x", 1)
    until(lambda: gw.ctl("spool", output="json")["refused_broker"] == 3, "the refusals")
    spool = gw.ctl("spool", output="json")
    assert spool["refused_reasons"] == [{"code": 0x87, "reason": "not authorized", "count": 3}]
    table = gw.ctl("spool").out
    assert "THE BROKER SAYS" in table and "not authorized" in table
    lines = [line for line in gw.text().splitlines() if "does not take stored" in line]
    assert len(lines) == 1
    assert device.name in lines[0] and "home/%s/telemetry" % device.name in lines[0]
    assert "remedy=" in lines[0] and "not authorized" in lines[0]
    assert "has refused 3 stored messages" in sentence(gw, "spool.depth", "warning")
    status = gw.ctl("status").out
    assert "stored now" in status and "refused" in status


def test_clean_goodbye(gateway):
    gw = gateway()
    doctor(gw, "broker")
    # The broker reads it when it gets to it.
    until(lambda: "Received DISCONNECT from doctor-" in gw.broker.text(), "the goodbye")
    assert "as doctor-" in gw.broker.text()


def test_daemon_down(gateway):
    gw = gateway(start=False)
    worst, _ = doctor(gw)
    assert worst["daemon.running"] == "warning" and worst["daemon.configuration"] == "skipped"
    assert "fault" not in worst.values()


def test_yaml_and_usage(gateway):
    gw = gateway(start=False, start_broker=False)
    assert "id: clock.time" in gw.ctl("-o", "yaml", "doctor", "clock").out
    assert "no check nonsense" in gw.ctl("doctor", "nonsense", status=1).err
    gw.ctl("doctor", "a", "b", status=2)


# ---- the gateway's certificate -----------------------------------------------------

def expired(gw):
    gateway_certificate(gw, not_before=-10 * DAY, not_after=-DAY)


def not_yet(gw):
    gateway_certificate(gw, not_before=DAY)


def for_clients(gw):
    gateway_certificate(gw, usage=ExtendedKeyUsageOID.CLIENT_AUTH)


def critical_usage(gw):
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    gateway_certificate(gw, usage=None, extensions=((usage, True),))


def curve_384(gw):
    gateway_certificate(gw, key=ec.generate_private_key(ec.SECP384R1()))


def address_only(gw):
    gateway_certificate(gw, sans=(x509.DNSName("localhost"),
                                  x509.IPAddress(ipaddress.ip_address("127.0.0.1"))))


def ca_anew(gw):
    with open(os.path.join(gw.state, "pki", "ca.crt"), "rb") as f:
        name = x509.load_pem_x509_certificate(f.read()).subject
    cn = name.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)[0].value
    gateway_certificate(gw, authority=certs.Authority(cn))


def same_subject(gw):
    """As in the first request for help: one common name for CA and server."""
    authority = certs.Authority("192.0.2.7")
    made = certs.write(gw.folder, "own", authority.cert, authority.key, "own")
    shutil.copy(made.cert, os.path.join(gw.state, "pki", "ca.crt"))
    shutil.copy(made.key, os.path.join(gw.state, "pki", "ca.key"))
    os.chmod(os.path.join(gw.state, "pki", "ca.key"), 0o600)
    gateway_certificate(gw, "192.0.2.7", sans=(x509.DNSName("192.0.2.7"),))


def other_key(gw):
    made = certs.self_signed(gw.folder, "other", "other")
    shutil.copy(made.key, os.path.join(gw.state, "pki", "gateway.key"))
    os.chmod(os.path.join(gw.state, "pki", "gateway.key"), 0o640)


def open_key(gw):
    os.chmod(os.path.join(gw.state, "pki", "gateway.key"), 0o644)


def open_socket(gw):
    os.chmod(gw.path("control.sock"), 0o666)


def open_register(gw):
    os.chmod(os.path.join(gw.state, "register.db"), 0o666)


def broker_away(gw):
    gw.broker.stop()


@pytest.mark.parametrize("breaks, fault", [
    (expired, "certificate.dates"), (not_yet, "certificate.dates"),
    (for_clients, "certificate.usage"), (critical_usage, "certificate.extensions"),
    (curve_384, "certificate.type"),
    (address_only, "certificate.addresses"), (ca_anew, "certificate.issuer"),
    (same_subject, "certificate.issuer"), (other_key, "certificate.key"),
    (open_key, "certificate.key"), (open_socket, "daemon.socket"),
    (open_register, "files.register"), (broker_away, "broker.connection"),
], ids=lambda v: v if isinstance(v, str) else v.__name__)
def test_breakage(gateway, breaks, fault):
    gw = gateway()
    breaks(gw)
    assert faults(gw) == [fault]


# ---- the rest ----------------------------------------------------------------------

def test_certificate_by_openssl_req(gateway):
    """The seven mistakes: version 1, no names, by `openssl x509 -req`."""
    gw = gateway(start=False)
    pki = os.path.join(gw.state, "pki")
    csr = gw.path("csr")
    for argv in (["req", "-new", "-key", pki + "/gateway.key", "-subj", "/CN=192.0.2.7",
                  "-out", csr],
                 ["x509", "-req", "-in", csr, "-CA", pki + "/ca.crt", "-CAkey", pki + "/ca.key",
                  "-set_serial", "7", "-days", "365", "-out", pki + "/gateway.crt"]):
        subprocess.run(["openssl"] + argv, check=True, capture_output=True)
    worst, rows = doctor(gw, "certificate")
    assert worst["certificate.names"] == "warning"
    assert "192.0.2.7" in sentence(gw, "certificate.names", "warning")
    if any("version 1" in r["sentence"] for r in rows):  # OpenSSL 3.0 makes version 1
        assert worst["certificate.type"] == "warning"


def test_configuration_faults_are_listed(gateway):
    gw = gateway(start=False, start_broker=False)
    with open(gw.conf_file, "a") as f:
        f.write("limits = { connections = 0; };\nnonsense = 1;\n")
    worst, rows = doctor(gw)
    texts = [r["sentence"] for r in rows if r["status"] == "fault"]
    assert worst["configuration"] == "fault" and len(texts) >= 2
    assert worst["certificate.dates"] == "skipped"


def test_port_taken(gateway):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        gw = gateway(start=False, conf={"listeners": ({"address": "127.0.0.1", "port": port},)})
        assert faults(gw) == ["network.ports"]
        assert "Port %d is taken by" % port in sentence(gw, "network.ports")


def test_restart_is_needed(gateway):
    gw = gateway()
    gw.write_conf(listeners=({"address": "127.0.0.1", "port": free_port()},))
    assert faults(gw) == ["network.ports"]


def test_other_configuration(gateway):
    gw = gateway()
    other = gw.path("other.conf")
    shutil.copy(gw.conf_file, other)
    result = gw.ctl("-c", other, "doctor", "daemon")
    assert "gatewayd uses %s" % gw.conf_file in result.out


def test_broker_wants_a_password(gateway):
    gw = gateway(start=False, broker={"options": ["allow_anonymous false"]})
    assert faults(gw) == ["broker.connection"]
    assert "CONNACK 5" in sentence(gw, "broker.connection")


def test_no_mqtt_behind_the_socket(gateway):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        gw = gateway(start=False, start_broker=False, conf={"upstream": {
            "path": None, "address": "127.0.0.1", "port": s.getsockname()[1],
            "connect_timeout": "200ms"}})
        assert faults(gw) == ["broker.connection"]
        assert "no answer to CONNECT" in sentence(gw, "broker.connection")


def test_tcp_broker(gateway):
    gw = gateway(start=False, start_broker=False, broker={"tcp": True})
    gw.broker.start()
    gw.write_conf(upstream={"path": None, "address": "127.0.0.1", "port": gw.broker.port})
    worst, _ = doctor(gw, "broker")
    assert worst["broker.connection"] == "ok"


def test_too_few_files(gateway):
    gw = gateway(conf={"limits": {"connections": 1000000}})
    worst, _ = doctor(gw, "daemon.limits")
    limit = int(next(line.split()[3] for line in open("/proc/%d/limits" % gw.status()["pid"])
                     if line.startswith("Max open files")))
    assert worst["daemon.limits"] == ("warning" if limit < 2000064 else "ok")
