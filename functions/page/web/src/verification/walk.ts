/** The first pass: walks the digests backwards from the newest, and proves each. */

import { type Archive, buffered, isFolderMarker, ReadError } from "./archive.ts";
import { type Break, breakOfDigest, breakOfExport } from "./breaks.ts";
import { sha256 } from "./bytes.ts";
import { type Chain, Lake, MAX_DIGESTS, type ProvenDigest } from "./chain.ts";
import type { Digest, DigestReference } from "./digest.ts";
import { examine, type Examined, type Identity, type Listed, type Pair, readPair } from "./examine.ts";
import { DIGEST_FOLDER } from "./layout.ts";
import { DigestName, LakeName } from "./names.ts";
import { MAX_CLOCK_SKEW, type Options, type ShowProgress } from "./options.ts";
import { Place } from "./place.ts";
import { addBreak, addName, MAX_LISTED, type Report, saturatingSum } from "./report.ts";
import { tooManyDigests } from "./text.ts";
import { type BlockId, later, timeOfBlock } from "./time.ts";
import { classifyUnknown } from "./unknownFile.ts";

const STRAY_ADVICE =
    "another file is the proven digest of this sequence: this one was not written by the service. " +
    "Find out who wrote it, and who may write here, then remove it";

/** The previous digest, as the one after it names it. */
interface Link {
    readonly reference: DigestReference;
    readonly name: DigestName;
    readonly isHere: boolean;
}

/** The digest that was proven last. The walk continues with the one before it. */
interface Upper {
    readonly sequence: bigint;
    readonly firstBlock: BlockId;
    readonly previous: Link | undefined;
}

/** A signature without a digest. */
interface EarlySignature {
    readonly name: DigestName;
    /** True if the name is derived from these bytes. */
    readonly fitsName: boolean;
}

export class Walk {
    private readonly archive: Archive;
    private readonly options: Options;
    private readonly show: ShowProgress;
    private readonly report: Report;
    private place: Place | undefined;
    private readonly identity: Identity;
    /** The newest first. */
    private readonly digests: ProvenDigest[] = [];
    private referencesHere = 0;
    private hasClasses = false;
    private lake: Lake | undefined;
    /** Signatures after the newest digest: a run writes a signature before its digest. */
    private readonly earlySignatures: EarlySignature[] = [];

    constructor(archive: Archive, options: Options, show: ShowProgress, report: Report) {
        this.archive = archive;
        this.options = options;
        this.show = show;
        this.report = report;
        this.place = options.place;
        this.identity = {
            configurationId: options.place?.configurationId ?? options.configurationId,
            tenantId: undefined,
        };
    }

    async run(): Promise<Chain> {
        const { listed, unknown } = this.list();
        const count = listed.filter(({ hasDigest }) => hasDigest).length;
        this.show({ kind: "DIGESTS_LISTED", count });
        if (count === 0) {
            const detail = "nothing was exported here yet, or the digests were removed";
            addBreak(this.report, breakOfExport("NO_DIGESTS", detail));
        } else {
            await this.walk(listed);
        }
        unknown.forEach((broken) => addBreak(this.report, broken));
        this.digests.reverse();
        this.report.tenantId = this.identity.tenantId;
        this.report.configurationId = this.identity.configurationId;
        this.report.place = this.place;
        const { digests, place, hasClasses, lake, referencesHere } = this;
        return { digests, place, hasClasses, lake, referencesHere };
    }

