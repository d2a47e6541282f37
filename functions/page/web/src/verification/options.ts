/** The options of a verification, and the progress that it reports. */

import type { PublicKeys } from "./keys.ts";
import type { Place } from "./place.ts";
import type { Expectation } from "./report.ts";

/**
 * The most that the clock of the machine that verifies may be behind the service's. No export has a file whose name has
 * a later time.
 */
export const MAX_CLOCK_SKEW = 15 * 60_000;

export interface Options {
    readonly keys: PublicKeys;
    /** The place that the digests have to name. Undefined: the one that the newest digest names. */
    readonly place: Place | undefined;
    /** The configuration of a copy whose place is unknown. */
    readonly configurationId: string | undefined;
    /** The number of files that are read at the same time. */
    readonly concurrency: number;
    /** Stops at the digest whose window holds this time. */
    readonly since: number | undefined;
    readonly wholeRequired: boolean;
    readonly provenRequired: boolean;
    /** Copies may be older than the export; those on disk may hold files that an operating system created. */
    readonly origin: "BUCKET" | "REPLICA" | "COPY";
    readonly expectation: Expectation;
}

export type Progress =
    | { readonly kind: "DIGESTS_LISTED"; readonly count: number }
    | { readonly kind: "DIGEST_CHECKED" }
    | { readonly kind: "OBJECTS_COUNTED"; readonly count: number; readonly storedBytes: bigint }
    | { readonly kind: "BYTES_READ"; readonly count: number }
    | { readonly kind: "OBJECT_CHECKED" };

export type ShowProgress = (progress: Progress) => void;
