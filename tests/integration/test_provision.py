# SPDX-License-Identifier: BSD-2-Clause
"""gatewayctl provision: a board's flash, directly and through a bossac that works on a file."""
import os
import signal
import stat
import struct
import subprocess
import sys
import zlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lib import gateway as harness
from lib.wait import PATIENCE, until

FLASH, SETTINGS, REPORT, BLOCK = 262144, 0x3E000, 0x3F000, 4096
CONSENT, SSID, PASSPHRASE, HOST, PORT, DN, KEY, CERTIFICATE, CLOCK, NAME = range(1, 11)
PUBLISH, SUBSCRIBE, INTERVAL, ECDH = range(11, 15)
SERIAL, CSR, STATE, FIRMWARE, CHIP = range(64, 69)
SECRET = "correct horse battery"
CHIP_SERIAL = bytes.fromhex("0123F52E01F0C201EE")

# As strict as the real one, and it never erases. What it was asked is written
# down; the file "trouble" beside it makes it fail.
BOSSAC = """#!%s
import os, signal, sys
here = os.path.dirname(os.path.abspath(sys.argv[0]))
with open(os.path.join(here, "log"), "a") as f:
    f.write(" ".join(sys.argv[1:]) + "\\n")
trouble = ""
if os.path.exists(os.path.join(here, "trouble")):
    trouble = open(os.path.join(here, "trouble")).read()
port, offset, size, write, verify, reset, file = None, 0, None, False, False, False, None
for word in sys.argv[1:]:
    if word.startswith("--port="): port = word[7:]
    elif word == "-U": pass
    elif word.startswith("--offset="): offset = int(word[9:], 0)
    elif word.startswith("--read="): size = int(word[7:], 0)
    elif word == "-w": write = True
    elif word == "-v": verify = True
    elif word == "-R": reset = True
    elif word.startswith("-"): sys.exit("unknown option " + word)
    else: file = word
assert offset %% 64 == 0 and not (size and write) and os.path.exists(port)
if "no device" in trouble:
    print("No device found on " + port, file=sys.stderr)
    sys.exit(1)
if "hang" in trouble and write:
    open(os.path.join(here, "hanging"), "w").close()
    signal.pause()
flash = os.path.join(here, "flash")
if size:
    with open(flash, "rb") as f:
        f.seek(offset)
        content = f.read(size)
    with open(file, "wb") as f:
        f.write(content)
if write:
    with open(file, "rb") as f:
        content = f.read()
    if "half" in trouble:
        content = content[:300]
    with open(flash, "r+b") as f:
        f.seek(offset)
        f.write(content)
    if "half" in trouble:
        print("SAM-BA operation failed", file=sys.stderr)
        sys.exit(1)
    if "other" in trouble:
        with open(flash, "r+b") as f:
            f.seek(offset + 20)
            f.write(b"?")
"""


def page(magic, records, version=1):
    body = b"".join(struct.pack("<BBH", kind, 0, len(value)) + value
                    for kind, value in records.items())
    whole = magic + struct.pack("<HHI", version, len(body), 1) + body
    return whole + struct.pack("<I", zlib.crc32(whole))


def records(block):
    """Generation and records of a settings page; None: there is none."""
    if block[:8] != b"MKRGWSET":
        return None
    version, size, generation = struct.unpack("<HHI", block[8:16])
    if zlib.crc32(block[:16 + size]) != struct.unpack("<I", block[16 + size:20 + size])[0]:
        return None
    assert version == 1
    found, at = {"generation": generation}, 16
    while at < 16 + size:
        kind, zero, length = struct.unpack("<BBH", block[at:at + 4])
        assert zero == 0 and kind not in found
        found[kind] = block[at + 4:at + 4 + length]
        at += 4 + length
    return found


def request(key, name="0123F52E01F0C201EE"):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return csr.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


