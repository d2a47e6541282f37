/** The port through which the files of an export are read. */

import { type Bytes, compareText } from "./bytes.ts";
import { changedMeanwhile, sameName } from "./text.ts";

/**
 * A file whose name is relative to the export's prefix. Names that begin with `../` are of files beside that folder.
 */
export interface ArchiveFile {
    readonly name: string;
    readonly length: number;
    /** Rejects if the file can't be read, or has changed. */
    read(): Promise<Bytes>;
}

/** The error of a file that can't be read, for a reason that says nothing about the export. */
export class ReadError extends Error {}

export type BoundedFile = Bytes | "MISSING" | "TOO_LONG";

/** The files of one export, in the order of their names. */
export class Archive {
    private readonly files: ReadonlyMap<string, ArchiveFile>;
    private readonly sorted: readonly ArchiveFile[];

    constructor(files: Iterable<ArchiveFile>) {
        this.sorted = [...files].sort((one, other) => compareText(one.name, other.name));
        this.files = new Map(this.sorted.map((file) => [file.name, file]));
        if (this.files.size !== this.sorted.length) {
            throw new ReadError(sameName);
        }
    }

    /** Returns the files whose names begin with `folder`. Without `../`, no file beside the export is returned. */
    list(folder: string): ArchiveFile[] {
        return this.sorted.filter(
            ({ name }) => name.startsWith(folder) && (folder.startsWith("../") || !name.startsWith("../")),
        );
    }

    find(name: string): ArchiveFile | undefined {
        return this.files.get(name);
    }

    async readBounded(name: string, limit: number): Promise<BoundedFile> {
        const file = this.find(name);
        if (!file) {
            return "MISSING";
        }
        return file.length > limit ? "TOO_LONG" : read(file);
    }
}

export async function read(file: ArchiveFile): Promise<Bytes> {
    let bytes: Bytes;
    try {
        bytes = await file.read();
    } catch (error) {
        throw new ReadError(`${file.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (bytes.length !== file.length) {
        throw new ReadError(changedMeanwhile(file.name));
    }
    return bytes;
}

/** Returns whether this is the object that the S3 console creates for an empty folder. */
export function isFolderMarker({ name, length }: ArchiveFile): boolean {
    return length === 0 && (name === "" || name.endsWith("/"));
}

/** Maps values in their order, with up to `limit` of them in work. */
export async function* buffered<T, R>(
    values: Iterable<T> | AsyncIterable<T>,
    limit: number,
    work: (value: T) => Promise<R>,
): AsyncGenerator<R, void, void> {
    const waiting: Promise<R>[] = [];
    try {
        for await (const value of values) {
            waiting.push(work(value));
            if (waiting.length >= limit) {
                yield await (waiting.shift() as Promise<R>);
            }
        }
        while (waiting.length > 0) {
            yield await (waiting.shift() as Promise<R>);
        }
    } finally {
        // Those whose result nobody waits for any more may fail.
        waiting.forEach((promise) => void promise.catch(() => undefined));
    }
}
