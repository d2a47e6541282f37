/** Digests: the signed statements of windows, of version 1 to 6 (docs/SEMANTICS.md). */

import { type Bytes, sha256, utf8 } from "./bytes.ts";
import {
    type Decoder,
    type Field,
    list,
    oneOf,
    optional,
    optionalAtEnd,
    parsed,
    required,
    struct,
    text,
    u64,
    unsigned,
} from "./decode.ts";
import { type EventFilter, eventFilter, filterSha256, filterText } from "./filter.ts";
import { InvalidJson, parseFieldOnly, parseJson } from "./json.ts";
import {
    classUid,
    OCSF_VERSIONS,
    type OcsfVersion,
    type OwnRules,
    ownRules,
    rulesText,
    SCHEMA_VERSION,
} from "./ocsf.ts";
import { type BlockId, later, parseBlockId, parseTime, timeOfBlock, timeText } from "./time.ts";

const FIRST_VERSION = 1;
const SKIPPED_BLOCK_VERSION = 2;
const EARLY_START_VERSION = 3;
const FORMAT_VERSION = 4;
const FILTER_VERSION = 5;
const OCSF_FORMAT_VERSION = 6;

/** The digits of the tags in names of objects. */
const TAG_LENGTH = 8;

/** The formats, each with the extension of its objects. */
export const EXTENSIONS = {
    NDJSON_GZIP: "ndjson.gz",
    NDJSON_ZSTD: "ndjson.zst",
    PARQUET: "parquet",
    OCSF_PARQUET: "parquet",
} as const;

export type ExportFormat = keyof typeof EXTENSIONS;
export const FORMATS = Object.keys(EXTENSIONS) as ExportFormat[];

export type GapReason = "RETENTION_ENDED" | "BLOCK_CORRUPT" | "START_BEFORE_RETENTION";

export interface Gap {
    readonly from: number;
    readonly to: number;
    readonly reason: GapReason;
    readonly block: BlockId | undefined;
}

export interface Window {
    readonly firstBlock: BlockId;
    readonly endBlock: BlockId;
    readonly from: number;
    readonly to: number;
}

export interface DigestObject {
    readonly bucket: string;
    readonly key: string;
    readonly sha256: string;
    readonly storedLength: bigint;
    readonly crc32: number;
    readonly rawLength: bigint;
    readonly events: bigint;
    readonly firstBlock: BlockId;
    readonly lastBlock: BlockId;
    readonly oldestEvent: number;
    readonly newestEvent: number;
    readonly class: number | undefined;
    readonly other: bigint | undefined;
}

export interface DigestReference {
    readonly bucket: string;
    readonly key: string;
    readonly sha256: string;
    readonly signatureSha256: string;
}

interface Fields {
    readonly version: number;
    readonly tenantId: string;
    readonly configurationId: string;
    readonly sequence: bigint;
    readonly window: Window;
    readonly format: ExportFormat | undefined;
    readonly schemaVersion: number | undefined;
    readonly ocsfVersion: OcsfVersion | undefined;
    readonly classes: OwnRules | undefined;
    readonly classesSha256: string | undefined;
    readonly filter: EventFilter | undefined;
    readonly filterSha256: string | undefined;
    readonly leftOut: bigint | undefined;
    readonly objects: readonly DigestObject[];
    readonly gaps: readonly Gap[];
    readonly previous: DigestReference | undefined;
    readonly signingKey: string;
}

/** A digest, and what is derived from its statements. */
export interface Digest extends Fields {
    readonly objectFormat: ExportFormat;
    /** The tag in the names of objects of the filter. */
    readonly filterTag: string | undefined;
    /** The tag in the names of objects in the layout of Security Lake, which have the format `OCSF_PARQUET`. */
    readonly lakeTag: string | undefined;
}

/** The error of bytes that are not a digest which this program reads. */
export class InvalidDigest extends Error {
    readonly isUnknownVersion: boolean;

    constructor(message: string, isUnknownVersion = false) {
        super(message);
        this.isUnknownVersion = isUnknownVersion;
    }
}

const hex32 = parsed((value) => (/^[0-9a-f]{64}$/.test(value) ? value : undefined));
const time = parsed(parseTime);
const block = parsed(parseBlockId);
const bucket = parsed((value) => (isBucketName(value) ? value : undefined));
const tenant = parsed((value) => (/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(value) ? value : undefined));
const format = oneOf(FORMATS);
const ocsfVersion = oneOf(OCSF_VERSIONS);
const classField: Field<number | undefined> = { decode: classUid, absent: { value: undefined }, isDefault: true };

const window = struct<Window>({
    firstBlock: required(block),
    endBlock: required(block),
    from: required(time),
    to: required(time),
});

const digestObject = struct<DigestObject>({
    bucket: required(bucket),
    key: required(text),
    sha256: required(hex32),
    storedLength: required(u64),
    crc32: required(unsigned(32)),
    rawLength: required(u64),
    events: required(u64),
    firstBlock: required(block),
    lastBlock: required(block),
    oldestEvent: required(time),
    newestEvent: required(time),
    class: classField,
    other: optionalAtEnd(u64),
});

