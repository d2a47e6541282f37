/** Bytes, hashes and texts. Hashes are lower-case hexadecimal digits, as in digests. */

export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();

export function utf8(text: string): Bytes {
    return encoder.encode(text);
}

export function hexOf(bytes: Uint8Array): string {
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export async function sha256(bytes: Bytes | ArrayBuffer): Promise<string> {
    return hexOf(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

export function equalBytes(one: Uint8Array, other: Uint8Array): boolean {
    return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

/** Compares texts in the order of their UTF-8 bytes, in which S3 lists. JavaScript compares UTF-16 units. */
export function compareText(one: string, other: string): number {
    const length = Math.min(one.length, other.length);
    for (let index = 0; index < length; index += 1) {
        const [left, right] = [one.charCodeAt(index), other.charCodeAt(index)];
        if (left !== right) {
            // Halves of surrogate pairs stand for characters above all others.
            return rank(left) - rank(right);
        }
    }
    return one.length - other.length;
}

function rank(unit: number): number {
    return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}

/** Splits at the first separator. */
export function splitOnce(text: string, separator: string): [string, string] | undefined {
    const at = text.indexOf(separator);
    return at < 0 ? undefined : [text.slice(0, at), text.slice(at + separator.length)];
}

export function withoutPrefix(text: string, prefix: string): string | undefined {
    return text.startsWith(prefix) ? text.slice(prefix.length) : undefined;
}

export function withoutSuffix(text: string, suffix: string): string | undefined {
    return text.endsWith(suffix) ? text.slice(0, text.length - suffix.length) : undefined;
}

export function lastPart(path: string): string {
    return path.slice(path.lastIndexOf("/") + 1);
}
