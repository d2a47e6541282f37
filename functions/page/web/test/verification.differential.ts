/**
 * Compares the page's verifier with that of the command line, on the corpus that
 * `cargo test --test tampering the_corpus` writes: the whole reports have to be equal.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { Archive, type ArchiveFile, buffered } from "../src/verification/archive.ts";
import { BREAKS, CODES_OF_DEEP_VERIFICATION } from "../src/verification/breaks.ts";
import type { Bytes } from "../src/verification/bytes.ts";
import { InvalidKey, PublicKeys } from "../src/verification/keys.ts";
import type { Options } from "../src/verification/options.ts";
import { Place } from "../src/verification/place.ts";
import { type Expectation, reportJson } from "../src/verification/report.ts";
import { parseTime } from "../src/verification/time.ts";
import { verify } from "../src/verification/verifier.ts";

interface Case {
    readonly name: string;
    readonly keys: readonly string[];
    readonly place: string | null;
    readonly configurationId: string | null;
    readonly since: string | null;
    readonly wholeRequired: boolean;
    readonly provenRequired: boolean;
    readonly origin: Options["origin"];
    readonly expectation: { through: string | null; head: string | null; source: Expectation["source"] };
    readonly target: string;
    readonly verifiedAt: string;
    readonly program: string;
    /** The hashes of the files' bytes. */
    readonly files: Readonly<Record<string, string>>;
    readonly code: string | null;
    readonly report: string;
}

interface Corpus {
    readonly codes: Readonly<Record<string, string>>;
    /** A character for each byte, or one byte that is repeated. */
    readonly bytes: Readonly<Record<string, string | { readonly byte: number; readonly length: number }>>;
    readonly keys: readonly { readonly pem: string; readonly error: string | null; readonly fingerprints: string[] }[];
    readonly cases: readonly Case[];
}

const DEFAULT_PATH = new URL("../../../../target/tmp/verification-corpus.json", import.meta.url);
const path = process.env["VERIFICATION_CORPUS"] ?? fileURLToPath(DEFAULT_PATH);
const corpus = JSON.parse(readFileSync(path, "utf8")) as Corpus;

const contents = new Map<string, Bytes>();

function bytesOf(hash: string): Bytes {
    const known = contents.get(hash);
    if (known) {
        return known;
    }
    const written = corpus.bytes[hash];
    assert.ok(written !== undefined);
    const bytes =
        typeof written === "string"
            ? Uint8Array.from(written, (character) => character.charCodeAt(0))
            : new Uint8Array(written.length).fill(written.byte);
    contents.set(hash, bytes);
    return bytes;
}

function time(text: string | null): number | undefined {
    return text === null ? undefined : parseTime(text);
}

async function reportOf(one: Case): Promise<string> {
    let keys = PublicKeys.none();
    for (const pem of one.keys) {
        keys = await keys.withPem(pem);
    }
    const files = Object.entries(one.files).map(([name, hash]): ArchiveFile => {
        const bytes = bytesOf(hash);
        return { name, length: bytes.length, read: () => Promise.resolve(bytes) };
    });
    const options: Options = {
        keys,
        place: one.place === null ? undefined : Place.parse(one.place),
        configurationId: one.configurationId ?? undefined,
        concurrency: 4,
        since: time(one.since),
        wholeRequired: one.wholeRequired,
        provenRequired: one.provenRequired,
        origin: one.origin,
        expectation: {
            through: time(one.expectation.through),
            head: one.expectation.head ?? undefined,
            source: one.expectation.source,
        },
    };
    const circumstances = { target: one.target, verifiedAt: time(one.verifiedAt) ?? 0, program: one.program };
    return reportJson(await verify(new Archive(files), options, circumstances, () => undefined));
}

/** Only the parsers' own words for malformed JSON differ. */
function comparable(report: string): string {
    return report.replaceAll(/("detail":"it is not a digest): (?:[^"\\]|\\.)*"/g, '$1"');
}

test("every report is that of the command line", async () => {
    const different: string[] = [];
    const compare = async (one: Case): Promise<void> => {
        const actual = comparable(await reportOf(one));
        if (actual !== comparable(one.report)) {
            different.push(`${one.name}\n  command line: ${comparable(one.report)}\n  page:         ${actual}`);
        }
    };
    // Hashes and signatures are computed by other threads.
    for await (const _ of buffered(corpus.cases, 8, compare)) {
    }
    assert.equal(
        different.length,
        0,
        `${different.length} of ${corpus.cases.length}:\n${different.slice(0, 5).join("\n")}`,
    );
    assert.ok(corpus.cases.length > 1_000, String(corpus.cases.length));
});

test("every code has the sentence of the command line, and a case", () => {
    const { codes } = corpus;
    const known = Object.entries(codes).filter(([code]) => !CODES_OF_DEEP_VERIFICATION.includes(code));
    assert.deepEqual(Object.fromEntries(known), { ...BREAKS });
    assert.ok(CODES_OF_DEEP_VERIFICATION.every((code) => code in codes));
    const found = new Set(corpus.cases.map(({ code }) => code));
    assert.deepEqual(
        Object.keys(BREAKS).filter((code) => !found.has(code)),
        [],
    );
});

test("every version of digests is in a case that is complete", () => {
    const versions = new Set<string>();
    for (const { code, files } of corpus.cases) {
        for (const [name, hash] of Object.entries(files)) {
            const written = corpus.bytes[hash];
            if (code === null && name.endsWith(".json") && typeof written === "string") {
                versions.add(/^\{"version":(\d+),/.exec(written)?.[1] ?? "");
            }
        }
    }
    assert.deepEqual([...versions].sort(), ["1", "2", "3", "4", "5", "6"]);
});

test("public keys are accepted and refused as by the command line", async () => {
    for (const { pem, error, fingerprints } of corpus.keys) {
        const keys = await PublicKeys.none()
            .withPem(pem)
            .catch((failure: unknown) => failure);
        if (error === null) {
            assert.ok(keys instanceof PublicKeys, String(keys));
            assert.deepEqual(keys.fingerprints(), fingerprints);
        } else {
            assert.ok(keys instanceof InvalidKey, pem);
            assert.equal(keys.message, error);
        }
    }
});