const gap = struct<Gap>({
    from: required(time),
    to: required(time),
    reason: required(oneOf<GapReason>(["RETENTION_ENDED", "BLOCK_CORRUPT", "START_BEFORE_RETENTION"])),
    block: optionalAtEnd(block),
});

const reference = struct<DigestReference>({
    bucket: required(bucket),
    key: required(text),
    sha256: required(hex32),
    signatureSha256: required(hex32),
});

const fields: Decoder<Fields> = struct<Fields>({
    version: required(unsigned(32)),
    tenantId: required(tenant),
    configurationId: required(parsed(uuid)),
    sequence: required(u64),
    window: required(window),
    format: optionalAtEnd(format),
    schemaVersion: optionalAtEnd(unsigned(32)),
    ocsfVersion: optionalAtEnd(ocsfVersion),
    classes: optionalAtEnd(ownRules),
    classesSha256: optionalAtEnd(hex32),
    filter: optionalAtEnd(eventFilter),
    filterSha256: optionalAtEnd(hex32),
    leftOut: optionalAtEnd(u64),
    objects: required(list(digestObject)),
    gaps: required(list(gap)),
    previous: optional(reference),
    signingKey: required(hex32),
});

/** Returns a configuration's ID in its one spelling, of any spelling of a UUID. */
function uuid(value: string): string | undefined {
    const bare = value
        .replace(/^urn:uuid:(?=.{36}$)/, "")
        .replace(/^\{(.{36})\}$/, "$1")
        .toLowerCase();
    const digits = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(bare) ? bare.replaceAll("-", "") : bare;
    return /^[0-9a-f]{32}$/.test(digits)
        ? digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
        : undefined;
}

const OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const ADDRESS = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);

export function isBucketName(name: string): boolean {
    return (
        /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) &&
        !name.includes("..") &&
        !ADDRESS.test(name) &&
        !/^(?:xn--|sthree-|amzn-s3-demo-)/.test(name) &&
        !/(?:-s3alias|--ol-s3|\.mrap|--x-s3|--xa-s3|--op-s3|--table-s3)$/.test(name)
    );
}

/** Parses a digest, and refuses one whose version is not the one that its format, filter and gaps need. */
export async function parseDigest(bytes: Bytes): Promise<Digest> {
    const stated = malformed(() => {
        const version = u64(parseFieldOnly(bytes, "version"));
        if (version < FIRST_VERSION || version > OCSF_FORMAT_VERSION) {
            const supported = `${FIRST_VERSION} to ${OCSF_FORMAT_VERSION}`;
            throw new InvalidDigest(`it has version ${version}, but this program supports ${supported}`, true);
        }
        return fields(parseJson(bytes));
    });
    const inconsistent = stated.gaps.find((one) => !isConsistent(one));
    if (inconsistent) {
        const times = `${timeText(inconsistent.from)} to ${timeText(inconsistent.to)}`;
        throw new InvalidDigest(`its gap from ${times} has a reason, times and a block that do not match`);
    }
    const objectFormat = stated.format ?? "NDJSON_GZIP";
    const hasSchema = objectFormat === "PARQUET" || objectFormat === "OCSF_PARQUET";
    if (stated.format === "NDJSON_GZIP" || (stated.schemaVersion !== undefined) !== hasSchema) {
        throw new InvalidDigest("its format and the version of its schema do not match");
    }
    const filterHash = stated.filter && (await filterSha256(stated.filter));
    if (filterHash !== stated.filterSha256 || (stated.filter !== undefined) !== (stated.leftOut !== undefined)) {
        throw new InvalidDigest(
            "its filter, the hash of the filter and the number of events that it left out do not match",
        );
    }
    if (!(await hasConsistentClasses(stated, objectFormat))) {
        throw new InvalidDigest(
            "its format, its version of OCSF, its rules and the classes of its objects do not match",
        );
    }
    const needed = neededVersion(stated, objectFormat);
    if (stated.version !== needed) {
        throw new InvalidDigest(
            `it has version ${stated.version}, but its format, filter and gaps need version ${needed}`,
        );
    }
    const lakeTag = stated.ocsfVersion && (await lakeTagOf(stated.ocsfVersion, stated.classes ?? [], stated.filter));
    return { ...stated, objectFormat, filterTag: filterHash?.slice(0, TAG_LENGTH), lakeTag };
}

async function lakeTagOf(version: OcsfVersion, classes: OwnRules, filter: EventFilter | undefined): Promise<string> {
    const choices = `${version}\n${rulesText(classes)}\n${filter ? filterText(filter) : ""}`;
    return (await sha256(utf8(choices))).slice(0, TAG_LENGTH);
}

