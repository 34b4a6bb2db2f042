# SPDX-License-Identifier: BSD-2-Clause
"""gatewayctl spool, and what gatewayd makes of a spool that it finds."""
import json
import os
import re
import socket
import sqlite3
import subprocess
import time
import urllib.request

import pytest

from lib.broker import free_port
from lib.gateway import GATEWAYD, SANITIZER_ENV
from lib.wait import PATIENCE

USAGE = 2
NEVER = 2**63 - 1


def fill(gw, rows):
    """Messages as an outage leaves them: (identity, age in seconds, payload)."""
    db = sqlite3.connect(os.path.join(gw.state, "spool.db"))
    now = int(time.time())
    with db:
        for identity, age, payload in rows:
            db.execute("INSERT INTO device (identity) VALUES (?) ON CONFLICT DO NOTHING",
                       (identity,))
            (device,) = db.execute("SELECT id FROM device WHERE identity = ?",
                                   (identity,)).fetchone()
            topic = b"dev/%s/up" % identity.encode()
            db.execute("INSERT INTO message (device, until, qos, size, received, expiry, retain,"
                       " topic, properties, payload) VALUES (?, ?, 1, ?, ?, ?, 0, ?, x'', ?)",
                       (device, NEVER, len(topic) + len(payload) + 64, (now - age) * 1000,
                        2**32 - 1, topic, payload))
    db.close()


@pytest.fixture
def filled(gateway):
    """No broker, and five messages of two devices."""
    port = free_port()
    gw = gateway(start_broker=False, conf={"metrics": {"address": "127.0.0.1", "port": port}})
    gw.metrics_port = port
    gw.stop()
    fill(gw, [("pump1", 600, b"x" * 10)] * 3 + [("pump2", 60, b"y" * 1000)] * 2)
    return gw.start()


def test_empty(gateway):
    gw = gateway(start_broker=False)
    spool = gw.ctl("spool", output="json")
    assert (spool["messages"], spool["bytes"], spool["oldest"]) == (0, 0, 0)
    assert spool["limit"] == 256 << 20
    assert (spool["devices"], spool["last_error"]) == ([], "")
    assert "DEVICE" not in gw.ctl("spool").out
    assert gw.ctl("spool", "purge", "--all", "--yes").out == "0 messages removed\n"
    assert os.stat(os.path.join(gw.state, "spool.db")).st_mode & 0o777 == 0o600


def test_show(filled):
    spool = filled.ctl("spool", output="json")
    assert spool["messages"] == 5
    assert [(d["identity"], d["messages"]) for d in spool["devices"]] == [("pump2", 2), ("pump1", 3)]
    assert spool["bytes"] == sum(d["bytes"] for d in spool["devices"])
    assert 590 <= time.time() - spool["oldest"] <= 600 + 2 * PATIENCE
    one = filled.ctl("spool", "pump1", output="json")
    assert [d["identity"] for d in one["devices"]] == ["pump1"]
    table = filled.ctl("spool").out
    assert "DEVICE" in table and re.search(r"\b1\d min ago", table)
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % filled.metrics_port,
                                timeout=PATIENCE) as answer:
        text = answer.read().decode()
    assert "\ngateway_spool_messages 5\n" in text
    assert "\ngateway_spool_bytes %d\n" % spool["bytes"] in text
    assert "\ngateway_spool_refused_total 0\n" in text


def test_purge(filled):
    assert filled.ctl("spool", "purge", "pump1", "-y").out == "3 messages removed\n"
    assert filled.ctl("spool", "purge", "pump1", "-y", output="json") == {"purged": 0}
    assert filled.ctl("spool", output="json")["messages"] == 2
    filled.stop()
    filled.start()
    assert [d["identity"] for d in filled.ctl("spool", output="json")["devices"]] == ["pump2"]
    assert filled.ctl("spool", "purge", "--all", "--yes").out == "2 messages removed\n"
    assert filled.ctl("spool", output="json")["purged"] == 2
    audit = filled.ctl("audit", output="json")["audit"]
    assert sorted((a.get("identity", ""), a["detail"]) for a in audit if a["action"] == "spool-purge") == [
        ("", "2 messages"), ("pump1", "3 messages")]


