/** Carries out one verification, in a worker or in a test. */

import { Archive, type ArchiveFile, ReadError } from "./archive.ts";
import { InvalidKey, PublicKeys } from "./keys.ts";
import type { Progress, ShowProgress } from "./options.ts";
import { Place } from "./place.ts";
import { NO_EXPECTATION, type Report, reportJson } from "./report.ts";
import type { Message, Task } from "./task.ts";
import { wrongPlace, wrongTime } from "./text.ts";
import { parseTime } from "./time.ts";
import { verify } from "./verifier.ts";

/** The program that reports name. */
const PROGRAM = "audit-export page";

/**
 * The files that are read at the same time. An object has 32 MiB and one block at most, so that these take 200 MB in
 * the worst case.
 */
const CONCURRENCY = 6;

/** The time between two messages of progress, in milliseconds. */
const PROGRESS_INTERVAL = 100;

/** Verifies, and passes on messages; the last is the result. */
export async function run(task: Task, post: (message: Message) => void): Promise<void> {
    const pace = new Pace(post);
    try {
        const report = await verifyTask(task, (progress) => pace.add(progress));
        pace.flush();
        post({ kind: "DONE", report: { ...report, place: report.place?.toString() }, json: reportJson(report) });
    } catch (error) {
        if (error instanceof ReadError || error instanceof InvalidKey || error instanceof InvalidTask) {
            post({ kind: "FAILED", reason: error.message });
        } else {
            throw error;
        }
    }
}

class InvalidTask extends Error {}

async function verifyTask(task: Task, show: ShowProgress): Promise<Report> {
    let keys = PublicKeys.none();
    for (const pem of task.keys) {
        keys = await keys.withPem(pem);
    }
    const place = task.place === undefined ? undefined : Place.parse(task.place);
    if (task.place !== undefined && !place) {
        throw new InvalidTask(wrongPlace);
    }
    const through = task.expectedThrough && parseTime(task.expectedThrough.time);
    if (task.expectedThrough && through === undefined) {
        throw new InvalidTask(wrongTime);
    }
    const files = task.files.map(({ name, file }): ArchiveFile => ({
        name,
        length: file.size,
        read: async () => new Uint8Array(await file.arrayBuffer()),
    }));
    const options = {
        keys,
        place,
        configurationId: task.configurationId,
        concurrency: CONCURRENCY,
        since: undefined,
        wholeRequired: task.wholeRequired,
        provenRequired: false,
        origin: "COPY",
        expectation: task.expectedThrough
            ? { through, head: undefined, source: task.expectedThrough.source }
            : NO_EXPECTATION,
    } as const;
    const circumstances = { target: task.target, verifiedAt: task.verifiedAt, program: PROGRAM };
    return verify(new Archive(files), options, circumstances, show);
}

/** Collects progress, and passes it on at intervals: a message for each file would slow a verification of many. */
class Pace {
    private readonly post: (message: Message) => void;
    private waiting: Progress[] = [];
    private last = 0;

    constructor(post: (message: Message) => void) {
        this.post = post;
    }

    add(progress: Progress): void {
        this.waiting.push(progress);
        if (performance.now() - this.last >= PROGRESS_INTERVAL) {
            this.flush();
        }
    }

    flush(): void {
        if (this.waiting.length > 0) {
            this.post({ kind: "PROGRESS", progress: this.waiting });
            this.waiting = [];
        }
        this.last = performance.now();
    }
}
