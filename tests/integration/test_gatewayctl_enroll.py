# SPDX-License-Identifier: BSD-2-Clause
"""Enrolment: real requests, renewal, many at once."""
import json
import os
import re
import signal
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lib import gateway as harness
from lib.wait import until

# What the crypto chip of a board signed for ArduinoECCX08's example.
BOARD = """-----BEGIN CERTIFICATE REQUEST-----
MIHKMHICAQAwEDEOMAwGA1UEAxMFbXlta3IwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAARo6lo/SW6XJ3vWTptpq+xRfiGtVXlfx0H7PRfZqrQCEA6NCkD+DZUQA5hN
ekMPzveohJscta5PYqAwCQetTxxhoAAwCgYIKoZIzj0EAwIDSAAwRQIgQbwP9SF1
0O1dVyXsrNhr/HIEP/o2YzRyN7aqeSYaSvQCIQCaH6+svv9/oV9bfqePi67PrcDL
X+PGkAXlTlZlwJD5ZA==
-----END CERTIFICATE REQUEST-----
"""


@pytest.fixture
def offline(gateway):
    """Nothing runs but gatewayctl."""
    return gateway(start_broker=False, start=False)


def request(cn, key=None, damage=False):
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)] if cn else [])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    der = bytearray(csr.public_bytes(serialization.Encoding.DER))
    if damage:
        der[-1] ^= 1
    return key, bytes(der)


def write(path, content):
    with open(path, "wb" if isinstance(content, bytes) else "w") as f:
        f.write(content)
    return str(path)


def test_the_same_key_renews_and_another_needs_replace(offline, tmp_path):
    file, out = write(tmp_path / "a.csr", request("pump1")[1]), str(tmp_path / "out")
    first = offline.ctl("enroll", "--csr", file, "--out", out, output="json")
    assert not first["renewed"] and first["identity"] == "pump1" and first["sketch"]
    again = offline.ctl("enroll", "--csr", file, "--out", out, output="json")
    assert again["renewed"] and again["fingerprint"] == first["fingerprint"]
    assert again["serial"] != first["serial"]
    other = write(tmp_path / "b.csr", request("pump1")[1])
    issued = os.path.join(offline.state, "pki", "issued")
    before = sorted(os.listdir(issued))
    assert "--replace" in offline.ctl("enroll", "--csr", other, "--out", out, status=1).err
    assert sorted(os.listdir(issued)) == before, "a certificate that was refused is left"
    new = offline.ctl("enroll", "--csr", other, "--out", out, "--replace", output="json")
    assert new["fingerprint"] != first["fingerprint"]


def test_a_key_has_one_name(offline, tmp_path):
    file = write(tmp_path / "a.csr", request("pump1")[1])
    offline.ctl("enroll", "--csr", file, "--out", str(tmp_path / "1"))
    offline.ctl("revoke", "pump1")
    said = offline.ctl("enroll", "--csr", file, "--name", "pump2", "--out", str(tmp_path / "2"),
                       status=1).err
    assert "belongs to the device pump1, which is revoked" in said
    assert os.listdir(tmp_path / "2") == []
    offline.ctl("devices", "remove", "pump1")
    offline.ctl("enroll", "--csr", file, "--name", "pump2", "--out", str(tmp_path / "2"))


def test_the_files_of_a_board(offline, tmp_path):
    file, out = write(tmp_path / "a.csr", request("board")[1]), str(tmp_path / "board")
    result = offline.ctl("enroll", "--csr", file, "--out", out)
    assert "arduino_secrets.h" in result.out
    assert {"device.crt", "ca.crt", "device.der", "arduino_secrets.h", "gateway_trust_anchors.h",
            "BearSSLTrustAnchors.h"} <= set(os.listdir(out))
    assert os.path.getsize(os.path.join(out, "device.der")) >= 480
    secrets = open(os.path.join(out, "arduino_secrets.h")).read()
    assert "-----END CERTIFICATE-----\n)" in secrets


def mangle_crlf(text):
    return text.replace("\n", "\r\n")


def mangle_blanks(text):
    return "hello\n\n" + "\n".join("  " + line + " " for line in text.split("\n"))


def mangle_monitor(text):
    return "".join("12:01:02.345 -> " + line + "\n" for line in text.splitlines())


@pytest.mark.parametrize("mangle", (str, mangle_crlf, mangle_blanks, mangle_monitor))
def test_a_request_copied_from_a_serial_monitor(offline, tmp_path, mangle):
    text = mangle(BOARD)
    result = offline.ctl("enroll", "--csr", "-", "--out", str(tmp_path / "o"), output="json",
                         input=text)
    assert result["identity"] == "mymkr"


def test_the_bug_of_the_library_is_named(offline, tmp_path):
    # One field of 17 characters makes the signed part a multiple of 64 bytes.
    file = write(tmp_path / "a.csr", request("aa:bb:cc:dd:ee:ff", damage=True)[1])
    assert "known library fault" in offline.ctl("enroll", "--csr", file, status=1).err
    file = write(tmp_path / "b.csr", request("pump", damage=True)[1])
    said = offline.ctl("enroll", "--csr", file, status=1).err
    assert "signature" in said and "known library fault" not in said


