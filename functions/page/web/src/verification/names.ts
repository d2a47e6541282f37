/** Parsers of the names of an export's files. */

import { lastPart, withoutPrefix, withoutSuffix } from "./bytes.ts";
import { EXTENSIONS, type ExportFormat, FORMATS } from "./digest.ts";
import { BESIDE, DIGEST_FOLDER, isConfigurationId, LAKE_FOLDER, SIGNATURE_SUFFIX } from "./layout.ts";
import { isClass } from "./ocsf.ts";
import { type BlockId, compactTime, parseBlockId, parseCompactTime, timeOfBlock, timeText } from "./time.ts";

/** The parts of the name of a digest or of its signature. */
export class DigestName {
    readonly sequence: bigint;
    readonly to: number;
    /** The beginning of the signature's SHA-256. Names that earlier versions of the service gave have none. */
    readonly tag: string | undefined;

    constructor(sequence: bigint, to: number, tag: string | undefined) {
        this.sequence = sequence;
        this.to = to;
        this.tag = tag;
    }

    /** Parses exactly what `file` returns. */
    static parse(file: string): DigestName | undefined {
        const parts = /^_digests\/([0-9]{10,20})_([0-9TZ]{19})(?:_([0-9a-f]{16}))?\.json$/.exec(file);
        const to = parseCompactTime(parts?.[2] ?? "");
        const sequence = BigInt(parts?.[1] ?? 0);
        if (to === undefined || sequence >= 2n ** 64n) {
            return undefined;
        }
        const name = new DigestName(sequence, to, parts?.[3]);
        return name.file() === file ? name : undefined;
    }

    static parseSignature(file: string): DigestName | undefined {
        const digest = withoutSuffix(file, SIGNATURE_SUFFIX);
        return digest === undefined ? undefined : DigestName.parse(digest);
    }

    /** Splits a whole key into the export's prefix and the digest's name. */
    static ofKey(key: string): readonly [string, DigestName] | undefined {
        const at = key.lastIndexOf(DIGEST_FOLDER);
        const prefix = at < 0 ? undefined : withoutSuffix(key.slice(0, at), "/");
        const name = prefix === undefined ? undefined : DigestName.parse(key.slice(at));
        return prefix === undefined || !name ? undefined : [prefix, name];
    }

    file(): string {
        const tag = this.tag === undefined ? "" : `_${this.tag}`;
        return `${DIGEST_FOLDER}${String(this.sequence).padStart(10, "0")}_${compactTime(this.to)}${tag}.json`;
    }

    signatureFile(): string {
        return this.file() + SIGNATURE_SUFFIX;
    }

    equals(other: DigestName): boolean {
        return this.file() === other.file();
    }

    /** Returns whether the window is that of `other`, or a later one. */
    isOfOrAfter(other: DigestName): boolean {
        return this.sequence > other.sequence || (this.sequence === other.sequence && this.to >= other.to);
    }

    /** Returns whether a digest whose signature has this SHA-256 can have this name. */
    fitsSignature(signatureSha256: string): boolean {
        return this.tag === undefined || signatureSha256.startsWith(this.tag);
    }
}

export interface Blocks {
    readonly first: BlockId;
    readonly last: BlockId;
}

function blockName(block: BlockId): string {
    return `${compactTime(timeOfBlock(block))}_${block}`;
}

/** Returns the name of an object, relative to the export's prefix. */
export function dataObjectName(format: ExportFormat, filterTag: string | undefined, { first, last }: Blocks): string {
    const tag = filterTag === undefined ? "" : `_${filterTag}`;
    const date = timeText(timeOfBlock(first)).slice(0, 10);
    return `date=${date}/${blockName(first)}-${blockName(last)}${tag}.${EXTENSIONS[format]}`;
}

function parseBlocks(first: string | undefined, last: string | undefined): Blocks | undefined {
    const [one, other] = [parseBlockId(first ?? ""), parseBlockId(last ?? "")];
    return one === undefined || other === undefined || one > other ? undefined : { first: one, last: other };
}

const BLOCKS = "[0-9TZ]{19}_([0-9A-Z]{26})-[0-9TZ]{19}_([0-9A-Z]{26})";
const DATA_OBJECT = new RegExp(`^date=[0-9-]{10}/${BLOCKS}(?:_([0-9a-f]{8}))?\\.([a-z.]+)$`);

/**
 * Returns the first and the last block of a data object by its name, which has to be exactly one that the service
 * writes.
 */
