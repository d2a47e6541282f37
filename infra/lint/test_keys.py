"""The KMS keys of template.yaml: who uses which, and for what."""

from __future__ import annotations

from infra.lint.template import FUNCTIONS, RESOURCES, ROOT, as_list, target


def test_the_secret_key_is_used_only_with_a_whole_encryption_context() -> None:
    policy = {s["Sid"]: s for s in RESOURCES["SecretKey"]["Properties"]["KeyPolicy"]["Statement"]}
    administration, encrypts, decrypts = (
        policy.pop(sid) for sid in ("Administration", "ApiEncrypts", "VerifierExporterAndConverterDecrypt")
    )
    assert set(policy) == {"ApiEncryptsForWebhooks", "NotifierDecryptsForWebhooks"}
    cryptographic = {"kms:CreateGrant", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom"}
    assert not cryptographic & set(administration["Action"])
    assert (encrypts["Action"], [target(p) for p in as_list(encrypts["Principal"]["AWS"])]) == (
        "kms:Encrypt",
        ["ApiRole"],
    )
    assert (decrypts["Action"], [target(p) for p in decrypts["Principal"]["AWS"]]) == (
        "kms:Decrypt",
        ["VerifierRole", "ExporterRole", "ConverterRole"],
    )
    for statement in (encrypts, decrypts):
        assert statement["Condition"] == {
            "Null": {
                "kms:EncryptionContext:tenantId": "false",
                "kms:EncryptionContext:configurationId": "false",
            },
            "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["tenantId", "configurationId"]},
        }


def test_the_secret_of_a_webhook_is_bound_to_its_purpose() -> None:
    """The context of an access key has no purpose, so neither kind of secret can be used as the other."""
    policy = {s["Sid"]: s for s in RESOURCES["SecretKey"]["Properties"]["KeyPolicy"]["Statement"]}
    encrypts, decrypts = policy["ApiEncryptsForWebhooks"], policy["NotifierDecryptsForWebhooks"]
    assert (encrypts["Action"], target(encrypts["Principal"]["AWS"])) == ("kms:Encrypt", "ApiRole")
    assert (decrypts["Action"], target(decrypts["Principal"]["AWS"])) == ("kms:Decrypt", "NotifierRole")
    for statement in (encrypts, decrypts):
        assert statement["Condition"] == {
            "StringEquals": {"kms:EncryptionContext:purpose": "webhook"},
            "Null": {
                "kms:EncryptionContext:tenantId": "false",
                "kms:EncryptionContext:configurationId": "false",
            },
            "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["tenantId", "configurationId", "purpose"]},
        }
    vault = (ROOT / "shared" / "aws-adapters" / "src" / "secrets.rs").read_text()
    assert 'Self::Webhook => Some("webhook")' in vault


def test_those_that_export_and_the_housekeeper_sign_and_the_api_reads_no_more_than_the_public_half() -> None:
    policy = {s["Sid"]: s for s in RESOURCES["SigningKey"]["Properties"]["KeyPolicy"]["Statement"]}
    administration, publishes = (policy.pop(sid) for sid in ("Administration", "ApiPublishes"))
    signers = {sid: policy.pop(sid) for sid in ("ExporterAndConverterSign", "HousekeeperSigns")}
    assert policy == {}
    assert not {"kms:CreateGrant", "kms:Sign"} & set(administration["Action"])
    for signs in signers.values():
        assert set(signs["Action"]) == {"kms:GetPublicKey", "kms:Sign"}
    principals = {sid: [target(p) for p in as_list(signs["Principal"]["AWS"])] for sid, signs in signers.items()}
    assert principals == {
        "ExporterAndConverterSign": ["ExporterRole", "ConverterRole"],
        "HousekeeperSigns": ["HousekeeperRole"],
    }
    assert (publishes["Action"], [target(p) for p in as_list(publishes["Principal"]["AWS"])]) == (
        "kms:GetPublicKey",
        ["ApiRole"],
    )


def test_the_api_serves_the_key_that_the_exporter_signs_with_and_those_that_are_retired() -> None:
    variables = {name: RESOURCES[name]["Properties"]["Environment"]["Variables"] for name in FUNCTIONS}
    assert variables["ApiFunction"]["SIGNING_KEY_ARN"] == variables["ExporterFunction"]["SIGNING_KEY_ARN"]
    assert variables["ApiFunction"]["RETIRED_SIGNING_KEY_ARNS"] == {"Fn::Join": [",", {"Ref": "RetiredSigningKeyArns"}]}


def test_the_key_of_the_archive_is_used_through_s3_by_those_that_read_and_write_it() -> None:
    policy = {s["Sid"]: s for s in RESOURCES["ArchiveKey"]["Properties"]["KeyPolicy"]["Statement"]}
    administration, writes, reads = (
        policy.pop(sid) for sid in ("Administration", "ArchiverWrites", "ExporterAndConverterRead")
    )
    assert policy == {}
    cryptographic = {"kms:CreateGrant", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom"}
    assert not cryptographic & set(administration["Action"])
    assert (writes["Action"], target(writes["Principal"]["AWS"])) == (
        ["kms:Decrypt", "kms:GenerateDataKey"],
        "ArchiverRole",
    )
    assert (reads["Action"], [target(p) for p in reads["Principal"]["AWS"]]) == (
        "kms:Decrypt",
        ["ExporterRole", "ConverterRole"],
    )
    for statement in (writes, reads):
        through = {"kms:ViaService": {"Fn::Sub": "s3.${AWS::Region}.${AWS::URLSuffix}"}}
        assert statement["Condition"] == {"StringEquals": through}
