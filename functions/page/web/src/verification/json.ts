/**
 * A parser of JSON that keeps what `JSON.parse` loses: integers above 2^53, repeated fields, and whether a text is
 * valid UTF-8. It accepts and refuses the same documents as serde_json, which reads digests in the command line.
 */

import type { Bytes } from "./bytes.ts";

export class JsonNumber {
    readonly text: string;

    constructor(text: string) {
        this.text = text;
    }
}

export class JsonObject {
    /** In the order of the document, with repetitions. */
    readonly fields: readonly (readonly [string, Json])[];

    constructor(fields: readonly (readonly [string, Json])[]) {
        this.fields = fields;
    }
}

export type Json = null | boolean | string | JsonNumber | JsonObject | readonly Json[];

/** The error of a document that is malformed, or of another form than expected. */
export class InvalidJson extends Error {}

/** The depth up to which serde_json reads a document. */
const MAX_DEPTH = 127;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const LITERALS: readonly (readonly [string, Json])[] = [
    ["true", true],
    ["false", false],
    ["null", null],
];
const ESCAPED: Readonly<Record<string, string>> = {
    '"': '"',
    "\\": "\\",
    "/": "/",
    b: "\b",
    f: "\f",
    n: "\n",
    r: "\r",
    t: "\t",
};

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function parseJson(bytes: Bytes): Json {
    const parser = new Parser(bytes);
    const json = parser.value(0);
    parser.end();
    return json;
}

/**
 * Returns the value of a field of the document's object, or of the first element of its array. The other values are
 * skipped; their texts need not be UTF-8.
 */
export function parseFieldOnly(bytes: Bytes, name: string): Json {
    const parser = new Parser(bytes);
    const json = parser.only(name);
    parser.end();
    return json;
}

class Parser {
    /** Each character is a byte. */
    private readonly text: string;
    private position = 0;

    constructor(bytes: Bytes) {
        let text = "";
        for (let start = 0; start < bytes.length; start += 8192) {
            text += String.fromCharCode(...bytes.subarray(start, start + 8192));
        }
        this.text = text;
    }

    end(): void {
        this.space();
        if (this.position < this.text.length) {
            this.fail("characters after the end");
        }
    }

    value(depth: number): Json {
        this.space();
        switch (this.text[this.position]) {
            case '"':
                return this.string();
            case "{":
                return new JsonObject(this.members("}", () => this.field(() => this.value(this.deeper(depth)))));
            case "[":
                return this.members("]", () => this.value(this.deeper(depth)));
            default:
                return this.scalar();
        }
    }

    only(name: string): Json {
        this.space();
        const found: Json[] = [];
        if (this.text[this.position] === "[") {
            this.members("]", () => found.push(this.value(0)));
            if (found.length !== 1) {
                this.fail("another number of elements");
            }
        } else if (this.text[this.position] === "{") {
            this.members("}", () => this.field((field) => (field === name ? found.push(this.value(0)) : this.skip())));
        } else {
            this.fail("not an object");
        }
        const [value] = found;
        if (found.length !== 1 || value === undefined) {
            return this.fail(found.length === 0 ? `no field ${name}` : `the field ${name} is repeated`);
        }
        return value;
    }

    private deeper(depth: number): number {
        return depth < MAX_DEPTH ? depth + 1 : this.fail("nested too deep");
    }

    private fail(reason: string): never {
        throw new InvalidJson(`${reason}, at byte ${this.position}`);
    }

    private space(): void {
        while (" \n\t\r".includes(this.text[this.position] ?? "x")) {
            this.position += 1;
        }
    }

    private take(character: string): boolean {
        this.space();
        if (this.text[this.position] !== character) {
            return false;
        }
        this.position += 1;
        return true;
    }

    /** Reads what is between brackets; the opening one is next. */
    private members<T>(close: string, member: () => T): T[] {
        const members: T[] = [];
        this.position += 1;
        if (this.take(close)) {
            return members;
        }
        do {
            members.push(member());
        } while (this.take(","));
        if (!this.take(close)) {
            this.fail(`${close} is missing`);
        }
        return members;
    }

