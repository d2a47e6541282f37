#!/bin/sh
# Moto 5.2.5: KMS ignores MessageType DIGEST and hashes the digest again. A signature made with it is refused by `openssl dgst -verify` and
# by Moto's `verify` of the message itself; only `verify` with DIGEST accepts it, so a test that signs and verifies with Moto passes. AWS:
# with DIGEST "KMS skips the hashing step", and "the message type does not need to be the same as the one used for signing":
# https://docs.aws.amazon.com/kms/latest/APIReference/API_Verify.html. Reported: https://github.com/getmoto/moto/pull/10202
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install moto==5.2.5 boto3==1.43.106
AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1 venv/bin/python - <<'PYTHON'
import base64
import hashlib
import subprocess
from pathlib import Path

import boto3
from moto import mock_aws

TEXT = b"digest of a window"
FORMS = {"RAW": TEXT, "DIGEST": hashlib.sha256(TEXT).digest()}
VERIFY = "openssl dgst -sha256 -verify public.pem -signature signature message"


def fields(form):
    return {"KeyId": key, "Message": FORMS[form], "MessageType": form, "SigningAlgorithm": "ECDSA_SHA_256"}


def moto_accepts(signature, form):
    try:
        return kms.verify(Signature=signature, **fields(form))["SignatureValid"]
    except kms.exceptions.KMSInvalidSignatureException:
        return False


def openssl_accepts(signature):
    Path("signature").write_bytes(signature)
    return subprocess.run(VERIFY.split(), capture_output=True).returncode == 0


seen = {}
with mock_aws():
    kms = boto3.client("kms")
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    public = base64.encodebytes(kms.get_public_key(KeyId=key)["PublicKey"]).decode()
    Path("public.pem").write_text(f"-----BEGIN PUBLIC KEY-----\n{public}-----END PUBLIC KEY-----\n")
    Path("message").write_bytes(TEXT)
    for form in FORMS:
        signature = kms.sign(**fields(form))["Signature"]
        seen[form] = {f"verify {other}": moto_accepts(signature, other) for other in FORMS}
        seen[form]["openssl"] = openssl_accepts(signature)
        print(f"signed as {form}:", seen[form])
# On AWS: all True.
assert seen["RAW"] == {"verify RAW": True, "verify DIGEST": False, "openssl": True}
assert seen["DIGEST"] == {"verify RAW": False, "verify DIGEST": True, "openssl": False}
PYTHON
