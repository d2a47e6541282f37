/** The report of a verification. Its JSON has the form of `audit-export verify --output json`. */

import type { Break } from "./breaks.ts";
import { type DigestReference, type Gap, gapText } from "./digest.ts";
import { type EventFilter, filterText } from "./filter.ts";
import type { Place } from "./place.ts";
import { timeText } from "./time.ts";

/** The most breaks, gaps and names that a report lists. It counts the others. */
export const MAX_LISTED = 100;

const MAX_U64 = 2n ** 64n - 1n;

export type Verdict = "COMPLETE" | "OUTDATED" | "BROKEN";

export interface NamedFiles {
    count: number;
    readonly names: string[];
}

/** The expected end of the chain. Without any expectation, digests that are missing at the end can't show. */
export interface Expectation {
    /** The time that the chain has to reach. */
    readonly through: number | undefined;
    /** The SHA-256 of a digest that the chain has to contain. */
    readonly head: string | undefined;
    readonly source: "CALLER" | "SERVICE";
}

export const NO_EXPECTATION: Expectation = { through: undefined, head: undefined, source: "CALLER" };

export interface SequenceRange {
    readonly firstSequence: bigint;
    readonly lastSequence: bigint;
}

export interface KeyUse {
    readonly fingerprint: string;
    digests: number;
    firstSequence: bigint;
    readonly lastSequence: bigint;
}

export interface FilterUse {
    readonly filter: EventFilter;
    readonly sha256: string;
    digests: number;
    firstSequence: bigint;
    readonly lastSequence: bigint;
    leftOut: bigint;
}

/** The circumstances of a verification, which only the caller knows. */
export interface Circumstances {
    /** The verified folder. */
    readonly target: string;
    readonly verifiedAt: number;
    readonly program: string;
}

export interface Report {
    verdict: Verdict;
    /** Everything received before it is present and unchanged. Undefined: something is broken. */
    completeThrough: number | undefined;
    /** True if that covers everything since the first digest of the configuration. */
    isWhole: boolean;
    readonly wholeRequired: boolean;
    readonly provenRequired: boolean;
    readonly circumstances: Circumstances;
    tenantId: string | undefined;
    configurationId: string | undefined;
    place: Place | undefined;
    period: { readonly from: number; readonly to: number } | undefined;
    readonly since: number | undefined;
    readonly expectation: Expectation;
    readonly digests: {
        count: number;
        firstSequence: bigint | undefined;
        lastSequence: bigint | undefined;
        headSha256: string | undefined;
        leftOut: bigint;
        stretches: number;
    };
    unprovenDigests: SequenceRange[];
    readonly objects: {
        count: number;
        events: bigint;
        rawBytes: bigint;
        storedBytes: bigint;
        oldestEvent: number | undefined;
        newestEvent: number | undefined;
        intact: number;
    };
    readonly gaps: Gap[];
    gapCount: number;
    readonly filters: FilterUse[];
    unlistedFilters: number;
    readonly signingKeys: KeyUse[];
    readonly pending: NamedFiles;
    readonly uncovered: NamedFiles;
    readonly systemFiles: NamedFiles;
    readonly elsewhere: {
        readonly digests: DigestReference[];
        digestCount: number;
        readonly objects: NamedFiles;
    };
    /** The first one is the main one. */
    readonly breaks: Break[];
    breakCount: number;
}

/** Adds without exceeding 64 bits, like the command line. */
export function saturatingSum(one: bigint, other: bigint): bigint {
    const sum = one + other;
    return sum < MAX_U64 ? sum : MAX_U64;
}

export function addName(files: NamedFiles, name: string): void {
    files.count += 1;
    if (files.names.length < MAX_LISTED) {
        files.names.push(name);
    }
}

export function addBreak(report: Report, broken: Break): void {
    report.breakCount += 1;
    if (report.breaks.length < MAX_LISTED) {
        report.breaks.push(broken);
    }
}

/** Returns the number of files that no proven digest names, and that a reader of the export may read. */
export function unprovenFiles(report: Report): number {
    return report.pending.count + report.uncovered.count;
}

/** JSON that is written as it stands. */
class Raw {
    readonly json: string;

    constructor(json: string) {
        this.json = json;
    }
}

function time(value: number | undefined): string | undefined {
    return value === undefined ? undefined : timeText(value);
}

/** Returns the report as one line of JSON. */
export function reportJson(report: Report): string {
    return write({
        verdict: report.verdict,
        completeThrough: time(report.completeThrough),
        isWhole: report.isWhole,
        wholeRequired: report.wholeRequired,
        provenRequired: report.provenRequired,
        target: report.circumstances.target,
        verifiedAt: time(report.circumstances.verifiedAt),
        program: report.circumstances.program,
        tenantId: report.tenantId,
        configurationId: report.configurationId,
        place: report.place?.toString(),
        period: report.period && { from: time(report.period.from), to: time(report.period.to) },
        since: time(report.since),
        expectation: { ...report.expectation, through: time(report.expectation.through) },
        digests: report.digests,
        unprovenDigests: report.unprovenDigests,
        objects: {
            ...report.objects,
            oldestEvent: time(report.objects.oldestEvent),
            newestEvent: time(report.objects.newestEvent),
            inflated: 0,
        },
        gaps: report.gaps.map((gap) => new Raw(gapText(gap))),
        gapCount: report.gapCount,
        filters: report.filters.map((used) => ({ ...used, filter: new Raw(filterText(used.filter)) })),
        unlistedFilters: report.unlistedFilters,
        signingKeys: report.signingKeys,
        pending: report.pending,
        uncovered: report.uncovered,
        systemFiles: report.systemFiles,
        elsewhere: report.elsewhere,
        breaks: report.breaks,
        breakCount: report.breakCount,
    });
}

/** Writes JSON with integers of any size, and null for what is undefined. */
function write(value: unknown): string {
    if (value === undefined) {
        return "null";
    }
    if (typeof value === "bigint") {
        return value.toString();
    }
    if (value instanceof Raw) {
        return value.json;
    }
    if (Array.isArray(value)) {
        return `[${value.map(write).join(",")}]`;
    }
    if (typeof value === "object" && value !== null) {
        return `{${Object.entries(value)
            .map(([name, one]) => `${JSON.stringify(name)}:${write(one)}`)
            .join(",")}}`;
    }
    return JSON.stringify(value);
}
