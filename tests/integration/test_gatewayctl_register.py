# SPDX-License-Identifier: BSD-2-Clause
"""The register as people work with it: with the daemon, and without."""
import json
import os
import shutil
import subprocess

import pytest
import yaml

from lib import certs
from lib.client import Client, Closed, tls_context, tls_socket
from lib.wait import until
from lib.wire import V311


@pytest.fixture
def offline(gateway):
    return gateway(start_broker=False, start=False)


def fleet(one, tmp_path, text):
    file = tmp_path / "fleet.yaml"
    file.write_text(text)
    return str(file)


# ---- with the daemon ---------------------------------------------------------------

def refused(one, device):
    try:
        with one.client(device):
            return False
    except (Closed, OSError, AssertionError):
        return True


def test_revoke_is_proved_and_reinstate_too(shared):
    device = shared.enroll()
    with shared.client(device) as c:
        result = shared.ctl("revoke", device.name, "--reason", "keyCompromise", output="json")
        assert result["proved"] and "session was closed" in result["gateway"]
        c.expect_closed()
    assert refused(shared, device)
    result = shared.ctl("reinstate", device.name, output="json")
    assert result["proved"] and "lets it in" in result["gateway"]
    with shared.client(device):
        pass


def test_revoke_of_one_that_is_away(shared):
    device = shared.enroll()
    result = shared.ctl("revoke", device.name)
    assert "revoked; it was not connected; the gateway now refuses it" in result.out
    shared.ctl("revoke", device.name, "--reason", "boredom", status=2)
    shared.ctl("revoke", "nobody", status=1)


def pending(one, name):
    rows = one.ctl("devices", "--pending", output="json")["strangers"]
    return [r for r in rows if r["identity"] == name]


@pytest.mark.parametrize("kind", ("issued", "self-signed"))
def test_a_stranger_is_listed_and_approved(shared, tmp_path, kind):
    name = "stranger-" + kind
    if kind == "issued":
        ca = certs.Authority.load(os.path.join(shared.state, "pki"))
        device = ca.issue(str(tmp_path), name, name)
    else:
        device = certs.self_signed(str(tmp_path), name, name)
    assert refused(shared, device)
    row = until(lambda: pending(shared, name), "the stranger in the list")[0]
    assert row["kind"] == kind and row["address"] == "127.0.0.1"
    assert row["fingerprint"].startswith(row["short"]) and len(row["fingerprint"]) == 64
    assert row["short"] in shared.ctl("devices", "--pending").out
    result = shared.ctl("approve", row["short"], "--name", name + "-1", "--group", "g",
                        "--label", "floor=2", output="json")
    assert result["identity"] == name + "-1" and result["group"] == "g" and result["proved"]
    assert pending(shared, name) == []
    assert "floor" in shared.ctl("devices", "show", name + "-1", output="json")["labels"]
    shared.ctl("approve", row["short"], status=1)


def test_names_are_added_without_losing_a_session(shared):
    device = shared.enroll()
    with shared.client(device) as c:
        result = shared.ctl("certificate", "names", "add", "new.example", output="json")
        assert "sessions stay" in result["gateway"] and "new.example" in result["names"]
        c.publish("Home", "x", 1)
        result = shared.ctl("certificate", "renew", output="json")
        assert "new.example" in result["names"]
        result = shared.ctl("certificate", "names", "remove", "new.example", output="json")
        assert "new.example" not in result["names"]
        shared.ctl("certificate", "names", "remove", "new.example", status=1)
        c.publish("Home", "x", 1)


def test_renewed_ca_needs_nothing_new_at_the_devices(gateway, tmp_path):
    gw = gateway()
    device = gw.enroll()
    old = tmp_path / "old-ca.crt"
    shutil.copy(gw.ca, old)
    before = gw.ctl("ca", "show", output="json")
    with gw.client(device) as c:
        after = gw.ctl("ca", "renew", "--days", "8000", output="json")
        assert after["not_after"] > before["not_after"]
        assert after["fingerprint"] == before["fingerprint"]
        c.publish("Home", "x", 1)
    # Who trusts the old certificate trusts the gateway; the new one vouches for the old device,
    # and for one that is enrolled now.
    for ca, whose in ((str(old), device), (gw.ca, device), (str(old), gw.enroll())):
        context = tls_context(ca, whose)
        with Client(tls_socket(gw.port, context), V311) as c:
            c.connect()
            c.publish("Home", "x", 1)
    rows = gw.ctl("audit", "--since", "1h", output="json")["audit"]
    assert "ca-renew" in [row["action"] for row in rows]
    assert "already" in gw.ctl("ca", "renew", "--days", "9", status=1).err


