/** The exports in a folder that was dropped or chosen. */

import { lastPart } from "./bytes.ts";
import { BESIDE, DIGEST_FOLDER, isConfigurationId, LAKE_FOLDER } from "./layout.ts";
import { nestedTooDeep, tooManyFiles } from "./text.ts";

/** A file of a folder. The path is relative to the folder's parent, with `/` between its parts. */
export interface FolderFile {
    readonly path: string;
    readonly file: File;
}

/** The files of one export, with names relative to its folder. */
export interface FoundExport {
    /** The path of its folder. */
    readonly folder: string;
    /** The configuration that the folder is named after. */
    readonly configurationId: string | undefined;
    readonly files: readonly { readonly name: string; readonly file: File }[];
}

/** The most files of one folder: twice those of the most digests, and the objects. */
const MAX_FILES = 4_000_000;
const MAX_DEPTH = 16;
/** The dropped files that are asked for at the same time. */
const CONCURRENCY = 100;

/** Is called with the number of files that were found. Throws to end the listing. */
export type ShowCount = (count: number) => void;

/**
 * Returns the exports in a folder: each folder with a folder of digests. Without any, the folder itself is returned, so
 * that the verification says that there are no digests.
 */
export function exportsIn(files: readonly FolderFile[]): FoundExport[] {
    const folders = new Set<string>();
    for (const { path } of files) {
        const at = `/${path}`.indexOf(`/${DIGEST_FOLDER}`);
        if (at >= 0) {
            folders.add(path.slice(0, Math.max(0, at - 1)));
        }
    }
    if (folders.size === 0 && files.length > 0) {
        folders.add(rootOf(files));
    }
    return [...folders].sort().map((folder) => exportOf(folder, files));
}

/** Returns the top folder that has all files in it and is named after a configuration, or the one that was chosen. */
function rootOf(files: readonly FolderFile[]): string {
    const parts = files[0]?.path.split("/").slice(0, -1) ?? [];
    const above = parts.map((_, index) => parts.slice(0, index + 1).join("/"));
    const isCommon = (folder: string): boolean => files.every(({ path }) => path.startsWith(`${folder}/`));
    return above.find((folder) => isConfigurationId(lastPart(folder)) && isCommon(folder)) ?? above[0] ?? "";
}

function exportOf(folder: string, files: readonly FolderFile[]): FoundExport {
    const inside = folder === "" ? "" : `${folder}/`;
    const parent = inside.slice(0, inside.length - lastPart(folder).length - 1);
    // Objects in the layout of Security Lake are in folders beside the export's.
    const beside = folder === "" ? undefined : parent + LAKE_FOLDER;
    const named = files.flatMap(({ path, file }) => {
        if (path.startsWith(inside)) {
            return [{ name: path.slice(inside.length), file }];
        }
        return beside !== undefined && path.startsWith(beside)
            ? [{ name: BESIDE + path.slice(parent.length), file }]
            : [];
    });
    const id = lastPart(folder);
    return { folder, configurationId: isConfigurationId(id) ? id : undefined, files: named };
}

/** Returns the files of an `<input type="file" webkitdirectory>`. */
export function filesOfInput(list: FileList): FolderFile[] {
    checkNumber(list.length);
    return Array.from(list, (file) => ({ path: file.webkitRelativePath || file.name, file }));
}

function checkNumber(number: number, most = MAX_FILES): void {
    if (number > most) {
        throw new Error(tooManyFiles(most));
    }
}

/** Returns all files that were dropped, those in folders included. To be called before the event ends. */
export async function filesOfDrop(
    items: Iterable<DataTransferItem>,
    show: ShowCount,
    most = MAX_FILES,
): Promise<FolderFile[]> {
    const waiting: FileSystemEntry[] = [];
    const files: FolderFile[] = [];
    const add = async (entries: readonly FileSystemEntry[]): Promise<void> => {
        for (let at = 0; at < entries.length; at += CONCURRENCY) {
            const some = entries.slice(at, at + CONCURRENCY);
            files.push(...(await Promise.all(some.filter(isFile).map(fileOf))));
            waiting.push(...some.filter((entry) => !isFile(entry)));
            checkNumber(files.length, most);
            show(files.length);
        }
    };
    await add(Array.from(items, (item) => item.webkitGetAsEntry()).filter((entry) => entry !== null));
    for (let folder = waiting.pop(); folder; folder = waiting.pop()) {
        if (folder.fullPath.split("/").length > MAX_DEPTH) {
            throw new Error(nestedTooDeep(folder.fullPath));
        }
        const reader = (folder as FileSystemDirectoryEntry).createReader();
        const next = (): Promise<FileSystemEntry[]> =>
            new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        // A call returns some of the entries, and none after the last.
        for (let some = await next(); some.length > 0; some = await next()) {
            await add(some);
        }
    }
    return files;
}

function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
    return entry.isFile;
}

async function fileOf(entry: FileSystemFileEntry): Promise<FolderFile> {
    const file = await new Promise<File>((resolve, reject) => entry.file(resolve, reject));
    return { path: entry.fullPath.replace(/^\//, ""), file };
}
