# SPDX-License-Identifier: BSD-2-Clause
"""
The files that a board gets: they compile as its compiler would, and a BearSSL
client made of them, behaving as ArduinoBearSSL does, connects or is told why
not.
"""
import os
import shutil
import subprocess

import pytest

from lib import certs
from lib.gateway import Gateway
from lib.wait import PATIENCE

HERE = os.path.dirname(os.path.abspath(__file__))
ARDUINO_FILES = os.environ.get("ARDUINO_FILES", "")
HEADERS = ("arduino_secrets.h", "gateway_trust_anchors.h", "connection_report.h",
           "BearSSLTrustAnchors.h")
CC, CXX = os.environ.get("CC", "cc").split(), os.environ.get("CXX", "c++").split()
DAY = certs.DAY


def compiles(compiler, source, *flags):
    done = subprocess.run(compiler + list(flags) + ["-"], input=source, text=True,
                          capture_output=True, timeout=PATIENCE)
    return done.returncode == 0


pytestmark = [
    pytest.mark.skipif(not os.access(ARDUINO_FILES, os.X_OK), reason="arduino_files is missing"),
    pytest.mark.skipif(shutil.which(CC[0]) is None or not compiles(
        CC, "#include <bearssl.h>\n", "-xc", "-fsyntax-only"), reason="no libbearssl-dev"),
]