    /** Lists the names of digests and signatures in ascending order, and the breaks of names that are neither. */
    private list(): { readonly listed: Listed[]; readonly unknown: Break[] } {
        const listed: Listed[] = [];
        const unknown: Break[] = [];
        for (const file of this.archive.list(DIGEST_FOLDER)) {
            const digest = DigestName.parse(file.name);
            const name = digest ?? DigestName.parseSignature(file.name);
            if (!name) {
                if (!isFolderMarker(file)) {
                    const detail = "its name is neither a digest's nor a signature's";
                    const broken = classifyUnknown(this.options, file.name, detail);
                    if (broken) {
                        unknown.push(broken);
                    } else {
                        addName(this.report.systemFiles, file.name);
                    }
                }
                continue;
            }
            const last = listed.at(-1);
            // A signature's name follows its digest's.
            if (last?.name.equals(name)) {
                last.hasSignature ||= digest === undefined;
            } else {
                listed.push({ name, hasDigest: digest !== undefined, hasSignature: digest === undefined });
            }
            if (listed.length > MAX_DIGESTS) {
                throw new ReadError(tooManyDigests(MAX_DIGESTS));
            }
        }
        return { listed, unknown };
    }

    private async walk(listed: readonly Listed[]): Promise<void> {
        const pairs = buffered(listed.toReversed(), this.options.concurrency, (one) => readPair(this.archive, one));
        let upper: Upper | undefined;
        for await (const pair of pairs) {
            upper = await this.step(upper, pair);
            this.show({ kind: "DIGEST_CHECKED" });
            if (this.reachesBackFarEnough()) {
                upper = undefined;
                break;
            }
        }
        const link = upper?.previous;
        if (link?.isHere) {
            this.reportMissing(link);
        } else if (link) {
            this.reportElsewhere(link);
        }
        this.classifyEarlySignatures();
        this.adviseOnStrays();
    }

    private examine(pair: Pair, expected: DigestReference | undefined): Promise<Examined> {
        return examine(pair, expected, this.options.keys, this.identity);
    }

    private reachesBackFarEnough(): boolean {
        const oldest = this.digests.at(-1);
        const { since } = this.options;
        return since !== undefined && oldest !== undefined && timeOfBlock(oldest.firstBlock) <= since;
    }

    /** Examines the next digest below `upper`. Returns the `upper` of the digest after that. */
    private async step(upper: Upper | undefined, pair: Pair): Promise<Upper | undefined> {
        if (!upper) {
            return this.beginStretch(pair);
        }
        const link = upper.previous;
        if (link?.name.equals(pair.name)) {
            if (pair.digest === "MISSING") {
                this.reportMissing(link);
                return undefined;
            }
            const examined = await this.examine(pair, link.reference);
            if ("broken" in examined) {
                addBreak(this.report, examined.broken);
                return undefined;
            }
            this.checkJunction(pair.name, examined.digest, upper);
            this.linkAbove();
            return this.prove(pair.name, examined.digest, link.reference.sha256);
        }
        // Before the first digest of the configuration, or at a place of the chain that belongs to another digest. The
        // order of names that differ in the tag alone means nothing.
        const isStray =
            !link || pair.name.isOfOrAfter(link.name) || (!link.isHere && pair.name.sequence >= link.name.sequence);
        if (isStray) {
            await this.reportStray(pair);
            return upper;
        }
        if (link.isHere) {
            this.reportMissing(link);
        } else {
            this.reportElsewhere(link);
        }
        return this.beginStretch(pair);
    }

    /** Examines a digest to which no later one links: the newest of all, or the newest below a missing one. */
    private async beginStretch(pair: Pair): Promise<Upper | undefined> {
        if (pair.digest === "MISSING") {
            if (this.digests.length === 0) {
                const { name, signature } = pair;
                const fitsName = typeof signature !== "string" && name.fitsSignature(await sha256(signature));
                this.earlySignatures.push({ name, fitsName });
            } else {
                await this.reportStray(pair);
            }
            return undefined;
        }
        const examined = await this.examine(pair, undefined);
        if ("broken" in examined) {
            addBreak(this.report, examined.broken);
            return undefined;
        }
        const above = this.digests.at(-1);
        if (above && examined.digest.window.endBlock > above.firstBlock) {
            const { firstBlock, name } = above;
            const detail = `its window ends after block ${firstBlock}, where digest ${name.sequence} begins`;
            addBreak(this.report, breakOfDigest("WINDOW_GAP", pair.name, detail));
        }
        this.report.digests.stretches += 1;
        return this.prove(pair.name, examined.digest, examined.sha256);
    }