    private field<T>(value: (name: string) => T): readonly [string, T] {
        this.space();
        const name = this.string();
        if (!this.take(":")) {
            this.fail("a colon is missing");
        }
        return [name, value(name)];
    }

    /** Returns the raw text between quotation marks, whose escapes are well-formed. */
    private raw(): string {
        if (this.text[this.position] !== '"') {
            this.fail("a text is missing");
        }
        const start = this.position + 1;
        for (this.position = start; ; this.position += 1) {
            const character = this.text[this.position];
            if (character === undefined || character < " ") {
                this.fail("a text does not end");
            }
            if (character === '"') {
                this.position += 1;
                return this.text.slice(start, this.position - 1);
            }
            if (character === "\\") {
                this.position += 1;
                const escape = this.text[this.position];
                if (escape === "u" && /^[0-9a-fA-F]{4}$/.test(this.text.slice(this.position + 1, this.position + 5))) {
                    this.position += 4;
                } else if (escape === undefined || !(escape in ESCAPED)) {
                    this.fail("an escape is unknown");
                }
            }
        }
    }

    private string(): string {
        const raw = this.raw();
        // Units of a surrogate pair have to be adjacent escapes: what is between escapes is whole characters.
        const parts = raw.split(/(\\u[0-9a-fA-F]{4}|\\[^u])/);
        const text = parts.map((part, index) => (index % 2 === 0 ? this.decoded(part) : unescaped(part))).join("");
        return /\p{Surrogate}/u.test(text) ? this.fail("half of a surrogate pair") : text;
    }

    private decoded(raw: string): string {
        if (!/[\x80-\xff]/.test(raw)) {
            return raw;
        }
        try {
            return strict.decode(Uint8Array.from(raw, (character) => character.charCodeAt(0)));
        } catch {
            return this.fail("a text is not UTF-8");
        }
    }

    private scalar(): Json {
        for (const [word, value] of LITERALS) {
            if (this.text.startsWith(word, this.position)) {
                this.position += word.length;
                return value;
            }
        }
        NUMBER.lastIndex = this.position;
        const [number] = NUMBER.exec(this.text) ?? this.fail("no value");
        this.position += number.length;
        // "01" is no number, and "1.x" is not one with a rest.
        return /[0-9.eE]/.test(this.text[this.position] ?? "") ? this.fail("no number") : new JsonNumber(number);
    }

    private skip(): void {
        this.space();
        const character = this.text[this.position];
        if (character === '"') {
            this.raw();
        } else if (character === "{" || character === "[") {
            this.skipContainer();
        } else {
            this.scalar();
        }
    }

    /** Skips any depth without recursion. */
    private skipContainer(): void {
        const open: string[] = [];
        for (;;) {
            this.space();
            const character = this.text[this.position];
            if (character === "{" || character === "[") {
                this.position += 1;
                open.push(character);
                if (!this.take(character === "{" ? "}" : "]")) {
                    this.skipName(open);
                    continue;
                }
                open.pop();
            } else {
                this.skip();
            }
            // A value has ended.
            for (;;) {
                const innermost = open.at(-1);
                if (innermost === undefined) {
                    return;
                }
                if (this.take(",")) {
                    this.skipName(open);
                    break;
                }
                if (!this.take(innermost === "{" ? "}" : "]")) {
                    this.fail("a bracket is missing");
                }
                open.pop();
            }
        }
    }

    private skipName(open: readonly string[]): void {
        if (open.at(-1) === "{") {
            this.space();
            this.raw();
            if (!this.take(":")) {
                this.fail("a colon is missing");
            }
        }
    }
}

function unescaped(escape: string): string {
    const kind = escape.charAt(1);
    return kind === "u" ? String.fromCharCode(Number.parseInt(escape.slice(2), 16)) : (ESCAPED[kind] ?? "");
}