class Board:
    def __init__(self, gateway, folder):
        self.gateway, self.folder = gateway, folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.flash = folder / "flash"
        self.flash.write_bytes(b"\x5a" * SETTINGS + b"\xff" * (FLASH - SETTINGS))
        self.port = folder / "ttyACM0"
        self.port.write_bytes(b"")
        self.secret = folder / "wifi.txt"
        self.secret.write_text(SECRET + "\n")
        self.secret.chmod(0o600)
        self.bossac = folder / "bossac"
        self.bossac.write_text(BOSSAC % sys.executable)
        self.bossac.chmod(0o755)

    def says(self, content=None, **changes):
        """The report page; content: as it is."""
        if content is None:
            facts = {SERIAL: CHIP_SERIAL, CHIP: b"\x03", STATE: b"\x01", FIRMWARE: b"1.0",
                     CSR: request(self.key)}
            facts.update({globals()[name]: value for name, value in changes.items()})
            content = page(b"MKRGWREP", {k: v for k, v in facts.items() if v is not None})
        self.put(REPORT, content.ljust(BLOCK, b"\xff"))

    def put(self, offset, content):
        with open(self.flash, "r+b") as f:
            f.seek(offset)
            f.write(content)

    def settings(self):
        return records(self.flash.read_bytes()[SETTINGS:SETTINGS + BLOCK])

    def log(self):
        log = self.folder / "log"
        return log.read_text().splitlines() if log.exists() else []

    def wifi(self):
        return ["--wifi-ssid", "home", "--wifi-pass-file", str(self.secret)]

    def provision(self, *more, through="--image", **kw):
        where = [through, str(self.flash if through == "--image" else self.port)]
        return self.gateway.ctl("provision", *where, *self.wifi(), *more, **kw)


@pytest.fixture
def board(gateway, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "%s:%s" % (tmp_path, os.environ["PATH"]))
    return Board(gateway(start_broker=False, start=False), tmp_path)


