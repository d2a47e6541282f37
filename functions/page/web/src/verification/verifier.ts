/**
 * The verification of an export, by the rules of the command line (docs/VERIFICATION.md): both passes, and the verdict.
 * `test/verification.test.ts` compares the reports of both for every kind of tampering.
 */

import type { Archive } from "./archive.ts";
import { breakOfExport } from "./breaks.ts";
import type { Chain } from "./chain.ts";
import { checkObjects } from "./objects.ts";
import type { Options, ShowProgress } from "./options.ts";
import { addBreak, type Circumstances, MAX_LISTED, type Report, type SequenceRange, unprovenFiles } from "./report.ts";
import { lowestBlockAt, timeOfBlock, timeText } from "./time.ts";
import { Walk } from "./walk.ts";

/** The most ranges of sequences that one sentence names; the report lists more. */
const MAX_RANGES_IN_DETAIL = 5;

/** The advice on a copy whose only digest names another place than the one that it was copied from. */
const PLACE_ADVICE = "if this is a copy of the place that the export was moved to, name that place: give --place";

/** Verifies an export. Throws `ReadError` if files can't be read for a reason that says nothing about the export. */
export async function verify(
    archive: Archive,
    options: Options,
    circumstances: Circumstances,
    show: ShowProgress,
): Promise<Report> {
    const report = empty(circumstances, options);
    const chain = await new Walk(archive, options, show, report).run();
    checkExpectation(chain, options, report);
    report.unprovenDigests = unproven(chain, options.since);
    const [oldest, newest] = [chain.digests[0], chain.digests.at(-1)];
    if (oldest && newest) {
        report.period = { from: timeOfBlock(oldest.firstBlock), to: timeOfBlock(newest.endBlock) };
        await checkObjects(archive, options, show, chain, report);
        checkPlace(chain, report);
        adviseOnPlace(chain, options, report);
    }
    const fromTheFirst = report.digests.firstSequence === 0n && report.digests.stretches === 1;
    const isWhole = fromTheFirst && report.elsewhere.objects.count === 0;
    if (options.wholeRequired && !isWhole) {
        addBreak(report, breakOfExport("NOT_WHOLE", missingToTheWhole(report)));
    }
    if (options.provenRequired && unprovenFiles(report) > 0) {
        const detail =
            `${report.pending.count} pending, ${report.uncovered.count} not covered: the report lists them; ` +
            "--proven-objects lists the files to read instead";
        addBreak(report, breakOfExport("UNPROVEN_FILES", detail));
    }
    conclude(report, isWhole);
    return report;
}

/** Derives the verdict from the breaks. A copy counts as outdated only if nothing else is wrong. */
function conclude(report: Report, isWhole: boolean): void {
    const outdated = report.breaks.filter(({ code }) => code === "OUTDATED_COPY").length;
    if (outdated === report.breakCount) {
        report.verdict = outdated === 0 ? "COMPLETE" : "OUTDATED";
        report.completeThrough = report.period?.to;
        report.isWhole = isWhole && outdated === 0;
    } else {
        report.breaks.sort(
            (one, other) => Number(one.code === "OUTDATED_COPY") - Number(other.code === "OUTDATED_COPY"),
        );
    }
}

/** Returns the sequences before and between those that are proven, without those that the caller left out. */
function unproven({ digests }: Chain, since: number | undefined): SequenceRange[] {
    const ranges: SequenceRange[] = [];
    let next = 0n;
    digests.forEach(({ name, before, firstBlock }, index) => {
        const isLeftOut = index === 0 && since !== undefined && timeOfBlock(firstBlock) <= since;
        if (before !== "LINKED" && !isLeftOut && next < name.sequence && ranges.length < MAX_LISTED) {
            ranges.push({ firstSequence: next, lastSequence: name.sequence - 1n });
        }
        next = name.sequence + 1n;
    });
    return ranges;
}

function missingToTheWhole(report: Report): string {
    const ranges = report.unprovenDigests;
    const missing = ranges.slice(0, MAX_RANGES_IN_DETAIL).map(rangeText);
    if (ranges.length > MAX_RANGES_IN_DETAIL) {
        missing.push("others");
    }
    if (missing.length > 0) {
        return `not proven here: digests ${missing.join(", ")}`;
    }
    if (report.since !== undefined) {
        return `digests before ${timeText(report.since)} were not checked`;
    }
    const { count } = report.elsewhere.objects;
    return count === 0
        ? "no digest is proven here"
        : `objects that digests name in other places, and that are not here: ${count}`;
}

