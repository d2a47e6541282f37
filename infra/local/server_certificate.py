"""The certificate of servers on this machine, which the local stack trusts: DevelopmentCaFile in template.yaml."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.local.settings import LOCAL

DIRECTORY = LOCAL / "server-certificate"
CERTIFICATE = DIRECTORY / "certificate.pem"
PRIVATE_KEY = DIRECTORY / "private-key.pem"
# The only name of servers on this machine.
HOST = "localhost"
VALID_DAYS = 365


def create() -> None:
    """Creates the certificate, which vouches for itself, unless it exists."""
    if CERTIFICATE.exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "audit-export local server")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    PRIVATE_KEY.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    PRIVATE_KEY.chmod(0o600)
    # Last: its existence says that the key exists too.
    CERTIFICATE.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
