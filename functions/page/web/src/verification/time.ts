/** Times in milliseconds since 1970, and the IDs of blocks, which begin with one. */

/** 9999-12-31T23:59:59.999Z. */
const MAX_TIME = 253_402_300_799_999;

const TIME = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

const MAX_OFFSET_MINUTES = 14 * 60;

/** Parses RFC 3339. Fractions of a millisecond are cut off. */
export function parseTime(text: string): number | undefined {
    const parts = TIME.exec(text);
    if (!parts) {
        return undefined;
    }
    const number = (index: number): number => Number(parts[index] ?? 0);
    const [year, month, day, hour, minute, second] = [1, 2, 3, 4, 5, 6].map(number) as [
        number,
        number,
        number,
        number,
        number,
        number,
    ];
    const date = new Date(0);
    date.setUTCFullYear(year, month - 1, day);
    const exists = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
    const offset = number(9) * 60 + number(10);
    if (!exists || hour > 23 || minute > 59 || second > 59 || number(10) > 59 || offset > MAX_OFFSET_MINUTES) {
        return undefined;
    }
    const millisecond = Number((parts[7] ?? "").padEnd(3, "0").slice(0, 3));
    const minutes = hour * 60 + minute + (parts[8] === "-" ? offset : -offset);
    const time = date.getTime() + minutes * 60_000 + second * 1_000 + millisecond;
    return time >= 0 && time <= MAX_TIME ? time : undefined;
}

/** Returns RFC 3339 in UTC with three decimals. */
export function timeText(time: number): string {
    return new Date(time).toISOString();
}

/** Returns the time in the form of names: `20261122T001500123Z`. */
export function compactTime(time: number): string {
    return timeText(time).replaceAll(/[-:.]/g, "");
}

export function parseCompactTime(text: string): number | undefined {
    const parts = /^([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{3})Z$/.exec(text);
    return parts
        ? parseTime(`${parts[1]}-${parts[2]}-${parts[3]}T${parts[4]}:${parts[5]}:${parts[6]}.${parts[7]}Z`)
        : undefined;
}

/** Returns the time after a duration, at most that of the year 9999. */
export function later(time: number, milliseconds: number): number {
    return Math.min(time + milliseconds, MAX_TIME);
}

/** The alphabet of ULIDs, in the order of its bytes: IDs compare like their texts. */
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const TIME_LENGTH = 10;
const ID_LENGTH = 26;

/** The ID of a block: the one text of a ULID until the year 9999. */
export type BlockId = string & { readonly brand: unique symbol };

export function parseBlockId(text: string): BlockId | undefined {
    return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(text) && timeOfBlock(text as BlockId) <= MAX_TIME
        ? (text as BlockId)
        : undefined;
}

export function timeOfBlock(block: BlockId): number {
    let time = 0;
    for (const character of block.slice(0, TIME_LENGTH)) {
        time = time * ALPHABET.length + ALPHABET.indexOf(character);
    }
    return time;
}

/** Returns the lowest ID of a millisecond. */
export function lowestBlockAt(time: number): BlockId {
    let text = "";
    for (let rest = time; text.length < TIME_LENGTH; rest = Math.floor(rest / ALPHABET.length)) {
        text = ALPHABET.charAt(rest % ALPHABET.length) + text;
    }
    return text.padEnd(ID_LENGTH, "0") as BlockId;
}

/** Returns the ID right after this one. */
export function nextBlock(block: BlockId): BlockId {
    const head = block.replace(/Z+$/, "");
    const next = ALPHABET.charAt(ALPHABET.indexOf(head.slice(-1)) + 1);
    return (head.slice(0, -1) + next).padEnd(ID_LENGTH, "0") as BlockId;
}