@pytest.mark.parametrize("words", [(), ("pump1", "--all"), ("--all",), ("pump1",)])
def test_purge_is_meant(filled, words):
    """Not what to purge, or nobody to ask."""
    refused = filled.ctl("spool", "purge", *words, status=USAGE)
    assert refused.err and not refused.out
    assert filled.ctl("spool", output="json")["messages"] == 5


def test_size_is_reloaded(filled):
    filled.write_conf(spool={"size": "1MiB"})
    filled.ctl("reload")
    assert filled.ctl("spool", output="json")["limit"] == 1 << 20


@pytest.mark.parametrize("statement, says", [
    ("PRAGMA user_version = 99", "newer release"),
    ("PRAGMA application_id = 7", "another program"),
])
def test_unusable_file(gateway, statement, says):
    """A person put it there, and a person must decide: the start is refused, the file stays."""
    gw = gateway(start_broker=False)
    gw.stop()
    file = os.path.join(gw.state, "spool.db")
    db = sqlite3.connect(file)
    db.execute(statement)
    db.close()
    ended = subprocess.run([GATEWAYD, "-c", gw.conf_file], capture_output=True, text=True,
                           stdin=subprocess.DEVNULL, timeout=2 * PATIENCE,
                           env=dict(os.environ, **SANITIZER_ENV))
    assert ended.returncode == 1
    assert says in ended.stderr and file in ended.stderr
    assert os.listdir(gw.state).count("spool.db") == 1


def text_instead(file):
    with open(file, "wb") as f:
        f.write(b"no database, but a text that is long enough to be looked at" * 20)


def pages_of_nothing(file):
    with open(file, "r+b") as f:
        f.seek(4096)
        f.write(b"\0" * (os.path.getsize(file) - 4096))


@pytest.mark.parametrize("damage", [text_instead, pages_of_nothing], ids=lambda f: f.__name__)
def test_damaged_file(filled, damage):
    """It is set aside whole, devices are served and their messages stored, the doctor tells."""
    filled.stop()
    file = os.path.join(filled.state, "spool.db")
    damage(file)
    with open(file, "rb") as f:
        content = f.read()
    filled.start()
    (aside,) = [n for n in os.listdir(filled.state) if n.startswith("spool.db.damaged-")]
    with open(os.path.join(filled.state, aside), "rb") as f:
        assert f.read()[100:] == content[100:]  # SQLite counts changes in its header
    assert "it was set aside" in filled.text() and aside in filled.text()
    with filled.client() as c:
        c.publish("Home", "x", 1)
    assert filled.ctl("spool", output="json")["messages"] == 1
    found = json.loads(filled.ctl("doctor", "spool.damaged", "-o", "json").out)["checks"][0]
    assert found["status"] == "warning" and aside in found["sentence"]


def test_systemd_waits_for_the_spool(gateway):
    """Reading the index of a large spool takes longer than TimeoutStartSec on a slow disk."""
    gw = gateway(start_broker=False)
    gw.stop()
    linked = subprocess.run(["ldd", GATEWAYD], capture_output=True, text=True, check=False)
    if "libsystemd" not in linked.stdout:
        pytest.skip("gatewayd is built without libsystemd")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(gw.path("notify"))
        notify.settimeout(2 * PATIENCE)
        env = dict(os.environ, NOTIFY_SOCKET=gw.path("notify"), **SANITIZER_ENV)
        with subprocess.Popen([GATEWAYD, "-c", gw.conf_file], env=env, stdin=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as daemon:
            try:
                assert notify.recv(4096) == b"EXTEND_TIMEOUT_USEC=600000000"
                assert b"READY=1" in notify.recv(4096)
                daemon.terminate()
                while notify.recv(4096) != b"EXTEND_TIMEOUT_USEC=60000000":
                    pass  # STOPPING, and signs of life
                assert daemon.wait(2 * PATIENCE) == 0
            finally:
                daemon.kill()