@pytest.mark.parametrize("content", (b"", b"garbage", b"\x30\x82\x01\x00", b"\0" * 70000,
                                     request(None)[1], request("a/b")[1]),
                         ids=("empty", "garbage", "cut", "long", "no name", "bad name"))
def test_what_is_no_good_request_changes_nothing(offline, tmp_path, content):
    file = write(tmp_path / "a.csr", content)
    assert offline.ctl("enroll", "--csr", file, "--out", str(tmp_path / "o"), status=1).err
    assert offline.ctl("devices", output="json")["devices"] == []
    assert not os.path.exists(tmp_path / "o")


def test_renew_needs_no_request(offline, tmp_path):
    file, out = write(tmp_path / "a.csr", request("pump1")[1]), str(tmp_path / "out")
    first = offline.ctl("enroll", "--csr", file, "--out", out, "--days", "10", output="json")
    soon = offline.ctl("devices", "--expiring", "30d", output="json")["devices"]
    assert [d["identity"] for d in soon] == ["pump1"]
    second = offline.ctl("renew", "pump1", "--out", out, output="json")
    assert second["fingerprint"] == first["fingerprint"] and second["sketch"]
    assert second["not_after"] > first["not_after"]
    assert offline.ctl("devices", "--expiring", "30d", output="json")["devices"] == []
    offline.ctl("revoke", "pump1")
    assert "revoked" in offline.ctl("renew", "pump1", "--out", out, status=1).err


# ---- many --------------------------------------------------------------------------

def many(folder, count):
    os.mkdir(folder)
    for i in range(count):
        write(folder / ("file%03d.csr" % i), request("dev%03d" % i)[1])
    return str(folder)


def test_many_requests_with_a_summary(offline, tmp_path):
    folder, out = many(tmp_path / "in", 5), str(tmp_path / "out")
    write(tmp_path / "in" / "bad.csr", b"garbage")
    write(tmp_path / "in" / "notes.txt", b"not a request")
    write(tmp_path / "in" / "twin.csr", request("dev001")[1])
    first = offline.ctl("-o", "json", "enroll", "--csr-dir", folder, "--out", out, status=1)
    done = json.loads(first.out)
    assert (done["made"], done["failed"], done["skipped"], done["left"]) == (5, 2, 0, 0)
    reasons = {os.path.basename(r["file"]): r["reason"] for r in done["requests"] if r["reason"]}
    assert set(reasons) == {"bad.csr", "twin.csr"} and "dev001" in reasons["twin.csr"]
    os.unlink(os.path.join(out, "dev002", "device.crt"))
    again = offline.ctl("-o", "json", "enroll", "--csr-dir", folder, "--out", out, status=1)
    done = json.loads(again.out)
    assert (done["made"], done["renewed"], done["skipped"]) == (0, 1, 4)


def test_names_from_files(offline, tmp_path):
    offline.ctl("enroll", "--csr-dir", many(tmp_path / "in", 2), "--out", str(tmp_path / "out"),
                "--name-from", "file", "--group", "pumps")
    rows = offline.ctl("devices", output="json")["devices"]
    assert [(r["identity"], r["group"]) for r in rows] == [("file000", "pumps"),
                                                         ("file001", "pumps")]


def test_names_do_not_go_with_a_folder(offline, tmp_path):
    folder = many(tmp_path / "in", 1)
    offline.ctl("enroll", "--csr-dir", folder, "--name", "x", status=2)
    offline.ctl("enroll", "--csr-dir", folder, "--name-from", "x", status=2)
    offline.ctl("enroll", "--csr", folder, "--name-from", "cn", status=2)


@pytest.mark.parametrize("signum", (signal.SIGINT, signal.SIGKILL))
def test_many_go_on_after_an_interruption(offline, tmp_path, signum):
    folder, out = many(tmp_path / "in", 60), str(tmp_path / "out")
    child = subprocess.Popen([harness.GATEWAYCTL, "-c", offline.conf_file, "enroll", "--csr-dir",
                              folder, "--out", out], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    until(lambda: os.path.exists(os.path.join(out, "dev002", "device.crt")), "three devices")
    child.send_signal(signum)
    said = child.communicate()[0]
    left = 60 - len(os.listdir(out))
    if signum == signal.SIGINT:
        assert child.returncode == 1 and re.search(r"%d left" % left, said), said
    result = offline.ctl("enroll", "--csr-dir", folder, "--out", out, output="json")
    assert result["left"] == 0 and result["failed"] == 0
    assert result["made"] + result["renewed"] <= left + 1 and result["skipped"] > 0
    assert len(offline.ctl("devices", output="json")["devices"]) == 60
    for name in os.listdir(out):
        assert {"device.crt", "ca.crt"} <= set(os.listdir(os.path.join(out, name)))