    /** Adds a digest whose signature, link and statement are valid. */
    private prove(name: DigestName, digest: Digest, hash: string): Upper {
        this.place ??= Place.inferredFrom(digest);
        this.identity.configurationId ??= digest.configurationId;
        this.identity.tenantId ??= digest.tenantId;
        const { place } = this;
        const previous = this.linkOf(digest.previous);
        const here = digest.objects.filter((object) => place?.holdsObject(object));
        const isOfClasses = digest.objectFormat === "OCSF_PARQUET";
        this.hasClasses ||= isOfClasses;
        if (!this.lake && isOfClasses && here[0]) {
            const lakeName = LakeName.ofKey(here[0].key)?.name;
            this.lake = lakeName && new Lake(lakeName.region);
        }
        this.referencesHere += (previous?.isHere ? 1 : 0) + here.length;
        this.digests.push({
            name,
            sha256: hash,
            firstBlock: digest.window.firstBlock,
            endBlock: digest.window.endBlock,
            before: previous ? "UNKNOWN" : "NOTHING",
            namesOnePlace: namesOnePlace(digest),
            format: here.length > 0 ? digest.objectFormat : undefined,
        });
        this.count(digest, hash);
        return { sequence: digest.sequence, firstBlock: digest.window.firstBlock, previous };
    }

    private linkOf(reference: DigestReference | undefined): Link | undefined {
        const name = reference && DigestName.ofKey(reference.key)?.[1];
        return name && { reference, name, isHere: Place.ofReference(reference)?.equals(this.place) ?? false };
    }

    /** Links the digest that was proven last to the one that is about to be. */
    private linkAbove(): void {
        const above = this.digests.at(-1);
        if (above) {
            above.before = "LINKED";
        }
    }

    /** Adds a digest to the sums of the report. */
    private count(digest: Digest, hash: string): void {
        const { digests, objects, gaps, signingKeys } = this.report;
        const { sequence } = digest;
        digests.count += 1;
        digests.firstSequence = sequence;
        digests.lastSequence ??= sequence;
        digests.headSha256 ??= hash;
        for (const object of digest.objects) {
            objects.count += 1;
            objects.events = saturatingSum(objects.events, object.events);
            objects.rawBytes = saturatingSum(objects.rawBytes, object.rawLength);
            objects.storedBytes = saturatingSum(objects.storedBytes, object.storedLength);
            objects.oldestEvent = Math.min(objects.oldestEvent ?? object.oldestEvent, object.oldestEvent);
            objects.newestEvent = Math.max(objects.newestEvent ?? object.newestEvent, object.newestEvent);
        }
        this.report.gapCount += digest.gaps.length;
        gaps.push(...digest.gaps.toReversed().slice(0, MAX_LISTED - gaps.length));
        this.countFilter(digest);
        const known = signingKeys.find(({ fingerprint }) => fingerprint === digest.signingKey);
        if (known) {
            known.digests += 1;
            known.firstSequence = sequence;
        } else {
            signingKeys.push({
                fingerprint: digest.signingKey,
                digests: 1,
                firstSequence: sequence,
                lastSequence: sequence,
            });
        }
    }

    private countFilter({ filter, filterSha256, leftOut, sequence }: Digest): void {
        if (!filter || filterSha256 === undefined || leftOut === undefined) {
            return;
        }
        const { digests, filters } = this.report;
        digests.leftOut = saturatingSum(digests.leftOut, leftOut);
        const known = filters.find((used) => used.sha256 === filterSha256);
        if (known) {
            known.digests += 1;
            known.firstSequence = sequence;
            known.leftOut = saturatingSum(known.leftOut, leftOut);
        } else if (filters.length >= MAX_LISTED) {
            this.report.unlistedFilters += 1;
        } else {
            filters.push({
                filter,
                sha256: filterSha256,
                digests: 1,
                firstSequence: sequence,
                lastSequence: sequence,
                leftOut,
            });
        }
    }

