/** Messages between the page and the worker that verifies. */

import type { Progress } from "./options.ts";
import type { Report } from "./report.ts";

/** What the worker is given. */
export interface Task {
    readonly files: readonly { readonly name: string; readonly file: File }[];
    /** PEM texts of public keys. */
    readonly keys: readonly string[];
    /** `s3://…`, if the copy's place is known. */
    readonly place: string | undefined;
    readonly configurationId: string | undefined;
    readonly expectedThrough: { readonly time: string; readonly source: "CALLER" | "SERVICE" } | undefined;
    readonly wholeRequired: boolean;
    readonly target: string;
    readonly verifiedAt: number;
}

/** The report in a form that is passed between threads. */
export interface PlainReport extends Omit<Report, "place"> {
    readonly place: string | undefined;
}

export type Message =
    | { readonly kind: "PROGRESS"; readonly progress: readonly Progress[] }
    | { readonly kind: "DONE"; readonly report: PlainReport; readonly json: string }
    | { readonly kind: "FAILED"; readonly reason: string };
