/** The chain of proven digests, and the ranges of blocks that it covers. */

import { type Archive, ReadError } from "./archive.ts";
import { sha256 } from "./bytes.ts";
import { type Digest, type ExportFormat, parseDigest } from "./digest.ts";
import { BESIDE } from "./layout.ts";
import { type DigestName, lakeFolder } from "./names.ts";
import type { Place } from "./place.ts";
import { changedMeanwhile } from "./text.ts";
import type { BlockId } from "./time.ts";

/** The most digests of one export. */
export const MAX_DIGESTS = 1_000_000;

/** The most bytes of a digest, which is stored as one item of DynamoDB before it is written. */
export const MAX_DIGEST_LENGTH = 400 * 1024;

/**
 * The link from a digest to the previous one. `LINKED`: that is the one before it in the list of the proven. `NOTHING`:
 * the digest is the first of its configuration. `UNKNOWN`: the previous one is in another place, or broken.
 */
export type Before = "LINKED" | "NOTHING" | "UNKNOWN";

/** The summary of a proven digest. */
export interface ProvenDigest {
    readonly name: DigestName;
    readonly sha256: string;
    readonly firstBlock: BlockId;
    readonly endBlock: BlockId;
    before: Before;
    /** True if the previous digest and all objects, if there are any, are in one place. */
    readonly namesOnePlace: boolean;
    /** The format of its objects in this place, if it names any. */
    readonly format: ExportFormat | undefined;
}

/** The folder of the objects in the layout of Security Lake. */
export class Lake {
    readonly region: string;
    /** Relative to the export's prefix, with a slash at its end. */
    readonly folder: string;

    constructor(region: string) {
        this.region = region;
        this.folder = `${BESIDE}${lakeFolder(region)}/`;
    }
}

/** The proven digests, the oldest first, and what they say about the export. */
export interface Chain {
    readonly digests: readonly ProvenDigest[];
    readonly place: Place | undefined;
    /** True if some object is in the layout of Security Lake, here or elsewhere. */
    readonly hasClasses: boolean;
    /** The folder of such objects in this place, of the newest digest that has some. */
    readonly lake: Lake | undefined;
    /** The number of references to this place. */
    readonly referencesHere: number;
}

/** Reads a proven digest again. */
export async function readAgain(archive: Archive, { name, sha256: expected }: ProvenDigest): Promise<Digest> {
    const file = name.file();
    const bytes = await archive.readBounded(file, MAX_DIGEST_LENGTH);
    if (typeof bytes === "string" || (await sha256(bytes)) !== expected) {
        throw new ReadError(changedMeanwhile(file));
    }
    return parseDigest(bytes);
}

/**
 * The position of a block. `COVERED`: in the window of a proven digest, or before the first digest of the
 * configuration. `UNCOVERED`: in no such window, though there are newer ones. `LATER`: after the newest proven digest.
 */
export type Position = "COVERED" | "UNCOVERED" | "LATER";

/** The ranges of blocks that linked digests cover, the oldest first. */
export class Coverage {
    private readonly stretches: { readonly first: BlockId; end: BlockId }[] = [];
    private readonly beginsWithFirst: boolean;

    constructor(digests: readonly ProvenDigest[]) {
        for (const { before, firstBlock, endBlock } of digests) {
            const last = this.stretches.at(-1);
            if (last && before === "LINKED") {
                last.end = endBlock;
            } else {
                this.stretches.push({ first: firstBlock, end: endBlock });
            }
        }
        this.beginsWithFirst = digests[0]?.before === "NOTHING";
    }

    positionOf(block: BlockId): Position {
        let [low, high] = [0, this.stretches.length];
        while (low < high) {
            const middle = Math.floor((low + high) / 2);
            if ((this.stretches[middle]?.first ?? block) <= block) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        const stretch = this.stretches[low - 1];
        if (!stretch) {
            return this.beginsWithFirst ? "COVERED" : "UNCOVERED";
        }
        if (block < stretch.end) {
            return "COVERED";
        }
        return low === this.stretches.length ? "LATER" : "UNCOVERED";
    }
}
