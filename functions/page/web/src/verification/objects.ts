/** The second pass: compares the objects that the digests name with the files that exist. */

import { type Archive, type ArchiveFile, buffered, isFolderMarker, read } from "./archive.ts";
import { type Break, type BreakCode, extraObject } from "./breaks.ts";
import { compareText, lastPart, sha256 } from "./bytes.ts";
import { type Chain, Coverage, type ProvenDigest, readAgain } from "./chain.ts";
import type { Digest, DigestObject } from "./digest.ts";
import { BESIDE, DIGEST_FOLDER } from "./layout.ts";
import { blocksOf, dataObjectName, LakeName } from "./names.ts";
import { MAX_CLOCK_SKEW, type Options, type ShowProgress } from "./options.ts";
import { blocksOfObject } from "./place.ts";
import { addBreak, addName, MAX_LISTED, type Report } from "./report.ts";
import { later, timeOfBlock, timeText } from "./time.ts";
import { classifyUnknown } from "./unknownFile.ts";

/**
 * The bytes that are read of a file that is longer than its digest says, to find out which object's bytes it holds. No
 * object is longer.
 */
const DIAGNOSIS_LENGTH = 64 * 1024 * 1024;

/** One step of the comparison, in the order of the files' names. */
type Step =
    | {
          readonly kind: "CHECK" | "MISSING";
          readonly name: string;
          readonly object: DigestObject;
          readonly sequence: bigint;
      }
    | { readonly kind: "ELSEWHERE"; readonly object: DigestObject }
    | { readonly kind: "UNNAMED"; readonly name: string };

type Outcome =
    | { readonly kind: "INTACT" }
    /** With the hash of the bytes if they may be those of another object. */
    | { readonly kind: "BROKEN"; readonly broken: Break; readonly sha256: string | undefined }
    | { readonly kind: "ELSEWHERE"; readonly object: DigestObject }
    | { readonly kind: "UNNAMED"; readonly name: string };

/** Altered bytes: the index of their break, and their hash. */
interface OtherBytes {
    readonly index: number;
    readonly sha256: string;
}

/** Checks the objects of all proven digests, and adds the outcome to the report. */
export async function checkObjects(
    archive: Archive,
    options: Options,
    show: ShowProgress,
    chain: Chain,
    report: Report,
): Promise<void> {
    const { count, storedBytes } = report.objects;
    show({ kind: "OBJECTS_COUNTED", count, storedBytes });
    const coverage = new Coverage(chain.digests);
    const others: OtherBytes[] = [];
    const outcomes = buffered(steps(archive, options, chain), options.concurrency, (step) =>
        carryOut(archive, show, step),
    );
    for await (const outcome of outcomes) {
        const other = record(outcome, options, coverage, report);
        if (other) {
            others.push(other);
        }
    }
    await findOwners(archive, options, chain.digests, report, others);
}

/** Adds an outcome to the report. */
function record(outcome: Outcome, options: Options, coverage: Coverage, report: Report): OtherBytes | undefined {
    switch (outcome.kind) {
        case "INTACT":
            report.objects.intact += 1;
            return undefined;
        case "ELSEWHERE":
            addName(report.elsewhere.objects, `s3://${outcome.object.bucket}/${outcome.object.key}`);
            return undefined;
        case "UNNAMED":
            classifyUnnamed(outcome.name, options, coverage, report);
            return undefined;
        case "BROKEN": {
            const index = report.breaks.length;
            addBreak(report, outcome.broken);
            return outcome.sha256 !== undefined && index < MAX_LISTED ? { index, sha256: outcome.sha256 } : undefined;
        }
    }
}

/** Classifies a file that no digest names, by the time in its name. */
function classifyUnnamed(name: string, options: Options, coverage: Coverage, report: Report): void {
    const blocks = blocksOf(name);
    const { verifiedAt } = report.circumstances;
    if (!blocks) {
        const broken = classifyUnknown(options, name, "its name is not one that an export writes");
        if (broken) {
            addBreak(report, broken);
        } else {
            addName(report.systemFiles, name);
        }
        return;
    }
    // No run can have received a later event: the name was chosen so that the file passes for pending.
    if (timeOfBlock(blocks.last) > later(verifiedAt, MAX_CLOCK_SKEW)) {
        const detail = `the time in its name is after this machine's clock, ${timeText(verifiedAt)}`;
        addBreak(report, extraObject(name, detail));
        return;
    }
    switch (coverage.positionOf(blocks.first)) {
        case "LATER":
            addName(report.pending, name);
            break;
        case "UNCOVERED":
            addName(report.uncovered, name);
            break;
        case "COVERED":
            addBreak(report, extraObject(name, "it was received in the verified period, but no digest names it"));
    }
}

type Compared = "FOLDER" | "LAKE";

/** The merge of the digests' objects with the list of files: both are in the order of the blocks. */
async function* steps(archive: Archive, options: Options, chain: Chain): AsyncGenerator<Step, void, void> {
    yield* merge(archive, options, chain, "FOLDER");
    if (chain.hasClasses) {
        yield* merge(archive, options, chain, "LAKE");
    }
}

