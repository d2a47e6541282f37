/** Decoders of JSON by the rules that serde's derived types have: no unknown, missing or repeated field. */

import { InvalidJson, type Json, JsonNumber, JsonObject } from "./json.ts";

export type Decoder<T> = (json: Json) => T;

const MAX_U64 = 2n ** 64n - 1n;

export function invalid(reason: string): never {
    throw new InvalidJson(reason);
}

export const text: Decoder<string> = (json) => (typeof json === "string" ? json : invalid("a text is expected"));

/** Any unsigned integer of 64 bits. */
export const u64: Decoder<bigint> = (json) => {
    if (!(json instanceof JsonNumber) || !/^[0-9]+$/.test(json.text)) {
        return invalid("an unsigned integer is expected");
    }
    const value = BigInt(json.text);
    return value <= MAX_U64 ? value : invalid("an integer is too large");
};

/** An unsigned integer of a number of bits up to 53. */
export function unsigned(bits: number): Decoder<number> {
    return (json) => {
        const value = u64(json);
        return value < 2n ** BigInt(bits) ? Number(value) : invalid("an integer is too large");
    };
}

/** A text that `parse` accepts. */
export function parsed<T>(parse: (text: string) => T | undefined): Decoder<T> {
    return (json) => parse(text(json)) ?? invalid("a text has another form");
}

/** One of some names: as a text, or as the only field of an object, whose value is null. */
export function oneOf<T extends string>(names: readonly T[]): Decoder<T> {
    return (json) => {
        const field = json instanceof JsonObject && json.fields.length === 1 ? json.fields[0] : undefined;
        const name = field?.[1] === null ? field[0] : json;
        return names.find((known) => known === name) ?? invalid("an unknown name");
    };
}

export function list<T>(element: Decoder<T>): Decoder<T[]> {
    return (json) => (Array.isArray(json) ? json.map((one: Json) => element(one)) : invalid("a list is expected"));
}

export interface Field<T> {
    readonly decode: Decoder<T>;
    /** The value of an object without the field. */
    readonly absent?: { readonly value: T };
    /** True if a list may end before the field. */
    readonly isDefault?: boolean;
}

export function required<T>(decode: Decoder<T>): Field<T> {
    return { decode };
}

/** A field that may be left out or null. */
export function optional<T>(decode: Decoder<T>): Field<T | undefined> {
    return { decode: (json) => (json === null ? undefined : decode(json)), absent: { value: undefined } };
}

/** The same, which may also be missing at the end of a list. */
export function optionalAtEnd<T>(decode: Decoder<T>): Field<T | undefined> {
    return { ...optional(decode), isDefault: true };
}

/** An object of these fields, in any order, or a list of them in this one. */
export function struct<T>(fields: { readonly [Name in keyof T]-?: Field<T[Name]> }): Decoder<T> {
    const all = Object.entries(fields) as [string, Field<unknown>][];
    return (json) => {
        if (json instanceof JsonObject) {
            const found = new Map(json.fields);
            if (found.size !== json.fields.length || json.fields.some(([name]) => !Object.hasOwn(fields, name))) {
                return invalid("a field is unknown or repeated");
            }
            return Object.fromEntries(
                all.map(([name, field]) => {
                    const value = found.get(name);
                    if (value !== undefined) {
                        return [name, field.decode(value)];
                    }
                    return [name, field.absent ? field.absent.value : invalid(`the field ${name} is missing`)];
                }),
            ) as T;
        }
        if (!Array.isArray(json) || json.length > all.length) {
            return invalid("an object is expected");
        }
        const elements: readonly Json[] = json;
        return Object.fromEntries(
            all.map(([name, field], index) => {
                const value = elements[index];
                if (value !== undefined) {
                    return [name, field.decode(value)];
                }
                return [name, field.isDefault ? field.absent?.value : invalid(`the field ${name} is missing`)];
            }),
        ) as T;
    };
}