function malformed<T>(parse: () => T): T {
    try {
        return parse();
    } catch (error) {
        throw error instanceof InvalidJson ? new InvalidDigest(`it is not a digest: ${error.message}`) : error;
    }
}

/** Returns whether a block is set exactly if the reason needs it, and the times are those of the block. */
function isConsistent({ from, to, reason, block: skipped }: Gap): boolean {
    if (reason !== "BLOCK_CORRUPT") {
        return skipped === undefined;
    }
    return skipped !== undefined && from === timeOfBlock(skipped) && to === later(from, 1);
}

async function hasConsistentClasses(stated: Fields, objectFormat: ExportFormat): Promise<boolean> {
    const isOfOcsf = objectFormat === "OCSF_PARQUET";
    const { ocsfVersion: version, classes } = stated;
    const hasRules = classes !== undefined && classes.length > 0;
    const rules = version !== undefined && hasRules ? await sha256(utf8(rulesText(classes))) : undefined;
    return (
        (version !== undefined) === isOfOcsf &&
        (version === undefined || stated.schemaVersion === SCHEMA_VERSION[version]) &&
        (classes !== undefined) === (rules !== undefined) &&
        stated.classesSha256 === rules &&
        stated.objects.every(
            ({ class: uid, other, events }) =>
                (uid !== undefined) === isOfOcsf && (other !== undefined) === isOfOcsf && (other ?? 0n) <= events,
        )
    );
}

function neededVersion(stated: Fields, objectFormat: ExportFormat): number {
    if (objectFormat === "OCSF_PARQUET") {
        return OCSF_FORMAT_VERSION;
    }
    if (stated.filter) {
        return FILTER_VERSION;
    }
    if (objectFormat !== "NDJSON_GZIP") {
        return FORMAT_VERSION;
    }
    const versions: Record<GapReason, number> = {
        RETENTION_ENDED: FIRST_VERSION,
        BLOCK_CORRUPT: SKIPPED_BLOCK_VERSION,
        START_BEFORE_RETENTION: EARLY_START_VERSION,
    };
    return Math.max(FIRST_VERSION, ...stated.gaps.map(({ reason }) => versions[reason]));
}

/** Returns the bytes of the digest: one line of JSON in the order of its fields. */
export function digestBytes(digest: Digest): Bytes {
    const window = digest.window;
    const parts: [string, string | undefined][] = [
        ["version", String(digest.version)],
        ["tenantId", JSON.stringify(digest.tenantId)],
        ["configurationId", JSON.stringify(digest.configurationId)],
        ["sequence", String(digest.sequence)],
        [
            "window",
            object([
                ["firstBlock", JSON.stringify(window.firstBlock)],
                ["endBlock", JSON.stringify(window.endBlock)],
                ["from", JSON.stringify(timeText(window.from))],
                ["to", JSON.stringify(timeText(window.to))],
            ]),
        ],
        ["format", digest.format && JSON.stringify(digest.format)],
        ["schemaVersion", digest.schemaVersion?.toString()],
        ["ocsfVersion", digest.ocsfVersion && JSON.stringify(digest.ocsfVersion)],
        ["classes", digest.classes && rulesText(digest.classes)],
        ["classesSha256", digest.classesSha256 && JSON.stringify(digest.classesSha256)],
        ["filter", digest.filter && filterText(digest.filter)],
        ["filterSha256", digest.filterSha256 && JSON.stringify(digest.filterSha256)],
        ["leftOut", digest.leftOut?.toString()],
        ["objects", `[${digest.objects.map(objectText).join(",")}]`],
        ["gaps", `[${digest.gaps.map(gapText).join(",")}]`],
        ["previous", digest.previous ? JSON.stringify(digest.previous) : "null"],
        ["signingKey", JSON.stringify(digest.signingKey)],
    ];
    return utf8(`${object(parts)}\n`);
}

function objectText(one: DigestObject): string {
    return object([
        ["bucket", JSON.stringify(one.bucket)],
        ["key", JSON.stringify(one.key)],
        ["sha256", JSON.stringify(one.sha256)],
        ["storedLength", String(one.storedLength)],
        ["crc32", String(one.crc32)],
        ["rawLength", String(one.rawLength)],
        ["events", String(one.events)],
        ["firstBlock", JSON.stringify(one.firstBlock)],
        ["lastBlock", JSON.stringify(one.lastBlock)],
        ["oldestEvent", JSON.stringify(timeText(one.oldestEvent))],
        ["newestEvent", JSON.stringify(timeText(one.newestEvent))],
        ["class", one.class?.toString()],
        ["other", one.other?.toString()],
    ]);
}

export function gapText(one: Gap): string {
    return JSON.stringify({ from: timeText(one.from), to: timeText(one.to), reason: one.reason, block: one.block });
}

function object(parts: readonly [string, string | undefined][]): string {
    const members = parts.flatMap(([name, value]) => (value === undefined ? [] : [`"${name}":${value}`]));
    return `{${members.join(",")}}`;
}
