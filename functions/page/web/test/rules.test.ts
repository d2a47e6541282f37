import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as rules from "../src/rules.ts";

type Said = { valid: string[]; refused: Record<string, string[]> };
type Lists = Partial<Record<(typeof rules.LISTS)[number], string[]>>;
type Domain = {
    values: Record<string, Said>;
    filters: { filter: Record<(typeof rules.SIDES)[number], Lists>; refused: Record<string, string> }[];
    classes: { rules: rules.OcsfRule[]; refused: string | null }[];
};

const domain = JSON.parse(readFileSync(new URL("rules.json", import.meta.url), "utf8")) as Domain;
const own = rules as unknown as Record<string, rules.Rule>;

for (const [name, said] of Object.entries(domain.values)) {
    test(`${name} says what the service says`, () => {
        assert.ok(said.valid.length > 0 && Object.keys(said.refused).length > 0);
        for (const value of said.valid) assert.equal(own[name]!(value), null, JSON.stringify(value));
        for (const [sentence, values] of Object.entries(said.refused)) {
            for (const value of values) assert.equal(own[name]!(value), sentence, JSON.stringify(value));
        }
    });
}

test("filters get the sentences of the service", () => {
    const none = { actions: [], actorTypes: [], targetTypes: [] };
    const sentences = new Set<string>();
    for (const { filter, refused } of domain.filters) {
        const given = { include: { ...none, ...filter.include }, exclude: { ...none, ...filter.exclude } };
        assert.deepEqual(Object.fromEntries(rules.filter(given)), refused, JSON.stringify(filter));
        Object.values(refused).forEach((sentence) => sentences.add(sentence));
    }
    assert.ok(sentences.size >= 3);
});

test("rules for classes get the sentences of the service", () => {
    const sentences = new Set<string | null>();
    for (const { rules: list, refused } of domain.classes) {
        assert.equal(rules.ocsfClasses(list), refused, JSON.stringify(list));
        sentences.add(refused);
    }
    // Each class has a sentence with its activities.
    assert.ok(sentences.size >= 8);
});

test("a value of a filter may end with an asterisk", () => {
    for (const good of ["READ", "POLICY*", "ä b"]) assert.equal(rules.filterValue(good), null, good);
    for (const bad of ["", "*", "A*B", "A**", 'a"b', "a\\b", "a\nb", "ä".repeat(65)]) {
        assert.notEqual(rules.filterValue(bad), null, bad);
    }
});
