# SPDX-License-Identifier: BSD-2-Clause
"""Certificates of devices that gatewayctl would never make: every bad kind."""
import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lib.gateway import Device

DAY = datetime.timedelta(days=1)


def new_key(kind="ec"):
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1())


def _name(cn, value_type=None):
    if cn is None:
        return x509.Name([])
    kw = {"_type": value_type} if value_type else {}
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn, **kw)])


class Authority:
    """A CA: its own, or the gateway's when loaded from its folder."""

    def __init__(self, cn="Another CA", cert=None, key=None):
        self.key = key or new_key()
        self.cert = cert or self._self_signed(cn)

    @classmethod
    def load(cls, folder):
        """The CA that `gatewayctl init` made."""
        with open(os.path.join(folder, "ca.key"), "rb") as f:
            key = serialization.load_pem_private_key(f.read(), None)
        with open(os.path.join(folder, "ca.crt"), "rb") as f:
            return cls(cert=x509.load_pem_x509_certificate(f.read()), key=key)

    def _self_signed(self, cn):
        now = datetime.datetime.utcnow()
        return (x509.CertificateBuilder().subject_name(_name(cn)).issuer_name(_name(cn))
                .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now - DAY).not_valid_after(now + 365 * DAY)
                .add_extension(x509.BasicConstraints(True, 0), True)
                .sign(self.key, hashes.SHA256()))

    def issue(self, folder, file, cn, not_before=-DAY, not_after=365 * DAY, key=None,
              sans=(), usage=ExtendedKeyUsageOID.CLIENT_AUTH, serial=None, ca=False,
              extensions=()):
        """
        A device in FOLDER/FILE.crt and .key. not_before and not_after: from now;
        usage None: no extended key usage; extensions: (extension, critical).
        """
        now = datetime.datetime.utcnow()
        key = key or new_key()
        builder = (x509.CertificateBuilder().subject_name(_name(cn))
                   .issuer_name(self.cert.subject).public_key(key.public_key())
                   .serial_number(serial or x509.random_serial_number())
                   .not_valid_before(now + not_before).not_valid_after(now + not_after)
                   .add_extension(x509.BasicConstraints(ca, None), True))
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
        if sans:
            builder = builder.add_extension(x509.SubjectAlternativeName(sans), False)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return write(folder, file, builder.sign(self.key, hashes.SHA256()), key, cn)


def self_signed(folder, file, cn):
    """A device that nobody vouches for."""
    own = Authority(cn)
    return write(folder, file, own.cert, own.key, cn)


def write(folder, file, cert, key, name):
    pem = serialization.Encoding.PEM
    device = Device(name, os.path.join(folder, file + ".crt"), os.path.join(folder, file + ".key"))
    with open(device.cert, "wb") as f:
        f.write(cert.public_bytes(pem))
    with open(device.key, "wb") as f:
        f.write(key.private_bytes(pem, serialization.PrivateFormat.PKCS8,
                                  serialization.NoEncryption()))
    return device