export function rangeText({ firstSequence, lastSequence }: SequenceRange): string {
    return firstSequence === lastSequence ? String(firstSequence) : `${firstSequence} to ${lastSequence}`;
}

function empty(circumstances: Circumstances, options: Options): Report {
    const none = (): { count: number; names: string[] } => ({ count: 0, names: [] });
    return {
        verdict: "BROKEN",
        completeThrough: undefined,
        isWhole: false,
        wholeRequired: options.wholeRequired,
        provenRequired: options.provenRequired,
        circumstances,
        tenantId: undefined,
        configurationId: undefined,
        place: undefined,
        period: undefined,
        since: options.since,
        expectation: options.expectation,
        digests: {
            count: 0,
            firstSequence: undefined,
            lastSequence: undefined,
            headSha256: undefined,
            leftOut: 0n,
            stretches: 0,
        },
        unprovenDigests: [],
        objects: {
            count: 0,
            events: 0n,
            rawBytes: 0n,
            storedBytes: 0n,
            oldestEvent: undefined,
            newestEvent: undefined,
            intact: 0,
        },
        gaps: [],
        gapCount: 0,
        filters: [],
        unlistedFilters: 0,
        signingKeys: [],
        pending: none(),
        uncovered: none(),
        systemFiles: none(),
        elsewhere: { digests: [], digestCount: 0, objects: none() },
        breaks: [],
        breakCount: 0,
    };
}

/** Compares the end of the chain with what is expected. Missing digests at the end show only in this way. */
function checkExpectation({ digests }: Chain, options: Options, report: Report): void {
    const { through, head, source } = options.expectation;
    const end = digests.at(-1)?.endBlock;
    const reached = end === undefined ? "the chain is empty" : `the chain ends at ${timeText(timeOfBlock(end))}`;
    const isOfService = source === "SERVICE";
    // The bucket itself can't be outdated: the service writes the digest before it reports the export.
    const isOutdated = isOfService && options.origin !== "BUCKET" && end !== undefined;
    const push = (detail: string): void => {
        const advice = "copy the export again; if that copy ends there as well, the newest digests were removed";
        addBreak(
            report,
            isOutdated
                ? breakOfExport("OUTDATED_COPY", `${detail}; ${advice}`)
                : breakOfExport("TRUNCATED_CHAIN", detail),
        );
    };
    if (through !== undefined && (end === undefined || end < lowestBlockAt(through))) {
        const time = timeText(through);
        push(
            isOfService
                ? `${reached}, but the service exported through ${time}`
                : `${reached}, but ${time} was expected`,
        );
    }
    if (head !== undefined && !digests.some((digest) => digest.sha256 === head)) {
        push(
            isOfService
                ? `the newest digest that the service wrote here is missing; its SHA-256 is ${head}`
                : `no digest of the chain has the expected SHA-256 ${head}`,
        );
    }
}

/** Returns whether the chain is one digest, which can be the first one here after the destination was changed. */
function isFirstHere({ digests }: Chain): boolean {
    return digests.length === 1 && digests[0]?.namesOnePlace === true;
}

/**
 * Adds the advice to the first break if nothing is here that the only digest names: it may be the first one of another
 * place.
 */
function adviseOnPlace(chain: Chain, options: Options, report: Report): void {
    const isMissing = report.breaks.every(({ code }) => code === "MISSING_DIGEST" || code === "MISSING_OBJECT");
    const [first] = report.breaks;
    if (!options.place && isFirstHere(chain) && report.objects.intact === 0 && isMissing && first) {
        first.detail = `${first.detail}; ${PLACE_ADVICE}`;
    }
}

/**
 * Reports a wrong place if nothing that the digests name is here: all of it would count as elsewhere, and nothing would
 * be checked.
 */
function checkPlace(chain: Chain, report: Report): void {
    const { objects, digests, digestCount } = report.elsewhere;
    // The first digest after a change of the destination names nothing here: the window that the change ended was
    // delivered to the place of the previous digest.
    if (chain.referencesHere > 0 || (objects.count === 0 && digestCount === 0) || isFirstHere(chain)) {
        return;
    }
    const digest = digests[0] && `s3://${digests[0].bucket}/${digests[0].key}`;
    const detail = `the digests name ${objects.names[0] ?? digest ?? ""}, but ${chain.place ?? ""} was verified`;
    addBreak(report, breakOfExport("WRONG_PLACE", detail));
}