# ---- fleet files -------------------------------------------------------------------

def test_fleet_round_trip(offline, tmp_path):
    for name in ("a1", "a2", "007", "yes"):
        offline.enroll(name, "--group", "g", "--label", "floor=2")
    offline.ctl("revoke", "a2")
    file = str(tmp_path / "out.yaml")
    offline.ctl("fleet", "export", file)
    text = offline.ctl("fleet", "export").out
    assert text == open(file).read()
    known = {d["name"]: d for d in yaml.safe_load(text)["devices"]}
    assert set(known) == {"a1", "a2", "007", "yes"}
    assert known["a1"]["labels"] == {"floor": "2"} and known["a2"]["state"] == "revoked"
    assert offline.ctl("fleet", "apply", file, output="json")["changes"] == []
    offline.ctl("group", "a1", "other")
    offline.ctl("label", "a1", "floor=3", "room=9")
    offline.ctl("reinstate", "a2")
    dry = offline.ctl("fleet", "apply", file, "--dry-run")
    assert dry.out == ("~ a1\n-   group: other\n+   group: g\n-   label room: 9\n"
                       "-   label floor: 3\n+   label floor: 2\n"
                       "~ a2\n-   state: enrolled\n+   state: revoked\n"
                       "4 changes; nothing was written (--dry-run)\n")
    assert offline.ctl("fleet", "export").out != text
    assert len(offline.ctl("fleet", "apply", file, output="json")["changes"]) == 4
    assert offline.ctl("fleet", "export").out == text
    actions = [e["action"] for e in offline.ctl("audit", "a2", output="json")["audit"]]
    assert actions[0] == "revoke" and "enroll" in actions


def test_fleet_faults_are_all_told_and_nothing_changes(offline, tmp_path):
    offline.enroll("a1", "--group", "g")
    offline.enroll("a2")
    file = fleet(offline, tmp_path, """version: 1
devices:
  - name: a1
    group: changed
    colour: red
  - name: a2
    state: asleep
  - name: a1
  - group: x
  - name: a3
    group: {}
""")
    done = offline.ctl("fleet", "apply", file, status=1)
    for line, words in ((5, "colour"), (7, "asleep"), (8, "a1"), (9, "no name"), (11, "group")):
        assert any(one.startswith("%s:%d: " % (file, line)) and words in one
                   for one in done.err.splitlines()), (line, done.err)
    file = fleet(offline, tmp_path, """version: 1
devices:
  - { name: a1, group: changed }
  - { name: ghost }
  - name: a2
    fingerprint: %s
""" % ("0" * 64))
    done = offline.ctl("fleet", "apply", file, status=1)
    assert "%s:4: " % file in done.err and "%s:5: " % file in done.err
    assert offline.ctl("devices", output="json")["devices"][0]["group"] == "g"


def test_fleet_prune(offline, tmp_path):
    offline.enroll("a1")
    offline.enroll("a2")
    file = fleet(offline, tmp_path, "version: 1\ndevices: [ { name: a2 } ]\n")
    assert offline.ctl("fleet", "apply", file, output="json")["changes"] == []
    assert "- a1\n" in offline.ctl("fleet", "apply", file, "--prune").out
    assert [d["identity"] for d in offline.ctl("devices", output="json")["devices"]] == ["a2"]


# ---- CAs from elsewhere ------------------------------------------------------------

def openssl(*args):
    subprocess.run(("openssl",) + args, check=True, capture_output=True)