class Board:
    """The files for a device, and a client made of them."""

    def __init__(self, gateway, device, broker="localhost"):
        self.gateway, self.device = gateway, device
        self.folder = gateway.path("arduino-" + device.name)
        os.mkdir(self.folder)
        done = subprocess.run(
            [ARDUINO_FILES, os.path.join(gateway.state, "pki"), device.cert, device.name, broker,
             str(gateway.port), self.folder], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        self.warnings = done.stderr
        self.program = None

    def path(self, name):
        return os.path.join(self.folder, name)

    def build(self):
        program = self.path("bear_client")
        subprocess.run(CC + ["-std=gnu11", "-Wall", "-Werror", "-I", self.folder, "-o", program,
                             os.path.join(HERE, "bear_client.c"), "-lbearssl"],
                       check=True, timeout=4 * PATIENCE)
        return program

    def run(self, *options, name="localhost", key=None, deadline=PATIENCE):
        """What the client says: of each connect a dict."""
        self.program = self.program or self.build()
        done = subprocess.run(
            [self.program, *options, "-d", str(int(deadline)), "127.0.0.1",
             str(self.gateway.port), name, key or self.device.key],
            capture_output=True, text=True, timeout=3 * PATIENCE)
        assert done.returncode in (0, 1), done.stderr
        runs = [{}]
        for line in done.stdout.splitlines():
            word, value = line.split("=", 1)
            if word in runs[-1]:
                runs.append({})
            runs[-1][word] = int(value) if value.lstrip("-").isdigit() else value
        return runs

    def fails(self, error, *options, closed=1, **kw):
        """No connection, for that reason; the gateway closes, the board never does."""
        said = self.run(*options, **kw)[0]
        assert (said["mqtt_state"], said["tls_error"], said["closed"]) == (-2, error, closed), said


@pytest.fixture
def board(shared):
    return Board(shared, shared.enroll())


# ---- compiling -----------------------------------------------------------------


@pytest.mark.parametrize("standard", ("c++11", "gnu++11", "gnu++14", "gnu++17"))
def test_headers_compile(board, standard):
    if shutil.which(CXX[0]) is None:
        pytest.skip("no C++ compiler")
    includes = "".join('#include "%s"\n' % h for h in HEADERS[:3])
    use = """
int main()
{
    return (int)GW_TAs_NUM + (int)GW_TAs[0].dn.len + (int)sizeof SECRET_CERTIFICATE +
           SECRET_PORT + SECRET_SLOT + (int)sizeof SECRET_BROKER + mqttWords(-2)[0] +
           tlsWords(304)[0] + mqttClientWords(-1)[0];
}
"""
    flags = ("-xc++", "-std=" + standard, "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I",
             board.folder)
    assert compiles(CXX, "#include <bearssl.h>\n" + includes + use, *flags)
    # In the place of the library's own file, which has nothing included before.
    assert compiles(CXX, '#include <bearssl.h>\n#include "BearSSLTrustAnchors.h"\n'
                         "int main() { return TAs[0].flags == BR_X509_TA_CA && TAs_NUM == 1; }\n",
                    *flags)


# ---- connecting -----------------------------------------------------------------


def test_board_connects(shared, board):
    with shared.broker.client("home/%s/#" % board.device.name) as watch:
        said = board.run("-p", '{"ID": 44}')[0]
        watch.message("home/%s/telemetry" % board.device.name, '{"ID": 44}', 0)
    assert (said["mqtt_state"], said["tls_error"], said["suback"]) == (0, 0, 0)
    assert said["suite"] == "CCA9"
    assert board.warnings == ""


def test_message_reaches_the_board(shared, board):
    with shared.broker.client() as other:
        other.publish("home/%s/command" % board.device.name, b"1", retain=True)
    said = board.run("-m")[0]
    assert said["message"] == "inTopic 1"


def test_fragments_are_kept_short(board):
    said = board.run()[0]
    assert 0 < said["max_plain"] <= 512
    # 16 bytes of the seal.
    assert 0 < said["max_cipher"] <= 512 + 16


def test_suites_of_the_minimal_firmware(board):
    assert board.run("-s")[0]["mqtt_state"] == 0


def test_board_without_a_clock(board):
    assert board.run("-t", "0")[0]["mqtt_state"] == 0


def test_board_that_uses_an_address(shared):
    board = Board(shared, shared.enroll(), "127.0.0.1")
    assert "127.0.0.1" in board.warnings
    assert board.run(name="127.0.0.1")[0]["mqtt_state"] == 0
    assert board.run(name="-")[0]["mqtt_state"] == 0


def test_second_connect_resumes(board):
    first, second = board.run("-r")
    assert (first["resumed"], second["resumed"]) == (0, 1)
    assert (second["mqtt_state"], second["tls_error"]) == (0, 0)


def test_renewed_certificate_keeps_the_network(shared, board):
    with open(board.path("arduino_secrets.h")) as f:
        text = f.read()
    with open(board.path("arduino_secrets.h"), "w") as f:
        f.write(text.replace("name of your network", "barn"))
    done = subprocess.run(
        [ARDUINO_FILES, os.path.join(shared.state, "pki"), board.device.cert, board.device.name,
         "localhost", "1", board.folder], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    with open(board.path("arduino_secrets.h")) as f:
        assert f.read() == text.replace("name of your network", "barn").replace(
            str(shared.port), "1")


# ---- refused: the board can say why ---------------------------------------------


def test_wrong_name(board):
    """The board says nothing and leaves the socket open, as long as it likes."""
    board.fails(56, name="other.local", deadline=2, closed=0)


def test_silent_board_is_closed_in_the_end(gateway):
    """Its library has no time limit: without the gateway's it would hang for ever."""
    one = gateway(conf={"limits": {"handshake_timeout": "10s"}})
    Board(one, one.enroll()).fails(56, name="other.local", deadline=2 * PATIENCE)


def test_unknown_ca_of_the_gateway(shared, board, tmp_path):
    other = certs.Authority("Another CA")
    foreign = Board(shared, shared.enroll())
    certs.write(str(tmp_path), "ca", other.cert, other.key, "ca")
    shutil.copy(os.path.join(shared.state, "pki", "gateway.crt"), str(tmp_path))
    done = subprocess.run([ARDUINO_FILES, str(tmp_path), foreign.device.cert, foreign.device.name,
                           "localhost", str(shared.port), foreign.folder], timeout=PATIENCE)
    assert done.returncode == 0
    foreign.fails(62, deadline=2, closed=0)


def test_no_certificate(board):
    board.fails(296, "-n")


def test_certificate_of_another_key(shared, board):
    board.fails(307, key=shared.enroll().key)


def test_certificate_of_another_ca(shared):
    device = certs.Authority("Another CA").issue(shared.folder, "stranger", "stranger")
    Board(shared, device).fails(304)


def test_device_that_nobody_enrolled(shared):
    ca = certs.Authority.load(os.path.join(shared.state, "pki"))
    Board(shared, ca.issue(shared.folder, "unknown", "unknown")).fails(302)


def test_expired_certificate(shared):
    ca = certs.Authority.load(os.path.join(shared.state, "pki"))
    device = ca.issue(shared.folder, "old", "old", not_before=-3 * DAY, not_after=-DAY)
    Board(shared, device).fails(301)


def test_certificate_of_the_future(shared):
    ca = certs.Authority.load(os.path.join(shared.state, "pki"))
    device = ca.issue(shared.folder, "young", "young", not_before=DAY, not_after=3 * DAY)
    Board(shared, device).fails(298)


def test_certificate_for_servers(shared):
    ca = certs.Authority.load(os.path.join(shared.state, "pki"))
    device = ca.issue(shared.folder, "server", "server",
                      usage=certs.ExtendedKeyUsageOID.SERVER_AUTH)
    Board(shared, device).fails(299)


def test_revoked_device(shared):
    device = shared.enroll()
    board = Board(shared, device)
    assert board.run()[0]["mqtt_state"] == 0
    shared.ctl("revoke", device.name)
    board.fails(300)


# ---- the CA of the original question -------------------------------------------------


@pytest.fixture
def old_ca(pki, tmp_path):
    """A state folder with an RSA CA, version 1, named like the machine's address."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    state = str(tmp_path / "state")
    shutil.copytree(pki, state)
    for file in ("ca.key", "ca.crt", "gateway.key", "gateway.crt"):
        os.unlink(os.path.join(state, "pki", file))
    request = ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj",
               "/C=US/ST=Ohio/O=iot/CN=127.0.0.1", "-keyout", "old.key", "-out", "old.csr"]
    sign = ["openssl", "x509", "-req", "-in", "old.csr", "-signkey", "old.key", "-days", "3650",
            "-out", "old.crt"]
    for command in (request, sign):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=PATIENCE)
    done = subprocess.run([ARDUINO_FILES, "import", os.path.join(state, "pki"), "old.crt",
                           "old.key", "localhost"], cwd=tmp_path, capture_output=True, text=True,
                          timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    for word in ("version 1", "RSA key", "IP address"):
        assert word in done.stderr
    return state


def test_old_ca_works(old_ca):
    one = Gateway(old_ca)
    try:
        board = Board(one, one.enroll())
        assert "RSA key" in board.warnings
        assert board.run()[0]["mqtt_state"] == 0
        foreign = certs.Authority("Another CA").issue(one.folder, "stranger", "stranger")
        Board(one, foreign).fails(304)
    finally:
        one.close()
