# SPDX-License-Identifier: BSD-2-Clause
"""
The firmware's TLS and MQTT over a real socket against a real gatewayd; see
host_device.c. With the gateway and the fixtures of tests/integration;
HOST_DEVICE, GATEWAYD and GATEWAYCTL name the programs.
"""
import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tests", "integration"))

from conftest import gateway, pki, shared  # noqa: E402,F401
from lib import certs  # noqa: E402
from lib.wait import PATIENCE  # noqa: E402

HOST_DEVICE = os.environ.get("HOST_DEVICE", "firmware-minimal/tests/host_device")


def lines_of(text, event):
    """The events of one kind, each as a dictionary."""
    found = []
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == event:
            found.append(dict(word.split("=", 1) for word in rest.split() if "=" in word))
    return found


def argv(gw, device, *options, name="localhost", ca=None):
    return [HOST_DEVICE, "-l", str(int(1000 * PATIENCE)), *options, "127.0.0.1", str(gw.port), name,
            ca or gw.ca, device.cert, device.key]


def run(gw, device, *options, status=0, **kw):
    done = subprocess.run(argv(gw, device, *options, **kw), capture_output=True, text=True,
                          timeout=2 * PATIENCE)
    assert done.returncode == status, done.stdout + done.stderr + gw.text()[-3000:]
    return done.stdout


@pytest.mark.parametrize("ecdh", ("chip", "software"))
def test_publishes_and_receives(shared, ecdh):
    device = shared.enroll()
    with shared.broker.client("home/%s/telemetry" % device.name) as watch:
        watch.publish("home/%s/command" % device.name, "on", qos=1, retain=True)
        options = ["-s"] if ecdh == "software" else []
        out = run(shared, device, "-m", "1", "-p", "6", *options)
        for n in range(6):
            watch.message("home/%s/telemetry" % device.name, '{"RN":%d}' % n, 1)
    assert lines_of(out, "message") == [{"topic": "inTopic", "payload": "on"}]
    assert lines_of(out, "published")[-1]["count"] == "6"


def test_resumes_after_an_orderly_close(shared):
    out = run(shared, shared.enroll(), "-c", "4")
    found = lines_of(out, "connected")
    assert [c["resumed"] for c in found] == ["0", "1", "1", "1"]
    # Random, two verifications, key, agreement, signature; then nothing at all.
    assert [c["operations"] for c in found] == ["6", "0", "0", "0"]


def test_resumes_after_a_lost_connection(shared):
    out = run(shared, shared.enroll(), "-c", "4", "-a")
    assert [c["resumed"] for c in lines_of(out, "connected")] == ["0", "1", "1", "1"]


def test_gateway_by_address(shared):
    run(shared, shared.enroll(), name="127.0.0.1")


def test_gateway_by_another_name(shared):
    out = run(shared, shared.enroll(), status=1, name="another.example")
    assert lines_of(out, "closed")[0]["tls_error"] == "56"


def test_without_a_clock(shared):
    """The gateway's certificate begins in 1970 for the sake of boards that have none."""
    run(shared, shared.enroll(), "-t", "0")


def test_revoked_device(shared):
    device = shared.enroll()
    run(shared, device)
    shared.ctl("revoke", device.name)
    out = run(shared, device, status=1)
    assert lines_of(out, "closed")[0]["tls_error"] == "300"
    assert lines_of(out, "closed")[0]["report"] == "25"


def test_device_of_another_authority(shared):
    device = certs.Authority("Another CA").issue(shared.folder, "stranger", "stranger")
    out = run(shared, device, status=1)
    assert lines_of(out, "closed")[0]["tls_error"] == "304"


def test_gateway_of_another_authority(shared, tmp_path):
    other = certs.Authority("Another CA").issue(str(tmp_path), "ca", "Another CA")
    out = run(shared, shared.enroll(), status=1, ca=other.cert)
    assert lines_of(out, "closed")[0]["tls_error"] == "62"


def test_gateway_restart_ends_the_session(gateway):
    """What the board remembers is unknown to the new gateway: a full handshake, no failure."""
    gw = gateway()
    gw.keep_port()
    device = gw.enroll()
    with gw.broker.client("home/%s/telemetry" % device.name) as watch:
        child = subprocess.Popen(argv(gw, device, "-k", "-m", "1"), stdout=subprocess.PIPE,
                                 text=True)
        try:
            watch.message("home/%s/telemetry" % device.name)
            # It waits for its message, which comes when the gateway has gone and is back.
            gw.stop()
            watch.publish("home/%s/command" % device.name, "on", qos=1, retain=True)
            gw.start()
            out, _ = child.communicate(timeout=2 * PATIENCE)
        finally:
            child.kill()
    assert child.returncode == 0, out
    assert [c["resumed"] for c in lines_of(out, "connected")] == ["0", "0"]
    assert lines_of(out, "message") == [{"topic": "inTopic", "payload": "on"}]
