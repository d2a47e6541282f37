/** Breaks: the ways in which a delivered audit log can be incomplete or changed. */

import type { DigestName } from "./names.ts";

/** The codes, each with one sentence that describes the break. */
export const BREAKS = {
    NO_DIGESTS: "There is no digest, so nothing can be verified.",
    WRONG_PLACE: "The digests name another bucket or path than the one that was verified.",
    TRUNCATED_CHAIN:
        "The newest digests are missing: the chain ends before the expected time or without the expected digest.",
    OUTDATED_COPY: "The copy was made before the newest export that the service reports, and ends earlier.",
    NOT_WHOLE: "The whole export was required, but some of its digests or objects are elsewhere or were not checked.",
    UNPROVEN_FILES: "All files were required to be proven, but no proven digest covers some of them.",
    MISSING_DIGEST: "A digest is missing, although the next digest or its own signature names it.",
    MISSING_SIGNATURE: "A digest has no signature file.",
    ALTERED_DIGEST: "The bytes of a digest differ from those that the next digest names, and no known key signed them.",
    BAD_SIGNATURE: "A signature does not match its digest: one of the two was changed.",
    WRONG_KEY: "A digest names a signing key that is not among the given public keys.",
    REPLAYED_DIGEST: "A digest with a valid signature has the name of another digest: it was moved or copied.",
    SPLICED_CHAIN: "A digest with a valid signature belongs to another tenant or configuration.",
    FORKED_CHAIN:
        "Two digests with valid signatures claim the same place in the chain, or no digest links to one of them.",
    WINDOW_GAP: "Two consecutive digests do not meet: their windows or sequence numbers leave a gap or overlap.",
    UNKNOWN_VERSION: "A digest has a version that this program does not support.",
    INVALID_DIGEST: "A digest with a valid signature contradicts itself or the format.",
    MISSING_OBJECT: "An object that a digest names is missing.",
    ALTERED_OBJECT: "The bytes of an object differ from those that its digest names.",
    REORDERED:
        "An object holds the bytes of another object, or a digest lists its objects out of order or overlapping.",
    EXTRA_OBJECT: "A file that no digest names is in the verified period, among the digests, or dated in the future.",
} as const;

export type BreakCode = keyof typeof BREAKS;

/** The codes of the command line that are only found by decoding objects, which the page does not do. */
export const CODES_OF_DEEP_VERIFICATION: readonly string[] = ["CONTENT_MISMATCH", "FILTER_MISMATCH"];

/** One break, and the file that it was found in. */
export interface Break {
    code: BreakCode;
    /** Undefined: the break concerns the export as a whole. */
    readonly file: string | undefined;
    /** The sequence of the digest that it was found with. */
    readonly sequence: bigint | undefined;
    detail: string;
}

export function breakOfExport(code: BreakCode, detail: string): Break {
    return { code, file: undefined, sequence: undefined, detail };
}

/** Returns a break of a digest or of its signature. */
export function breakOfDigest(code: BreakCode, name: DigestName, detail: string): Break {
    return { code, file: name.file(), sequence: name.sequence, detail };
}

/** Returns the break of a file that no digest names. */
export function extraObject(file: string, detail: string): Break {
    return { code: "EXTRA_OBJECT", file, sequence: undefined, detail };
}
