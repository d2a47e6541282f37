import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as rules from "../src/rules.ts";

type Said = { valid: string[]; refused: Record<string, string[]> };

const domain = JSON.parse(readFileSync(new URL("rules.json", import.meta.url), "utf8")) as Record<string, Said>;
const own = rules as unknown as Record<string, rules.Rule>;

/** Of these the page knows the form only. */
const FORMS = ["endpointUrl", "webhookUrl"];

for (const name of FORMS) {
    test(`${name} refuses nothing that the service takes`, () => {
        const said = domain[name]!;
        for (const value of said.valid) assert.equal(own[name]!(value), null, JSON.stringify(value));
        const refused = Object.values(said.refused).flat();
        assert.ok(refused.filter((value) => own[name]!(value) !== null).length > 10);
        // Its sentence is one of the service's.
        assert.ok(Object.keys(said.refused).includes(own[name]!("http://a.example")!));
    });
}

for (const [name, said] of Object.entries(domain).filter(([name]) => !FORMS.includes(name))) {
    test(`${name} says what the service says`, () => {
        assert.ok(said.valid.length > 0 && Object.keys(said.refused).length > 0);
        for (const value of said.valid) assert.equal(own[name]!(value), null, JSON.stringify(value));
        for (const [sentence, values] of Object.entries(said.refused)) {
            for (const value of values) assert.equal(own[name]!(value), sentence, JSON.stringify(value));
        }
    });
}

test("a value of a filter may end with an asterisk", () => {
    for (const good of ["READ", "POLICY*", "ä b"]) assert.equal(rules.filterValue(good), null, good);
    for (const bad of ["", "*", "A*B", "A**", 'a"b', "a\\b", "a\nb", "ä".repeat(65)]) {
        assert.notEqual(rules.filterValue(bad), null, bad);
    }
});
