/** The filter that a digest states. */

import { compareText, sha256, utf8 } from "./bytes.ts";
import { type Decoder, invalid, list, optional, struct, text } from "./decode.ts";

const MAX_VALUES = 50;
const MAX_VALUE_LENGTH = 128;
const LISTS = ["actions", "actorTypes", "targetTypes"] as const;

type Lists = Readonly<Record<(typeof LISTS)[number], readonly string[]>>;

export interface EventFilter {
    readonly exclude: Lists;
    readonly include: Lists;
}

interface RawLists {
    actions: string[] | undefined;
    actorTypes: string[] | undefined;
    targetTypes: string[] | undefined;
}

const rawLists = struct<RawLists>({
    actions: optional(list(text)),
    actorTypes: optional(list(text)),
    targetTypes: optional(list(text)),
});

const rawFilter = struct<{ include: RawLists | undefined; exclude: RawLists | undefined }>({
    include: optional(rawLists),
    exclude: optional(rawLists),
});

export const eventFilter: Decoder<EventFilter> = (json) => {
    const raw = rawFilter(json);
    const filter = { exclude: lists(raw.exclude), include: lists(raw.include) };
    const values = LISTS.flatMap((name) => [...filter.include[name], ...filter.exclude[name]]).length;
    if (values === 0 || values > MAX_VALUES) {
        return invalid("the filter has too few or too many values");
    }
    for (const name of LISTS) {
        const [include, exclude] = [filter.include[name], filter.exclude[name]];
        if (include.length > 0 && include.every((pattern) => exclude.some((other) => covers(other, pattern)))) {
            return invalid("no event passes the filter");
        }
    }
    return filter;
};

function lists(raw: RawLists | undefined): Lists {
    return {
        actions: patterns(raw?.actions),
        actorTypes: patterns(raw?.actorTypes),
        targetTypes: patterns(raw?.targetTypes),
    };
}

function patterns(texts: readonly string[] | undefined): readonly string[] {
    if (texts && (texts.length === 0 || !texts.every(isPattern))) {
        return invalid("a list of the filter is empty, or has an invalid value");
    }
    return [...new Set(texts)].sort(compareText);
}

function isPattern(text: string): boolean {
    const start = text.replace(/\*$/, "");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    return start !== "" && utf8(text).length <= MAX_VALUE_LENGTH && !/[\u0000-\u001f\u007f-\u009f"\\*]/.test(start);
}

function matches(pattern: string, value: string): boolean {
    return pattern.endsWith("*") ? value.startsWith(pattern.slice(0, -1)) : value === pattern;
}

/** Returns whether every value that matches `other` matches `pattern` too. */
function covers(pattern: string, other: string): boolean {
    return other.endsWith("*")
        ? pattern.endsWith("*") && matches(pattern, other.slice(0, -1))
        : matches(pattern, other);
}

/** Returns the canonical text, which is also the filter's JSON in a digest. */
export function filterText(filter: EventFilter): string {
    const side = (lists: Lists): [string, readonly string[]][] =>
        LISTS.map((name): [string, readonly string[]] => [name, lists[name]]).filter(([, values]) => values.length > 0);
    const sides = [
        ["exclude", side(filter.exclude)],
        ["include", side(filter.include)],
    ] as const;
    return JSON.stringify(
        Object.fromEntries(
            sides.filter(([, lists]) => lists.length > 0).map(([name, lists]) => [name, Object.fromEntries(lists)]),
        ),
    );
}

export function filterSha256(filter: EventFilter): Promise<string> {
    return sha256(utf8(filterText(filter)));
}