export function blocksOf(name: string): Blocks | undefined {
    const beside = withoutPrefix(name, BESIDE);
    if (beside !== undefined) {
        return LakeName.parse(beside)?.blocks;
    }
    const parts = DATA_OBJECT.exec(name);
    const format = FORMATS.find((one) => EXTENSIONS[one] === parts?.[4]);
    const blocks = parseBlocks(parts?.[1], parts?.[2]);
    return format && blocks && dataObjectName(format, parts?.[3], blocks) === name ? blocks : undefined;
}

/** Splits a data object's whole key into the export's prefix and its name, if that is one of these blocks. */
export function prefixOfDataKey(key: string, blocks: Blocks): string | undefined {
    const at = key.lastIndexOf("/date=");
    const named = at < 0 ? undefined : blocksOf(key.slice(at + 1));
    return named?.first === blocks.first && named.last === blocks.last ? key.slice(0, at) : undefined;
}

const LAKE_LEVELS = 3;
const LAKE_OBJECT = new RegExp(
    `^region=([^/]*)/accountId=external/eventDay=\\d{8}/([0-9a-f-]{36})_${BLOCKS}_(\\d{4})_([0-9a-fA-F]*)\\.parquet$`,
);

/** Returns the folder under the bucket path that has all data objects in the layout of Security Lake. */
export function lakeFolder(region: string): string {
    return `${LAKE_FOLDER}${region}/accountId=external`;
}

/** The parts of the name of an object in the layout of Security Lake, below the bucket path. */
export class LakeName {
    readonly region: string;
    readonly configurationId: string;
    readonly blocks: Blocks;
    readonly class: number;
    readonly tag: string;

    constructor(region: string, configurationId: string, blocks: Blocks, uid: number, tag: string) {
        this.region = region;
        this.configurationId = configurationId;
        this.blocks = blocks;
        this.class = uid;
        this.tag = tag;
    }

    static parse(name: string): LakeName | undefined {
        const [, region, id, first, last, uid, tag] = LAKE_OBJECT.exec(name) ?? [];
        const blocks = parseBlocks(first, last);
        if (region === undefined || id === undefined || tag === undefined || !blocks) {
            return undefined;
        }
        const parsed = new LakeName(region, id, blocks, Number(uid), tag);
        return isConfigurationId(id) && isClass(parsed.class) && parsed.file() === name ? parsed : undefined;
    }

    /** Splits a whole key into the bucket path, if there is one, and the name. */
    static ofKey(key: string): { readonly path: string | undefined; readonly name: LakeName } | undefined {
        const parts = key.split("/");
        const above = parts.length - 1 - LAKE_LEVELS;
        const path = above > 0 ? parts.slice(0, above).join("/") : undefined;
        const name = LakeName.parse(above > 0 ? parts.slice(above).join("/") : key);
        return name && { path, name };
    }

    file(): string {
        const day = timeText(timeOfBlock(this.blocks.first)).slice(0, 10).replaceAll("-", "");
        const blocks = `${blockName(this.blocks.first)}-${blockName(this.blocks.last)}`;
        const folder = `${lakeFolder(this.region)}/eventDay=${day}`;
        return `${folder}/${this.configurationId}_${blocks}_${this.class}_${this.tag}.${EXTENSIONS.OCSF_PARQUET}`;
    }
}

const DAY_PREFIX = "date=";

/**
 * A file that macOS or Windows creates in a folder that somebody opens. `HARMLESS`: no reader of an export reads it.
 * `LOOKS_EXPORTED`: its name ends like an object's or a digest's. `AMONG_OBJECTS`: readers of a day's whole folder read
 * it.
 */
export type SystemFile = "HARMLESS" | "LOOKS_EXPORTED" | "AMONG_OBJECTS";

/** Returns undefined unless the name is one that macOS or Windows is known to use. */
export function systemFile(path: string): SystemFile | undefined {
    const name = lastPart(path);
    const isKnown =
        name.startsWith("._") ||
        [".DS_Store", ".localized", "Icon\r"].includes(name) ||
        /^(?:thumbs\.db|desktop\.ini|ehthumbs\.db)$/i.test(name);
    if (!isKnown) {
        return undefined;
    }
    const endings = [...Object.values(EXTENSIONS), ".gz", ".json", SIGNATURE_SUFFIX];
    if (endings.some((ending) => name.endsWith(ending))) {
        return "LOOKS_EXPORTED";
    }
    return path.startsWith(DAY_PREFIX) && !name.startsWith(".") ? "AMONG_OBJECTS" : "HARMLESS";
}