@pytest.mark.parametrize("through", ["--image", "--port"])
def test_a_board_is_provisioned_and_again(board, through):
    board.says()
    before = board.flash.read_bytes()
    first = board.provision("--group", "pumps", "--label", "floor=2", "--interval", "60",
                            "--ecdh", "chip", through=through, output="json")
    assert first["identity"] == "0123F52E01F0C201EE" and not first["renewed"]
    assert first["gateway"] == "127.0.0.1:8883" and first["chip"] == "0123F52E01F0C201EE"
    told = board.settings()
    assert told["generation"] == 1
    assert told[SSID] == b"home" and told[PASSPHRASE] == SECRET.encode()
    assert told[HOST] == b"127.0.0.1" and told[PORT] == struct.pack("<H", 8883)
    assert told[NAME] == b"0123F52E01F0C201EE" and told[INTERVAL] == b"\x3c\x00"
    assert told[ECDH] == b"\x01" and CONSENT not in told and PUBLISH not in told
    # Certificate and anchor are what the board needs.
    with open(board.gateway.ca, "rb") as f:
        ca = x509.load_pem_x509_certificate(f.read())
    point = (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    assert told[DN] == ca.subject.public_bytes()
    assert told[KEY] == ca.public_key().public_bytes(*point)
    cert = x509.load_der_x509_certificate(told[CERTIFICATE])
    assert cert.public_key().public_bytes(*point) == board.key.public_key().public_bytes(*point)
    ca.public_key().verify(cert.signature, cert.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    # Nothing else was touched.
    after = board.flash.read_bytes()
    assert after[:SETTINGS] == before[:SETTINGS] and after[REPORT:] == before[REPORT:]
    row = board.gateway.ctl("devices", "show", "0123F52E01F0C201EE", output="json")
    assert row["group"] == "pumps"
    again = board.provision(through=through, output="json")
    assert again["renewed"] and again["serial"] != first["serial"]
    assert again["fingerprint"] == first["fingerprint"]
    assert board.settings()["generation"] == 2
    for line in board.log():
        assert SECRET not in line and " -e" not in line
    if through == "--port":
        assert [line.split()[2:] for line in board.log()[3:5]] == [
            ["--offset=0x3E000", "--read=4096", board.log()[3].split()[-1]], ["-R"]]


def test_an_unlocked_chip_needs_the_owners_word(board):
    board.says(CHIP=b"\x00", CSR=None)
    said = board.provision(status=1).err
    assert "for ever" in said and "--lock-chip" in said
    assert board.settings() is None
    told = board.provision("--lock-chip", "--dry-run")
    assert "would lock" in told.out and board.settings() is None
    told = board.provision("--lock-chip", "--name", "pump1")
    assert "run the same command again" in told.out
    assert board.settings() == {"generation": 1, CONSENT: b"\x01"}
    # Half locked when the power failed: the word is still needed.
    board.says(CHIP=b"\x01", CSR=None)
    board.provision("--lock-chip")
    board.says()
    assert board.provision("--lock-chip", "--name", "pump1", output="json")["identity"] == "pump1"
    assert CONSENT not in board.settings() and board.settings()["generation"] == 3


def test_what_a_board_may_lack(board):
    def refused(text, *more):
        said = board.provision(*more, status=None)
        assert said.status == 1 and text in said.err, said
        assert board.settings() is None
        assert board.gateway.ctl("devices", output="json") in ([], {"devices": []})

    refused("flash firmware-minimal")
    board.says(b"MKRGWREP" + b"\0" * 20)
    refused("damaged")
    board.says(page(b"MKRGWREP", {}, version=2))
    refused("newer")
    board.says(CHIP=None, SERIAL=None, CSR=None)
    refused("no crypto chip")
    board.says(CSR=None, STATE=b"\x05")
    refused("its crypto chip fails")
    damaged = bytearray(request(board.key))
    damaged[-1] ^= 1
    board.says(CSR=bytes(damaged))
    refused("signature")
    board.says(CSR=b"nonsense")
    refused("request")
    board.says(CSR=request(board.key, "x" * 60))
    refused("at most 64", "--name", "y" * 65)
    board.says()
    refused("certificate names add gw.example.org", "--host", "gw.example.org")
    board.flash.write_bytes(b"short")
    said = board.provision(status=1).err
    assert "262144" in said


def test_the_radio_does_not_ask_for_long_names(board):
    long = "gw.%s.example.org" % ("x" * 60)
    board.gateway.ctl("certificate", "names", "add", long)
    said = board.provision("--host", long, status=2).err
    assert "63 bytes" in said, said
    assert board.settings() is None


def test_the_host_is_one_of_the_certificate(board):
    board.says()
    board.gateway.ctl("certificate", "names", "add", "gw.example.org")
    result = board.provision("--host", "GW.example.org", "--gateway-port", "443", output="json")
    assert result["gateway"] == "gw.example.org:443"
    assert board.settings()[HOST] == b"gw.example.org"


def test_a_ca_that_boards_cannot_use(board, tmp_path):
    key = ec.generate_private_key(ec.SECP384R1())
    state = tmp_path / "other"
    with open(board.gateway.ca, "rb") as f:
        ca = x509.load_pem_x509_certificate(f.read())
    made = x509.CertificateBuilder().subject_name(ca.subject).issuer_name(ca.subject).public_key(
        key.public_key()).serial_number(1).not_valid_before(ca.not_valid_before).not_valid_after(
        ca.not_valid_after).add_extension(x509.BasicConstraints(True, None), True).sign(
        key, hashes.SHA384())
    assert not state.exists()
    with open(board.gateway.ca, "wb") as f:
        f.write(made.public_bytes(serialization.Encoding.PEM))
    board.says()
    assert "P-256" in board.provision(status=1).err
    assert board.settings() is None


def test_another_key_needs_replace(board):
    board.says()
    board.provision("--name", "pump1")
    board.key = ec.generate_private_key(ec.SECP256R1())
    board.says()
    before = board.settings()
    assert "--replace" in board.provision("--name", "pump1", status=1).err
    assert board.settings() == before
    board.provision("--name", "pump1", "--replace")
    assert board.settings() != before


def test_dry_run_changes_nothing(board):
    board.says()
    before = board.flash.read_bytes()
    told = board.provision("--dry-run", output="json", through="--port")
    assert told["dry_run"] and told["identity"] == "0123F52E01F0C201EE"
    assert board.flash.read_bytes() == before
    assert not [line for line in board.log() if "-w" in line or "-R" in line]
    assert "0123F52E01F0C201EE" not in board.gateway.ctl("devices").out
    assert not os.path.exists(os.path.join(board.gateway.state, "pki", "issued"))
    # It says what the real run would say.
    board.provision("--name", "pump1", "--group", "pumps")
    assert board.provision("--name", "pump1", "--dry-run", output="json")["group"] == "pumps"
    board.key = ec.generate_private_key(ec.SECP256R1())
    board.says()
    assert "--replace" in board.provision("--name", "pump1", "--dry-run", status=1).err
    board.provision("--name", "pump1", "--dry-run", "--replace")


@pytest.mark.parametrize("args,text", [
    (["--image", "x", "--port", "y"], "either --port"),
    ([], "either --port"),
    (["--image", "x", "--wifi-open", "--wifi-pass-file", "w"], "either --wifi-pass-file"),
    (["--image", "x"], "either --wifi-pass-file"),
    (["--image", "x", "--wifi-open", "--ecdh", "both"], "--ecdh"),
    (["--image", "x", "--wifi-open", "--interval", "0"], "--interval"),
    (["--image", "x", "--wifi-open", "--gateway-port", "65536"], "--gateway-port"),
    (["--image", "x", "--wifi-open", "--publish-topic", "a/#"], "wildcards"),
    (["--image", "x", "--wifi-open", "--publish-topic", "t" * 65], "64"),
    (["--image", "x", "--wifi-open", "--subscribe-topic", ""], "--subscribe-topic"),
    (["--image", "x", "--wifi-open", "--name", "a/b"], "cannot stand in a topic"),
])
def test_wrong_usage(board, args, text):
    said = board.gateway.ctl("provision", "--wifi-ssid", "home", *args, status=2)
    assert text in said.err


def test_network_names_and_passphrases(board):
    board.says()
    for ssid in ["", "x" * 33, "a\nb"]:
        said = board.gateway.ctl("provision", "--image", str(board.flash), "--wifi-open",
                                 "--wifi-ssid", ssid, status=2)
        assert "--wifi-ssid" in said.err
    for content, good in [("short", False), ("x" * 8, True), ("x" * 63 + "\r\n", True),
                          ("x" * 64, False), ("0aF9" * 16 + "\n", True), ("x" * 65, False),
                          ("pass\0word", False), ("with\nline feed", False), ("p\u00e4ssw\u00f6rd", False)]:
        board.secret.write_text(content, newline="")
        said = board.provision(status=None)
        assert (said.status == 0) == good, content
        if good:
            assert board.settings()[PASSPHRASE] == content.rstrip("\r\n").encode()
        assert content.strip() not in said.out + said.err
    board.secret.chmod(0o644)
    assert "chmod 600" in board.provision(status=None).err
    result = board.gateway.ctl("provision", "--image", str(board.flash), "--wifi-ssid", "home",
                               "--wifi-pass-file", "-", input=SECRET + "\n")
    assert result.status == 0 and board.settings()[PASSPHRASE] == SECRET.encode()
    board.gateway.ctl("provision", "--image", str(board.flash), "--wifi-ssid", "home",
                      "--wifi-open")
    assert board.settings()[PASSPHRASE] == b""


@pytest.mark.parametrize("trouble,text", [
    ("no device", "double-tap"),
    ("half", "SAM-BA operation failed"),
    ("other", "does not hold what was written"),
])
def test_a_run_that_fails_is_completed_by_the_next(board, trouble, text):
    board.says()
    (board.folder / "trouble").write_text(trouble)
    assert text in board.provision(through="--port", status=1).err
    assert board.settings() is None or trouble == "other"
    (board.folder / "trouble").unlink()
    result = board.provision(through="--port", output="json")
    assert board.settings()[NAME].decode() == result["identity"]
    assert board.log()[-1].endswith("-R")


def test_no_port_and_no_bossac(board, monkeypatch):
    board.port.unlink()
    assert "double-tap" in board.provision(through="--port", status=1).err
    board.port.write_bytes(b"")
    if os.geteuid() != 0:
        board.port.chmod(0)
        assert "dialout" in board.provision(through="--port", status=4).err
        board.port.chmod(0o600)
    board.bossac.unlink()
    program = os.path.abspath(harness.GATEWAYCTL)
    monkeypatch.setattr(harness, "GATEWAYCTL", program)
    monkeypatch.setenv("PATH", str(board.folder))
    assert "apt install bossa-cli" in board.provision(through="--port", status=1).err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_broken_off_it_leaves_no_secret(board, tmp_path, monkeypatch, number):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    board.says()
    (board.folder / "trouble").write_text("hang")
    argv = [harness.GATEWAYCTL, "-c", board.gateway.conf_file, "provision", "--port",
            str(board.port), *board.wifi()]
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, start_new_session=True,
                             # A shell's background job, perhaps this suite, ignores it.
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        until((board.folder / "hanging").exists, "bossac to write")
        os.kill(child.pid, number)
        assert child.wait(PATIENCE) != 0
        # bossac does not outlive it.
        until(lambda: not alive(child.pid), "bossac to end")
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    assert list(scratch.iterdir()) == []
    for folder, _, files in os.walk(tmp_path):
        for name in files:
            path = os.path.join(folder, name)
            if path != str(board.secret) and stat.S_ISREG(os.stat(path).st_mode):
                with open(path, "rb") as f:
                    assert SECRET.encode() not in f.read(), path
    (board.folder / "trouble").unlink()
    assert board.provision(through="--port", output="json")["renewed"]
    assert board.settings()[PASSPHRASE] == SECRET.encode()


def alive(group):
    """Is anybody left of the process group?"""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