    /** Checks that two linked digests meet. */
    private checkJunction(name: DigestName, digest: Digest, upper: Upper): void {
        if (digest.sequence + 1n !== upper.sequence) {
            const detail = `digest ${upper.sequence} names it as its previous one`;
            addBreak(this.report, breakOfDigest("WINDOW_GAP", name, detail));
        } else if (digest.window.endBlock !== upper.firstBlock) {
            const detail =
                `it ends before block ${digest.window.endBlock}, and digest ${upper.sequence} begins with block ` +
                upper.firstBlock;
            addBreak(this.report, breakOfDigest("WINDOW_GAP", name, detail));
        }
    }

    /** Reports a digest that no digest of the chain names. */
    private async reportStray(pair: Pair): Promise<void> {
        if (pair.digest === "MISSING") {
            addBreak(this.report, breakOfDigest("MISSING_DIGEST", pair.name, "only its signature exists"));
            return;
        }
        const examined = await this.examine(pair, undefined);
        addBreak(
            this.report,
            "broken" in examined
                ? examined.broken
                : breakOfDigest("FORKED_CHAIN", pair.name, "no digest of the chain names it"),
        );
    }

    private reportMissing({ name, reference }: Link): void {
        const detail = `the next digest names it with SHA-256 ${reference.sha256}`;
        addBreak(this.report, breakOfDigest("MISSING_DIGEST", name, detail));
    }

    private reportElsewhere({ reference }: Link): void {
        const { elsewhere } = this.report;
        elsewhere.digestCount += 1;
        if (elsewhere.digests.length < MAX_LISTED) {
            elsewhere.digests.push(reference);
        }
    }

    /**
     * Classifies signatures without a digest. The one after the newest digest may belong to a run in progress, because
     * a run writes the signature first. A digest is signed once, so at most one of several is valid.
     */
    private classifyEarlySignatures(): void {
        const newest = this.digests[0];
        const next = newest && newest.name.sequence + 1n;
        const candidates = this.earlySignatures.filter(({ name }) => name.sequence === next).length;
        const latest = later(this.report.circumstances.verifiedAt, MAX_CLOCK_SKEW);
        for (const { name, fitsName } of this.earlySignatures) {
            const fail = (code: Break["code"], detail: string): void =>
                addBreak(this.report, breakOfDigest(code, name, detail));
            if (name.sequence !== next) {
                fail("MISSING_DIGEST", "only its signature exists");
            } else if (name.to > latest) {
                fail("MISSING_DIGEST", "only its signature exists, and its time is after this machine's clock");
            } else if (!fitsName) {
                fail("BAD_SIGNATURE", "its name does not match the signature");
            } else if (candidates > 1) {
                fail("MISSING_DIGEST", `only its signature exists, and there are ${candidates} of this sequence`);
            } else {
                addName(this.report.pending, name.signatureFile());
            }
        }
    }

    /** Adds the advice to the breaks of files beside a proven digest of the same sequence. */
    private adviseOnStrays(): void {
        for (const broken of this.report.breaks) {
            const proven = this.digests.find(({ name }) => name.sequence === broken.sequence);
            if (proven && broken.file !== undefined && proven.name.file() !== broken.file) {
                broken.detail = `${broken.detail}; ${STRAY_ADVICE}`;
            }
        }
    }
}

/** Returns whether the previous digest and all objects, if there are any, are in one place. */
function namesOnePlace({ previous, objects }: Digest): boolean {
    const place = previous && Place.ofReference(previous);
    return place !== undefined && objects.every((object) => place.holdsObject(object));
}
