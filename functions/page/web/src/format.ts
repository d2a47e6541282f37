// Times, sizes and numbers in the user's own form, and with the words of the page.

import { text } from "./text.ts";

const LOCAL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const COUNT = new Intl.NumberFormat();
const TENTHS = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const RELATIVE = new Intl.RelativeTimeFormat(text.language, { numeric: "always" });

const IN_UTC = "audit-export.utc";
let isUtc: boolean | null = null;

/** Returns whether times are shown in UTC, as the person chose in this browser. */
export function showsUtc(): boolean {
    try {
        isUtc ??= localStorage.getItem(IN_UTC) !== null;
    } catch {
        // A frame may lack the permission to store. The choice holds until the page is left.
        isUtc ??= false;
    }
    return isUtc;
}

export function showUtc(chosen: boolean): void {
    isUtc = chosen;
    try {
        if (chosen) localStorage.setItem(IN_UTC, "yes");
        else localStorage.removeItem(IN_UTC);
    } catch {
        // As above.
    }
}

/** Returns a time as it is shown: local or in UTC. */
export function shownTime(time: string): string {
    return showsUtc() ? utcTime(time) : localTime(time);
}

export function localTime(time: string): string {
    return LOCAL.format(new Date(time));
}

/** `2026-01-31 00:00:00 UTC`, with milliseconds only if there are some. */
export function utcTime(time: string): string {
    const iso = new Date(time).toISOString();
    return text.utc(`${iso.slice(0, 10)} ${iso.slice(11, 23).replace(/\.000$/, "")}`);
}

export function count(number: number | bigint): string {
    return COUNT.format(number);
}

export function bytes(number: number): string {
    let value = number;
    let unit = 0;
    while (value >= 1000 && unit < text.byteUnits.length - 1) {
        value /= 1000;
        unit += 1;
    }
    return `${TENTHS.format(value)} ${text.byteUnits[unit]}`;
}

/** The two largest units of a duration: `2 d 4 h`, `3 min 5 s`. */
export function duration(seconds: number): string {
    const { day, hour, minute, second } = text.durationUnits;
    const units: [string, number][] = [
        [day, 86_400],
        [hour, 3_600],
        [minute, 60],
        [second, 1],
    ];
    let rest = Math.round(seconds);
    const parts: string[] = [];
    for (const [name, length] of units) {
        const number = Math.floor(rest / length);
        rest -= number * length;
        if (number > 0) parts.push(`${number} ${name}`);
        else if (parts.length > 0) break;
    }
    return parts.slice(0, 2).join(" ") || `0 ${second}`;
}

/** The seconds from one time to another. */
export function secondsBetween(from: string, to: string): number {
    return (Date.parse(to) - Date.parse(from)) / 1000;
}

/** `in 2 hours`, `5 minutes ago`. */
export function relative(time: string, now: number): string {
    const seconds = (Date.parse(time) - now) / 1000;
    const size = Math.abs(seconds);
    if (size < 90) return RELATIVE.format(Math.round(seconds), "second");
    if (size < 5_400) return RELATIVE.format(Math.round(seconds / 60), "minute");
    if (size < 129_600) return RELATIVE.format(Math.round(seconds / 3_600), "hour");
    return RELATIVE.format(Math.round(seconds / 86_400), "day");
}

/** Shows characters that can't be seen or that turn the direction of a text, with which one name can look like another. */
export function visible(name: string): string {
    const hidden = /[\p{Cc}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu;
    return name.replace(hidden, (character) => `\\u${character.codePointAt(0)!.toString(16).padStart(4, "0")}`);
}