def test_the_ca_of_the_question_is_taken_over(gateway, tmp_path):
    # openssl's one-liners: RSA, the address as common name.
    key, crt = str(tmp_path / "ca.key"), str(tmp_path / "ca.crt")
    openssl("req", "-new", "-x509", "-days", "3650", "-newkey", "rsa:2048", "-nodes",
            "-keyout", key, "-out", crt, "-subj", "/CN=192.0.2.7")
    one = gateway(start_broker=False, start=False)
    said = one.ctl("ca", "import", "--cert", crt, "--key", key, status=1)
    assert "ca.crt" in said.err  # there is one
    for name in ("ca.crt", "ca.key", "gateway.crt", "gateway.key", "gateway.names"):
        os.unlink(os.path.join(one.state, "pki", name))
    said = one.ctl("-o", "json", "ca", "import", "--cert", crt, "--key", key)
    assert "warning: " in said.err and "RSA" in said.err
    assert json.loads(said.out)["key_type"] == "RSA 2048"
    assert one.ctl("audit", output="json")["audit"][0]["action"] == "ca-import"
    one.ctl("init", "--force-names", "--name", "localhost")
    one.enroll("a1")


def test_a_list_of_another_ca_is_installed(gateway, tmp_path):
    used = str(tmp_path / "used.crl")
    one = gateway(start_broker=False, start=False)
    one.enroll("a1")
    one.ctl("revoke", "a1")
    file = str(tmp_path / "new.crl")
    one.ctl("crl", "export", file)
    shutil.copy(file, used)
    one.write_conf(tls={"crl": used})
    assert one.ctl("crl", "import", file, output="json")["lists"][0]["revoked"] == 1
    (tmp_path / "bad.crl").write_text("garbage")
    one.ctl("crl", "import", str(tmp_path / "bad.crl"), status=1)
    assert one.ctl("crl", "show", output="json")["lists"][0]["revoked"] == 1


# ---- lists, and the rest -----------------------------------------------------------

def test_crl_of_our_ca(offline, tmp_path):
    device = offline.enroll("a1")
    offline.enroll("a2")
    offline.ctl("revoke", "a1", "--reason", "keyCompromise")
    file = str(tmp_path / "ca.crl")
    assert offline.ctl("crl", "export", file, output="json")["revoked"] == 1
    shown = offline.ctl("crl", "show", file, output="json")["lists"]
    assert shown[0]["revoked"] == 1 and not shown[0]["stale"]
    assert "tls.crl" in offline.ctl("crl", "import", file, status=1).err
    offline.write_conf(tls={"crl": str(tmp_path / "used.crl")})
    from cryptography import x509
    crl = x509.load_pem_x509_crl(open(file, "rb").read())
    cert = x509.load_pem_x509_certificate(open(device.cert, "rb").read())
    assert crl.get_revoked_certificate_by_serial_number(cert.serial_number) is not None


def test_json_of_every_command_without_a_daemon(offline, tmp_path):
    offline.enroll("a1")
    file = fleet(offline, tmp_path, "version: 1\ndevices: []\n")
    crl = str(tmp_path / "x.crl")
    for line in ("devices", "devices --pending", "devices --expiring 1y", "devices show a1",
                 "label a1 x=1", "group a1 g", "revoke a1", "reinstate a1", "topics a1",
                 "fleet export", "fleet apply " + file, "audit", "audit a1 --since 1d",
                 "certificate show", "certificate names", "certificate names add x.example",
                 "certificate names remove x.example", "certificate renew", "ca show",
                 "crl export " + crl, "crl show " + crl, "config check", "config show", "init",
                 "renew a1 --out " + str(tmp_path / "a1"), "devices remove a1"):
        assert offline.ctl(*line.split(), output="json") is not None, line


@pytest.mark.parametrize("line, status", (
    ("status", 3), ("reload", 3), ("disconnect x", 3), ("revoke x", 1), ("fleet apply /none", 1),
    ("renew x", 1), ("approve 0123456789", 1), ("approve 01", 2), ("audit --since 7", 2),
    ("devices --expiring soon", 2), ("fleet", 2), ("ca import", 2), ("crl import /none", 1),
    ("certificate names add a_b", 1), ("certificate names remove none.example", 1),
    ("enroll", 2), ("revoke", 2)))
def test_exit_status(offline, line, status):
    said = offline.ctl(*line.split(), status=status)
    assert said.err.startswith("gatewayctl: ") and said.out == ""
