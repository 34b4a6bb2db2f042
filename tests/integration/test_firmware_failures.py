# SPDX-License-Identifier: BSD-2-Clause
"""
What goes wrong outside the board: each ends in a code of its own, in the log
and in the report page, and where the gateway has seen anything of it,
`gatewayctl failures` names the same cause.
"""
import datetime
import os
import socket
import struct
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lib import certs, config
from lib.board import BLOCK, CONNECTED, SETTINGS, STEP, edit_settings, needs_board, records
from lib.certs import DAY
from lib.gateway import run_ctl
from lib.wait import until

pytestmark = needs_board

HOST, CERTIFICATE, CLOCK = 4, 8, 9  # records of the settings page


def causes(gateway):
    return [one["cause"] for one in gateway.ctl("failures", output="json")["failures"]]


def fails(board, code, *options, **kw):
    """It reports that, in the log and in its page; nothing else comes before."""
    board.start(*options, **kw)
    board.wait("report [1-9]")
    assert board.codes()[0] == code, board.text()
    # Said first, then written.
    until(lambda: board.reported() == code, "the report page of %s" % board.name, STEP)
    board.stop()


def named(gateway, cause):
    try:
        until(lambda: cause in causes(gateway), "%s among the failures" % cause)
    except AssertionError as e:
        raise AssertionError("%s: %s" % (e, causes(gateway))) from None


def our_certificate(gateway, file, subject, key, names=(), start=-DAY, end=365 * DAY,
                    usage=ExtendedKeyUsageOID.CLIENT_AUTH):
    """Signed by the CA of the gateway, with what gatewayctl would not write into one."""
    ca = certs.Authority.load(os.path.join(gateway.state, "pki"))
    now = datetime.datetime.utcnow()
    made = (x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(ca.cert.subject).public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + start).not_valid_after(now + end)
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(x509.ExtendedKeyUsage([usage]), False))
    if names:
        made = made.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    made = made.sign(ca.key, hashes.SHA256())
    if file is not None:
        with open(file, "wb") as f:
            f.write(made.public_bytes(serialization.Encoding.PEM))
    return made.public_bytes(serialization.Encoding.DER)


# ---- what the gateway sees -----------------------------------------------------------


def test_wrong_authority(boards, shared, gateway, tmp_path):
    """`gatewayctl init` once more: the board trusts the CA of before."""
    one = boards("lost1").provisioned()
    state = tmp_path / "state"
    conf = tmp_path / "gateway.conf"
    conf.write_text(config.settings({"gateway": {
        "state_directory": str(state), "control_socket": str(tmp_path / "control")}}))
    run_ctl(str(conf), "init", "--force-names", "--name", "localhost", "--name", "127.0.0.1")
    one.gateway = other = type(shared)(str(state), start_broker=True)
    try:
        fails(one, 21)
        named(other, "device-lacks-ca")
    finally:
        one.gateway = shared
        other.close()


def test_revoked(boards, shared):
    one = boards("lost2").provisioned()
    one.run_until(CONNECTED)
    shared.ctl("revoke", "lost2")
    fails(one, 25)
    named(shared, "device-revoked")
    told = shared.ctl("diagnose", "lost2", output="json")
    assert told["verdict"]["cause"] == "device-revoked"


def test_expired(boards, shared):
    one = boards("lost3").provisioned()
    mine = x509.load_der_x509_certificate(records(one.page(SETTINGS), b"MKRGWSET")[CERTIFICATE])
    edit_settings(one, {CERTIFICATE: our_certificate(shared, None, "lost3", mine.public_key(),
                                                     start=-9 * DAY, end=-DAY)})
    fails(one, 26)
    named(shared, "device-certificate-expired")


def test_certificate_of_another_board(boards, shared):
    one = boards("lost4").provisioned()
    two = boards("lost5").provisioned()
    other = records(two.page(SETTINGS), b"MKRGWSET")[CERTIFICATE]
    edit_settings(one, {CERTIFICATE: other})
    fails(one, 6)


def test_name_not_in_the_certificate(boards, shared):
    one = boards("lost6").provisioned()
    edit_settings(one, {HOST: b"other.lan"})
    fails(one, 22, "--resolve", "other.lan=192.0.2.9:%d" % shared.port)
    named(shared, "name-mismatch")


def test_without_time(boards, gateway):
    """The gateway's usual certificate begins in 1970, so a board needs no clock; another one does."""
    gw = gateway()
    gw.keep_port()
    one = boards("lost7", "--time", "none", gateway=gw).provisioned()
    edit_settings(one, {CLOCK: None})
    one.run_until(CONNECTED)
    pki = os.path.join(gw.state, "pki")
    with open(os.path.join(pki, "gateway.key"), "rb") as f:
        key = serialization.load_pem_private_key(f.read(), None).public_key()
    shape = dict(names=["localhost", "127.0.0.1"], usage=ExtendedKeyUsageOID.SERVER_AUTH)
    our_certificate(gw, os.path.join(pki, "gateway.crt"), "localhost", key, **shape)
    gw.stop()
    gw.start()
    fails(one, 23)
    named(gw, "device-lacks-ca-or-time")
    # The radio knows the time: all is well. A day in the settings does as well.
    one.options = []
    one.run_until(CONNECTED)
    our_certificate(gw, os.path.join(pki, "gateway.crt"), "localhost", key, start=-9 * DAY,
                    end=-DAY, **shape)
    gw.stop()
    gw.start()
    fails(one, 24)
    named(gw, "gateway-certificate-expired")


# ---- what it does not ------------------------------------------------------------------


def goes_to(board, port):
    edit_settings(board, {HOST: b"elsewhere.lan"})
    return "--resolve", "elsewhere.lan=192.0.2.9:%d" % port


def test_wrong_passphrase(boards):
    one = boards("lost10").provisioned()
    one.passphrase = "another passphrase"
    fails(one, 12)


def test_no_such_network(boards):
    fails(boards("lost11").provisioned(), 11, "--wifi-ssid", "elsewhere")


def test_unknown_name(boards):
    one = boards("lost12").provisioned()
    edit_settings(one, {HOST: b"nowhere.lan"})
    fails(one, 14)


def test_nobody_listens(boards):
    one = boards("lost13").provisioned()
    # Bound but not listening: refused, and nobody else gets the port meanwhile.
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        fails(one, 15, *goes_to(one, s.getsockname()[1]))


def test_silent_gateway(boards):
    one = boards("lost14").provisioned()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        fails(one, 32, *goes_to(one, s.getsockname()[1]))


def test_no_answer_at_all(boards):
    fails(boards("lost15").provisioned(), 16, faults=["winc.connect-silent"])


def test_something_else_than_tls(boards):
    one = boards("lost16").provisioned()

    def answer(listener):
        try:
            with listener.accept()[0] as peer:
                peer.recv(1000)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                peer.recv(1000)
        except OSError:
            pass
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        threading.Thread(target=answer, args=(s,), daemon=True).start()
        fails(one, 29, *goes_to(one, s.getsockname()[1]))


def test_damaged_settings(boards):
    one = boards("lost17").provisioned()
    page = bytearray(one.page(SETTINGS))
    page[40] ^= 1
    one.put(SETTINGS, bytes(page))
    fails(one, 2)


def test_settings_of_a_later_version(boards):
    one = boards("lost18").provisioned()
    found = one.page(SETTINGS)
    one.put(SETTINGS, found[:8] + struct.pack("<H", 2) + found[10:])
    one.start()
    one.wait("report [1-9]")
    one.stop()
    assert one.codes()[0] == 2 and len(one.page(SETTINGS)) == BLOCK
