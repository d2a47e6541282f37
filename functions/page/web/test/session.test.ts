import assert from "node:assert/strict";
import { test } from "node:test";

import { connectToPortal, type Message, type Surroundings } from "../src/session/portal.ts";
import { sessionOf, takeTokenFromFragment } from "../src/session/token.ts";

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const token = (claims: unknown) => `${encoded({ alg: "ES256" })}.${encoded(claims)}.c2lnbmF0dXJl`;

test("the token leaves the address at once", () => {
    const address = { pathname: "/v1/audit", search: "?x=1", hash: "#token=a.b.c" };
    const replaced: string[] = [];
    // As in a browser, the address has changed when `replaceState` returns.
    const history = {
        replaceState: (_state: unknown, _title: string, url?: string | URL | null) => {
            replaced.push(String(url));
            address.hash = "";
        },
    };
    assert.equal(takeTokenFromFragment(address, history), "a.b.c");
    assert.deepEqual(replaced, ["/v1/audit?x=1"]);
    assert.equal(takeTokenFromFragment(address, history), null);
    assert.equal(takeTokenFromFragment({ ...address, hash: "#/exports/token=x" }, history), null);
    assert.equal(replaced.length, 1);
});

test("a token says who signed in and until when", () => {
    const session = sessionOf(token({ sub: "ädä@acme.example", iss: "https://id.example", exp: 1_800_000_000 }));
    assert.equal(session?.subject, "ädä@acme.example");
    assert.equal(session?.issuer, "https://id.example");
    assert.equal(session?.expiresAt, 1_800_000_000_000);
});

test("odd claims are no reason to refuse a token, which the service checks", () => {
    for (const claims of [{}, [], null, "x", { sub: 1, exp: "soon" }]) {
        assert.deepEqual(
            { ...sessionOf(token(claims)), token: "" },
            { token: "", subject: null, issuer: null, expiresAt: null },
        );
    }
});

test("other texts are no tokens", () => {
    for (const bad of ["", "a", "a.b", "a.b.c.d", "a.b.c\n", "<b>.b.c", " a.b.c", `a.${"b".repeat(9000)}.c`]) {
        assert.equal(sessionOf(bad), null, bad);
    }
});

function embedded() {
    const sent: [unknown, string][] = [];
    const portal = { postMessage: (message: unknown, origin: string) => void sent.push([message, origin]) };
    let listener: (event: Message) => void = () => undefined;
    const surroundings: Surroundings = {
        parent: portal,
        opener: null,
        addEventListener: (_, given) => void (listener = given),
    };
    return { sent, portal, surroundings, receive: (event: Message) => listener(event) };
}

test("the portal's token is taken, and no other message", () => {
    const { sent, portal, surroundings, receive } = embedded();
    const received: string[] = [];
    const ask = connectToPortal(surroundings, "https://portal.example", (token) => received.push(token));
    ask?.();
    assert.deepEqual(sent, [[{ type: "audit-export:token-wanted" }, "https://portal.example"]]);

    const data = { type: "audit-export:token", token: "t" };
    for (const origin of ["https://evil.example", "https://portal.example.evil", "http://portal.example", "null", ""]) {
        receive({ origin, source: portal, data });
    }
    receive({ origin: "https://portal.example", source: {}, data });
    receive({ origin: "https://portal.example", source: null, data });
    for (const odd of [
        null,
        "t",
        { type: "audit-export:token" },
        { type: "other", token: "t" },
        { ...data, token: 1 },
    ]) {
        receive({ origin: "https://portal.example", source: portal, data: odd });
    }
    assert.deepEqual(received, []);
    receive({ origin: "https://portal.example", source: portal, data });
    assert.deepEqual(received, ["t"]);
});

test("a page that nobody embeds or opened has no portal", () => {
    const alone = { opener: null, addEventListener: () => assert.fail() } as unknown as { parent: unknown };
    alone.parent = alone;
    assert.equal(
        connectToPortal(alone as unknown as Surroundings, "https://portal.example", () => undefined),
        null,
    );
});
