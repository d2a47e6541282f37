/** The rules that the fields of one digest keep among themselves. */

import type { BreakCode } from "./breaks.ts";
import type { Digest, DigestObject, Gap } from "./digest.ts";
import { dataObjectName, DigestName, LakeName } from "./names.ts";
import { blocksOfObject, Place } from "./place.ts";
import { type BlockId, lowestBlockAt, nextBlock, timeOfBlock, timeText } from "./time.ts";

export interface Contradiction {
    readonly code: BreakCode;
    readonly detail: string;
}

/** Returns the first contradiction in a digest, if there is one. */
export function contradiction(digest: Digest): Contradiction | undefined {
    const detail = inWindow(digest) ?? inPrevious(digest) ?? inGaps(digest);
    return detail === undefined ? inObjects(digest) : { code: "INVALID_DIGEST", detail };
}

function inWindow({ window }: Digest): string | undefined {
    if (window.firstBlock > window.endBlock) {
        return "its window ends before it begins";
    }
    const hasTimesOfBlocks =
        window.from === timeOfBlock(window.firstBlock) && window.to === timeOfBlock(window.endBlock);
    return hasTimesOfBlocks ? undefined : "the times of its window are not those of its blocks";
}

function inPrevious({ previous, sequence }: Digest): string | undefined {
    if (!previous) {
        return sequence > 0n ? "it names no previous digest, but is not the first" : undefined;
    }
    if (sequence === 0n) {
        return "it is the first, but names a previous digest";
    }
    const name = DigestName.ofKey(previous.key)?.[1];
    if (!name) {
        return `the key of its previous digest is not a digest's: ${previous.key}`;
    }
    return name.fitsSignature(previous.signatureSha256)
        ? undefined
        : `the key of its previous digest does not match the signature: ${previous.key}`;
}

/** Checks that gaps are in order, apart, and in the window. */
function inGaps({ window, gaps }: Digest): string | undefined {
    let freeFrom = lowestBlockAt(window.from);
    for (const { from, to, block } of gaps) {
        if (block !== undefined) {
            if (block < window.firstBlock || block < freeFrom || block >= window.endBlock) {
                return `its skipped block ${block} is outside of its window, or in another gap`;
            }
            freeFrom = nextBlock(block);
        } else {
            if (lowestBlockAt(from) < freeFrom || to < from || to > window.to) {
                const times = `from ${timeText(from)} to ${timeText(to)}`;
                return `its gap ${times} is outside of its window, or overlaps another`;
            }
            freeFrom = lowestBlockAt(to);
        }
    }
    return undefined;
}

/** Checks that objects are in order, apart, in the window, and outside of the gaps. */
function inObjects(digest: Digest): Contradiction | undefined {
    const { window } = digest;
    let freeFrom = window.firstBlock;
    let before: DigestObject | undefined;
    for (const object of digest.objects) {
        const invalid = (what: string): Contradiction => ({ code: "INVALID_DIGEST", detail: `${what}: ${object.key}` });
        if (object.firstBlock > object.lastBlock) {
            return invalid("an object ends before it begins");
        }
        if (object.firstBlock < window.firstBlock || object.lastBlock >= window.endBlock) {
            return invalid("an object is outside of its window");
        }
        if (object.firstBlock < freeFrom && !(before && sharesBlocks(before, object))) {
            return { code: "REORDERED", detail: `an object overlaps or precedes the one before it: ${object.key}` };
        }
        if (!isOfConfiguration(object, digest)) {
            return invalid("an object's key does not match its blocks");
        }
        if (object.events === 0n || object.rawLength === 0n || object.storedLength === 0n) {
            return invalid("an object is empty");
        }
        if (object.oldestEvent > object.newestEvent) {
            return invalid("an object's oldest event is newer than its newest");
        }
        // A skipped block may lie between the first and the last, but is neither.
        if (digest.gaps.some((gap) => holds(gap, object.firstBlock) || holds(gap, object.lastBlock))) {
            return invalid("an object is in a gap");
        }
        freeFrom = nextBlock(object.lastBlock);
        before = object;
    }
    return undefined;
}

function holds({ from, to, block: skipped }: Gap, block: BlockId): boolean {
    const received = timeOfBlock(block);
    return skipped === undefined ? from <= received && received < to : skipped === block;
}

/** Returns whether an object has the events of the next class of the same blocks. */
function sharesBlocks(before: DigestObject, object: DigestObject): boolean {
    return (
        before.firstBlock === object.firstBlock &&
        before.lastBlock === object.lastBlock &&
        (before.class ?? -1) < (object.class ?? -1)
    );
}

function isOfConfiguration(object: DigestObject, digest: Digest): boolean {
    const isNamed =
        object.class === undefined
            ? object.key.endsWith(dataObjectName(digest.objectFormat, digest.filterTag, blocksOfObject(object)))
            : LakeName.ofKey(object.key)?.name.tag === digest.lakeTag;
    return isNamed && Place.ofObject(object)?.configurationId === digest.configurationId;
}
