# SPDX-License-Identifier: BSD-2-Clause
"""gatewayctl spool, and what gatewayd makes of a spool that it finds."""
import os
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
    assert "DEVICE" in table and "10 min ago" in table
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


@pytest.mark.parametrize("content, says", [
    (b"no database, but a text that is long enough to be looked at" * 20, "no spool"),
    (None, "newer release"),
])
def test_unusable_file(gateway, content, says):
    gw = gateway(start_broker=False)
    gw.stop()
    file = os.path.join(gw.state, "spool.db")
    if content is None:
        db = sqlite3.connect(file)
        db.execute("PRAGMA user_version = 99")
        db.close()
    else:
        with open(file, "wb") as f:
            f.write(content)
    ended = subprocess.run([GATEWAYD, "-c", gw.conf_file], capture_output=True, text=True,
                           stdin=subprocess.DEVNULL, timeout=2 * PATIENCE,
                           env=dict(os.environ, **SANITIZER_ENV))
    assert ended.returncode == 1
    assert says in ended.stderr and file in ended.stderr
    assert os.path.exists(file)
