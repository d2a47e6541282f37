/** The examination of one digest: its signature, identity, link and contents. */

import type { Archive, BoundedFile } from "./archive.ts";
import { type Break, breakOfDigest } from "./breaks.ts";
import { equalBytes, sha256 } from "./bytes.ts";
import { MAX_DIGEST_LENGTH } from "./chain.ts";
import { contradiction } from "./contradiction.ts";
import { type Digest, digestBytes, type DigestReference, InvalidDigest, parseDigest } from "./digest.ts";
import type { PublicKeys } from "./keys.ts";
import type { DigestName } from "./names.ts";
import { timeText } from "./time.ts";

/** The most bytes of a signature, which has 72 at most. */
const MAX_SIGNATURE_LENGTH = 128;

/** A name among the digests. */
export interface Listed {
    readonly name: DigestName;
    hasDigest: boolean;
    hasSignature: boolean;
}

/** A digest and its signature, as read. */
export interface Pair {
    readonly name: DigestName;
    readonly digest: BoundedFile;
    readonly signature: BoundedFile;
}

export async function readPair(archive: Archive, { name, hasDigest, hasSignature }: Listed): Promise<Pair> {
    return {
        name,
        digest: hasDigest ? await archive.readBounded(name.file(), MAX_DIGEST_LENGTH) : "MISSING",
        signature: hasSignature ? await archive.readBounded(name.signatureFile(), MAX_SIGNATURE_LENGTH) : "MISSING",
    };
}

/** The owner of an export, as far as it is known. */
export interface Identity {
    configurationId: string | undefined;
    tenantId: string | undefined;
}

export type Examined = { readonly digest: Digest; readonly sha256: string } | { readonly broken: Break };

/** Checks a digest by itself and against the reference of the next one. */
export async function examine(
    pair: Pair,
    expected: DigestReference | undefined,
    keys: PublicKeys,
    identity: Identity,
): Promise<Examined> {
    const { name, digest: bytes, signature } = pair;
    const fail = (code: Break["code"], detail: string): Examined => ({ broken: breakOfDigest(code, name, detail) });
    if (bytes === "MISSING") {
        return fail("MISSING_DIGEST", "only its signature exists");
    }
    if (bytes === "TOO_LONG") {
        return fail("ALTERED_DIGEST", "it is longer than any digest");
    }
    if (signature === "MISSING") {
        return fail("MISSING_SIGNATURE", "a run may be in progress: verify again later");
    }
    if (signature === "TOO_LONG") {
        return fail("BAD_SIGNATURE", "the signature is longer than any");
    }
    const [actual, signatureSha256] = await Promise.all([sha256(bytes), sha256(signature)]);
    const parsed = await parseDigest(bytes).catch((error: unknown) => {
        if (error instanceof InvalidDigest) {
            return error;
        }
        throw error;
    });
    const isExpected = expected === undefined || expected.sha256 === actual;
    const isSigned =
        parsed instanceof InvalidDigest
            ? await keys.anyVerifies(bytes, signature)
            : await keys.verify(parsed.signingKey, bytes, signature);
    if (isSigned === undefined) {
        const key = parsed instanceof InvalidDigest ? "" : parsed.signingKey;
        return fail(
            "WRONG_KEY",
            `it names key ${key}${isExpected ? "" : ", and the next digest names another digest"}`,
        );
    }
    if (!isSigned) {
        return isExpected
            ? fail("BAD_SIGNATURE", "the signature does not match these bytes")
            : fail("ALTERED_DIGEST", `its SHA-256 is ${actual}`);
    }
    if (parsed instanceof InvalidDigest) {
        return fail(parsed.isUnknownVersion ? "UNKNOWN_VERSION" : "INVALID_DIGEST", parsed.message);
    }
    const foreign = otherIdentity(parsed, name, identity);
    if (foreign) {
        return { broken: foreign };
    }
    if (!isExpected) {
        return fail("FORKED_CHAIN", `its SHA-256 is ${actual}, and the next digest names another digest`);
    }
    if (expected && expected.signatureSha256 !== signatureSha256) {
        return fail("BAD_SIGNATURE", "the next digest names another signature");
    }
    if (!name.fitsSignature(signatureSha256)) {
        return fail("REPLAYED_DIGEST", "the end of its name does not match the signature");
    }
    if (!equalBytes(digestBytes(parsed), bytes)) {
        return fail("INVALID_DIGEST", "its bytes are not in the format of a digest");
    }
    const contradicted = contradiction(parsed);
    return contradicted ? fail(contradicted.code, contradicted.detail) : { digest: parsed, sha256: actual };
}

/** Checks that the digest is of this tenant and configuration, and of this name. */
function otherIdentity(digest: Digest, name: DigestName, identity: Identity): Break | undefined {
    if (identity.configurationId !== undefined && identity.configurationId !== digest.configurationId) {
        return breakOfDigest("SPLICED_CHAIN", name, `it is of configuration ${digest.configurationId}`);
    }
    if (identity.tenantId !== undefined && identity.tenantId !== digest.tenantId) {
        return breakOfDigest("SPLICED_CHAIN", name, `it is of tenant ${digest.tenantId}`);
    }
    const { sequence, window } = digest;
    if (sequence !== name.sequence || window.to !== name.to) {
        return breakOfDigest("REPLAYED_DIGEST", name, `it is digest ${sequence} through ${timeText(window.to)}`);
    }
    return undefined;
}
