/** The public keys that a verification accepts as signing keys of digests: ECDSA on P-256. */

import { type Bytes, equalBytes, sha256 } from "./bytes.ts";
import { keyReasons } from "./text.ts";

const MAX_KEYS = 64;

/**
 * The bytes before the point in the `SubjectPublicKeyInfo` (RFC 5480) of every P-256 key. DER allows no other spelling.
 */
const P256_HEADER = Uint8Array.from("3059301306072a8648ce3d020106082a8648ce3d030107034200".match(/../g) ?? [], (pair) =>
    Number.parseInt(pair, 16),
);
const POINT_LENGTH = 65;
const COORDINATE_LENGTH = 32;

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" } as const;

export type InvalidKeyReason = "NOT_PEM" | "OTHER_CONTENT" | "OTHER_KIND" | "TOO_MANY";

export class InvalidKey extends Error {
    readonly reason: InvalidKeyReason;

    constructor(reason: InvalidKeyReason) {
        super(keyReasons(MAX_KEYS)[reason]);
        this.reason = reason;
    }
}

export class PublicKeys {
    private readonly keys: ReadonlyMap<string, CryptoKey>;

    private constructor(keys: ReadonlyMap<string, CryptoKey>) {
        this.keys = keys;
    }

    static none(): PublicKeys {
        return new PublicKeys(new Map());
    }

    /** Adds the keys of a PEM text: one or more `SubjectPublicKeyInfo`, as `openssl pkey -pubout` writes them. */
    async withPem(text: string): Promise<PublicKeys> {
        const sections = [...text.matchAll(/-----BEGIN ([^-\n]+)-----([^-]*)-----END ([^-\n]+)-----/g)];
        if (sections.length === 0 || sections.length !== text.split("-----BEGIN ").length - 1) {
            throw new InvalidKey("NOT_PEM");
        }
        const keys = new Map(this.keys);
        for (const [, begin, body, end] of sections) {
            if (begin !== end) {
                throw new InvalidKey("NOT_PEM");
            }
            if (begin !== "PUBLIC KEY") {
                throw new InvalidKey("OTHER_CONTENT");
            }
            const der = decodeBase64((body ?? "").replaceAll(/\s/g, ""));
            const fingerprint = await sha256(der);
            if (!keys.has(fingerprint)) {
                keys.set(fingerprint, await importKey(der));
            }
            if (keys.size > MAX_KEYS) {
                throw new InvalidKey("TOO_MANY");
            }
        }
        return new PublicKeys(keys);
    }

    get isEmpty(): boolean {
        return this.keys.size === 0;
    }

    /** The SHA-256 of each key's DER. */
    fingerprints(): string[] {
        return [...this.keys.keys()];
    }

    /** Returns whether the key of that fingerprint signed `bytes`. Undefined: the key is unknown. */
    async verify(fingerprint: string, bytes: Bytes, signature: Bytes): Promise<boolean | undefined> {
        const key = this.keys.get(fingerprint);
        return key && isSignature(key, bytes, signature);
    }

    async anyVerifies(bytes: Bytes, signature: Bytes): Promise<boolean> {
        const verified = await Promise.all([...this.keys.values()].map((key) => isSignature(key, bytes, signature)));
        return verified.includes(true);
    }
}

function decodeBase64(text: string): Bytes {
    try {
        return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    } catch {
        throw new InvalidKey("NOT_PEM");
    }
}

async function importKey(der: Bytes): Promise<CryptoKey> {
    const isP256 =
        der.length === P256_HEADER.length + POINT_LENGTH &&
        equalBytes(der.subarray(0, P256_HEADER.length), P256_HEADER);
    if (!isP256) {
        throw new InvalidKey("OTHER_KIND");
    }
    try {
        // This also checks that the point lies on the curve.
        return await crypto.subtle.importKey("spki", der, ALGORITHM, false, ["verify"]);
    } catch {
        throw new InvalidKey("OTHER_KIND");
    }
}

async function isSignature(key: CryptoKey, bytes: Bytes, signature: Bytes): Promise<boolean> {
    const numbers = fixedForm(signature);
    return numbers !== undefined && crypto.subtle.verify(SIGNATURE, key, numbers, bytes);
}

/**
 * Converts a signature from DER, which the service writes, to the two numbers of 32 bytes that WebCrypto reads.
 * Undefined unless it is the one spelling in DER of two positive numbers.
 */
export function fixedForm(der: Uint8Array): Bytes | undefined {
    if (der[0] !== 0x30 || der[1] !== der.length - 2 || der.length > 0x7f) {
        return undefined;
    }
    const form = new Uint8Array(2 * COORDINATE_LENGTH);
    let position = 2;
    for (const end of [COORDINATE_LENGTH, 2 * COORDINATE_LENGTH]) {
        const length = der[position + 1] ?? 0;
        const number = der.subarray(position + 2, position + 2 + length);
        position += 2 + length;
        const [first = 0x80, second = 0] = number;
        // Negative, or with a zero that is not needed.
        const isWrong = first >= 0x80 || (first === 0 && length > 1 && second < 0x80);
        const digits = first === 0 ? number.subarray(1) : number;
        if (
            der[position - length - 2] !== 0x02 ||
            number.length !== length ||
            isWrong ||
            digits.length > COORDINATE_LENGTH
        ) {
            return undefined;
        }
        form.set(digits, end - digits.length);
    }
    return position === der.length ? form : undefined;
}
