/** Files whose names the service does not write. */

import { type Break, extraObject } from "./breaks.ts";
import { type SystemFile, systemFile } from "./names.ts";
import type { Options } from "./options.ts";

const ADVICE: Readonly<Record<SystemFile, string>> = {
    HARMLESS: "the operating system created this file, which is not part of the export: delete it",
    LOOKS_EXPORTED: "macOS created this file beside another one, and readers of the export would read it: delete it",
    AMONG_OBJECTS: "the operating system created this file, and readers of the day's folder would read it: delete it",
};

/**
 * Returns the break of such a file. Undefined: in a copy on disk, a file of the operating system that no reader of the
 * export reads is none.
 */
export function classifyUnknown(options: Options, name: string, detail: string): Break | undefined {
    const kind = systemFile(name);
    if (kind === "HARMLESS" && options.origin === "COPY") {
        return undefined;
    }
    return extraObject(name, kind ? ADVICE[kind] : detail);
}