async function* merge(
    archive: Archive,
    options: Options,
    chain: Chain,
    compared: Compared,
): AsyncGenerator<Step, void, void> {
    const files = filesOf(archive, chain, compared)
        .filter((file) => isOfExport(file.name, chain, compared) && !isFolderMarker(file))
        .map(({ name }) => name);
    let next = 0;
    const digests = buffered(chain.digests, options.concurrency, (digest) => readAgain(archive, digest));
    for await (const digest of digests) {
        for (const object of digest.objects) {
            if ((object.class !== undefined) !== (compared === "LAKE")) {
                continue;
            }
            const name = nameOf(object, digest, chain);
            for (; isBefore(files[next], name); next += 1) {
                yield { kind: "UNNAMED", name: files[next] ?? "" };
            }
            const found = files[next] === name;
            next += found ? 1 : 0;
            yield stepFor(name, found, object, digest, chain);
        }
    }
    for (const name of files.slice(next)) {
        yield { kind: "UNNAMED", name };
    }
}

function isBefore(file: string | undefined, name: string): boolean {
    return file !== undefined && compareText(file, name) < 0;
}

function stepFor(name: string, found: boolean, object: DigestObject, { sequence }: Digest, { place }: Chain): Step {
    const nameHere = place?.holdsObject(object) ? place.nameOf(object.key) : undefined;
    if (found) {
        return { kind: "CHECK", name, object, sequence };
    }
    // It is in the folder of another Region than the one that is listed.
    if (nameHere !== undefined && object.class !== undefined && nameHere !== name) {
        return { kind: "CHECK", name: nameHere, object, sequence };
    }
    return nameHere === undefined ? { kind: "ELSEWHERE", object } : { kind: "MISSING", name, object, sequence };
}

function filesOf(archive: Archive, { lake }: Chain, compared: Compared): readonly ArchiveFile[] {
    if (compared === "FOLDER") {
        return archive.list("");
    }
    return lake ? archive.list(lake.folder) : [];
}

/** Returns whether a file of the list may be one of the export. Exports share the folders of Security Lake. */
function isOfExport(name: string, { place }: Chain, compared: Compared): boolean {
    if (compared === "FOLDER") {
        return !name.startsWith(DIGEST_FOLDER);
    }
    return place !== undefined && lastPart(name).startsWith(place.configurationId);
}

/** Returns the name that an object has here. */
function nameOf(object: DigestObject, digest: Digest, { lake, place }: Chain): string {
    const blocks = blocksOfObject(object);
    if (object.class === undefined) {
        return dataObjectName(digest.objectFormat, digest.filterTag, blocks);
    }
    if (lake && place && digest.lakeTag !== undefined) {
        const name = new LakeName(lake.region, place.configurationId, blocks, object.class, digest.lakeTag);
        return BESIDE + name.file();
    }
    // None of them is here.
    return BESIDE + object.key;
}

async function carryOut(archive: Archive, show: ShowProgress, step: Step): Promise<Outcome> {
    if (step.kind === "ELSEWHERE" || step.kind === "UNNAMED") {
        return step;
    }
    const { name, object, sequence } = step;
    const broken = (code: BreakCode, detail: string, hash?: string): Outcome => ({
        kind: "BROKEN",
        broken: { code, file: name, sequence, detail },
        sha256: hash,
    });
    if (step.kind === "MISSING") {
        const size = `${object.events} events in ${object.storedLength} bytes`;
        return broken("MISSING_OBJECT", `digest ${sequence} names it: ${size} with SHA-256 ${object.sha256}`);
    }
    const file = archive.find(name);
    if (!file) {
        show({ kind: "OBJECT_CHECKED" });
        return broken("MISSING_OBJECT", "it was removed during the verification");
    }
    const length = BigInt(file.length);
    if (length > object.storedLength && length > DIAGNOSIS_LENGTH) {
        show({ kind: "OBJECT_CHECKED" });
        return broken("ALTERED_OBJECT", `it has more than the ${object.storedLength} bytes that its digest names`);
    }
    const actual = await sha256(await read(file));
    show({ kind: "BYTES_READ", count: file.length });
    show({ kind: "OBJECT_CHECKED" });
    if (length !== object.storedLength || actual !== object.sha256) {
        const named = `its digest names ${object.storedLength} bytes with ${object.sha256}`;
        return broken("ALTERED_OBJECT", `it has ${length} bytes with SHA-256 ${actual}, but ${named}`, actual);
    }
    return { kind: "INTACT" };
}

/** Finds the objects to which altered bytes belong, and reports these breaks as reordered objects. */
async function findOwners(
    archive: Archive,
    options: Options,
    digests: readonly ProvenDigest[],
    report: Report,
    others: readonly OtherBytes[],
): Promise<void> {
    if (others.length === 0) {
        return;
    }
    for await (const digest of buffered(digests, options.concurrency, (one) => readAgain(archive, one))) {
        for (const object of digest.objects) {
            for (const { index } of others.filter((other) => other.sha256 === object.sha256)) {
                const broken = report.breaks[index];
                if (broken) {
                    broken.code = "REORDERED";
                    broken.detail = `it holds the bytes of ${object.key}`;
                }
            }
        }
    }
}
