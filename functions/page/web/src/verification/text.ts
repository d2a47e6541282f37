/** The texts of the view, for translation. Sentences of breaks, and of what is in the report, are those of the command line. */

import type { GapReason } from "./digest.ts";
import type { InvalidKeyReason } from "./keys.ts";

const files = (number: number): string => (number === 1 ? "1 file" : `${number} files`);

/** Why files can't be listed or verified. Each alone, because the worker has no other texts. */
export const tooManyFiles = (most: number): string => `there are more than ${most} files`;
export const nestedTooDeep = (folder: string): string => `${folder} is nested too deep`;
export const notStarted = "the verification could not start";
export const notRead = "the result could not be read";
export const sameName = "two files have the same name";
export const changedMeanwhile = (file: string): string => `${file} changed during the verification`;
export const tooManyDigests = (most: number): string => `there are more than ${most} digests`;
export const wrongPlace = "the place must be s3://<bucket>/<bucket path>/<configuration ID>";
export const wrongTime = "the expected time must be written as in RFC 3339, for example 2026-01-31T23:59:59Z";
export const keyReasons = (most: number): Readonly<Record<InvalidKeyReason, string>> => ({
    NOT_PEM: "it is not PEM: give the text from -----BEGIN PUBLIC KEY----- on",
    OTHER_CONTENT: "it holds more than public keys: give the public key alone, and never a private one",
    OTHER_KIND: "it is not an ECDSA key on the curve P-256 (NIST_P256, secp256r1)",
    TOO_MANY: `there are more than ${most} keys`,
});

