/** Starts a verification in a worker. */

import type { Progress } from "./options.ts";
import type { Message, PlainReport, Task } from "./task.ts";
import { notRead, notStarted } from "./text.ts";

export interface Verified {
    readonly report: PlainReport;
    /** The report as one line of JSON, like that of `audit-export verify --output json`. */
    readonly json: string;
}

export interface Verification {
    /** Rejects with the reason if files can't be read. Stays open if the verification is cancelled. */
    readonly result: Promise<Verified>;
    cancel(): void;
}

/** A worker that waits. It is loaded with the view, so that a verification also starts offline. */
let spare: Worker | null = newWorker();

function newWorker(): Worker {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    // It can't be loaded: the next verification tries again, and says so.
    worker.addEventListener("error", () => {
        if (spare === worker) spare = null;
    });
    return worker;
}

export function startVerification(task: Task, show: (progress: readonly Progress[]) => void): Verification {
    const worker = spare ?? newWorker();
    spare = null;
    let hasEnded = false;
    const result = new Promise<Verified>((resolve, reject) => {
        const fail = (reason: string): void => {
            hasEnded = true;
            worker.terminate();
            reject(new Error(reason));
        };
        worker.onmessage = ({ data }: MessageEvent<Message>) => {
            if (data.kind === "PROGRESS") {
                show(data.progress);
            } else if (data.kind === "FAILED") {
                fail(data.reason);
            } else {
                hasEnded = true;
                spare = worker;
                resolve(data);
            }
        };
        worker.onerror = (event) => fail(event.message || notStarted);
        worker.onmessageerror = () => fail(notRead);
        worker.postMessage(task);
    });
    const cancel = (): void => {
        if (!hasEnded) {
            hasEnded = true;
            worker.terminate();
            spare ??= newWorker();
        }
    };
    return { result, cancel };
}