export const text = {
    heading: "Verify files",
    intro:
        "Prove that a downloaded export is complete and unchanged. Your browser reads and checks the files by " +
        "itself: none " +
        "of them leaves your computer, and it works without the service.",
    keyHeading: "1. Public key",
    keyFile: "File with the public key (PEM)",
    keyHint:
        "Use the key that you keep where nobody who can write to the bucket can change it. Without a file, the " +
        "keys that " +
        "the service publishes are used; for that, you have to be signed in.",
    keyOfFile: (name: string, number: number) =>
        `${number === 1 ? "1 key" : `${number} keys`} of ${name} will be used.`,
    keyInvalid: (name: string, reason: string) => `${name} is not used: ${reason}.`,
    keyNeeded: "Choose the file with the public key, or sign in to use the keys that the service publishes.",
    keyUnavailable:
        "The service did not return its public keys. Choose the file with the public key, or try again later.",
    keyWrong: "The service returned a public key that does not match its fingerprint.",
    folderHeading: "2. Downloaded folder",
    folder: "Folder of the export",
    folderHint:
        "The folder that is named after the configuration's ID. For the format OCSF_PARQUET choose the folder " +
        "above it, " +
        "which also has the folders “region=…” with the files.",
    drop: "Or drop the folder here.",
    reading: (number: number) => `Listing the files: ${number} so far…`,
    found: (number: number, folder: string) => `${files(number)} in ${folder || "what was dropped"}`,
    nothing: "There is no file in it.",
    choose: "Export",
    more: "More choices",
    expected: "Exported through",
    expectedHint:
        "The time that the export has to reach, for example 2026-01-31T00:00:00Z. When you are signed in, the " +
        "service is " +
        "asked for it, with the ID in the folder's name; the later one counts.",
    place: "Place that was copied",
    placeHint:
        "Only if the export was moved: the place that the folder is a copy of, s3://bucket/path/ID. Without " +
        "it, the newest " +
        "digest decides.",
    whole: "Require the whole export, from its first digest on",
    start: "Verify",
    startAnyway: "Verify without it",
    cancel: "Cancel",
    cancelled: "The verification was cancelled.",
    asking: "Asking the service…",
    askFailed:
        "The service could not be asked how far it exported. Without that, missing files at the end would not " +
        "show, unless " +
        "you enter the time.",
    failed: (reason: string) => `The verification could not be completed: ${reason}`,
    progressDigests: (checked: number, all: number) => `Digests: ${checked} of ${all}`,
    progressObjects: (read: string, all: string) => `Files: ${read} of ${all}`,
    progressStep: (percent: number) => `${percent} % of the files are read`,
    progress: "Progress of the verification",
    resultHeading: "Result",
    complete: (time: string) => `COMPLETE through ${time}`,
    completePart: (time: string, parts: number, from: string) => {
        const here = parts === 1 ? `part from ${from} that is here` : `${parts} parts from ${from} that are here`;
        return `COMPLETE through ${time}, for the ${here}`;
    },
    outdated: (time: string) => `OUTDATED: complete through ${time}, but the service has exported more`,
    broken: (code: string) => `BROKEN: ${code}`,
    notProven: (number: number) => (number === 1 ? "1 file here is not proven" : `${number} files here are not proven`),
    lake:
        "The files of this export are in folders “region=…” beside it, which were not chosen. Choose the " +
        "folder above, then " +
        "verify again.",
    expectation: "Expected",
    byService: (time: string) => `through ${time}, by the service`,
    byCaller: (time: string) => `through ${time}, as entered`,
    expectsNothing: "nothing: missing digests at the end would not show",
    unknownHere:
        "The service has no export of this ID for you: it was deleted, or belongs to another organization. So " +
        "it says nothing " +
        "about the end.",
    otherPlace: "The service exports to another place now, so it says nothing about the end of this one.",
    verified: "Verified",
    at: "At",
    by: "By",
    keysUsed: "Keys",
    keysByFile: (name: string) => `from the file ${name}`,
    keysByService: "published by the service",
    keysDigests: (number: number) => (number === 1 ? "1 digest" : `${number} digests`),
    digests: "Digests",
    sequences: (first: string, last: string) => `sequence ${first} to ${last}`,
    stretches: (number: number) => `${number} parts that are not linked with each other here`,
    head: "Newest digest",
    objects: "Objects",
    intact: (intact: string, all: string) => `${all}, ${intact} unchanged`,
    events: "Events",
    leftOut: (number: string) => `${number} left out by filters`,
    bytes: "Bytes",
    period: "Period",
    placeFact: "Place",
    tenant: "Tenant",
    configuration: "Configuration",
    range: (first: bigint, last: bigint) => (first === last ? `${first}` : `${first} to ${last}`),
    givePlace: (where: string) => `give it under “${where}”`,
    speed: (bytes: string, seconds: string) => `${bytes} in ${seconds} s`,
    gaps: "Gaps, signed by the service: received events that are in no file",
    gap: (from: string, to: string, reason: string) => `${from} to ${to}: ${reason}`,
    gapReason: {
        RETENTION_ENDED: "their retention ended before they could be exported",
        BLOCK_CORRUPT: "a block was damaged, and the operator approved skipping it",
        START_BEFORE_RETENTION: "the export was configured to start before the retention",
    } satisfies Record<GapReason, string>,
    unproven: "Digests that are not proven here",
    filters: "Filters, signed by the service: received events that the customer left out",
    filter: (leftOut: string, range: string) => `${leftOut} left out by digests ${range}`,
    pending: "Not proven: files after the newest digest, of a run in progress",
    uncovered: "Not proven: files of times whose digests are not here",
    elsewhere: "Not checked: objects in another place",
    systemFiles: "Created by the operating system: not part of the export",
    breaks: (number: number) => (number === 1 ? "1 break" : `${number} breaks`),
    andMore: (number: number) => `and ${number} more, in the report`,
    code: "Code",
    file: "File",
    detail: "What is wrong",
    wholeExport: "the export as a whole",
    report: "Report (JSON)",
    scope:
        "Chain, signatures, and the SHA-256 and length of every file were checked, by the rules of " +
        "audit-export verify. " +
        "Files are not decoded: that is what its option --deep does.",
};
