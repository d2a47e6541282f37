import assert from "node:assert/strict";
import { test } from "node:test";

import { connectToPortal, type Message, type Surroundings } from "../src/session/portal.ts";
import { Renewal, sessionOf, takeTokenFromFragment } from "../src/session/token.ts";

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const token = (claims: unknown) => `${encoded({ alg: "ES256" })}.${encoded(claims)}.c2lnbmF0dXJl`;

const TENANT = "tenant_id";

test("the token leaves the address at once", () => {
    const address = { href: "https://a.example/v1/audit?x=1#token=a.b.c" };
    const replaced: string[] = [];
    // As in a browser, the address has changed when `replaceState` returns.
    const history = {
        replaceState: (_state: unknown, _title: string, url?: string | URL | null) => {
            replaced.push(String(url));
            address.href = String(url);
        },
    };
    assert.equal(takeTokenFromFragment(address, history), "a.b.c");
    assert.deepEqual(replaced, ["https://a.example/v1/audit?x=1"]);
    assert.equal(takeTokenFromFragment(address, history), null);
    assert.equal(takeTokenFromFragment({ href: "https://a.example/#/exports/token=x" }, history), null);
    assert.equal(replaced.length, 1);
    // A path that begins with two slashes is no address of another server.
    assert.equal(takeTokenFromFragment({ href: "https://a.example//audit#token=t" }, history), "t");
    assert.equal(replaced[1], "https://a.example//audit");
});

test("a token says who signed in, for which tenant and until when", () => {
    const claims = { sub: "ädä@acme.example", iss: "https://id.example", exp: 1_800_000_000, tenant_id: "acme" };
    const session = sessionOf(token(claims), TENANT);
    assert.equal(session?.subject, "ädä@acme.example");
    assert.equal(session?.issuer, "https://id.example");
    assert.equal(session?.tenant, "acme");
    assert.equal(session?.expiresAt, 1_800_000_000_000);
    const pointer = token({ app: { "a/b": "nested" } });
    assert.equal(sessionOf(pointer, "/app/a~1b")?.tenant, "nested");
    assert.equal(sessionOf(pointer, "/app/none/x")?.tenant, null);
});

test("another tenant is another identity, and a renewed token is not", () => {
    const identity = (claims: object) => sessionOf(token({ sub: "ada", iss: "i", ...claims }), TENANT)?.identity;
    const acme = identity({ tenant_id: "acme", exp: 1, jti: "1", scope: "a" });
    assert.equal(identity({ tenant_id: "acme", exp: 2, jti: "2", scope: "b" }), acme);
    assert.notEqual(identity({ tenant_id: "cobalt", exp: 1, jti: "1", scope: "a" }), acme);
    // Where the claim has another name, every other one counts.
    const other = identity({ org: "acme", exp: 1 });
    assert.equal(identity({ exp: 2, org: "acme" }), other);
    assert.notEqual(identity({ org: "cobalt", exp: 1 }), other);
});

test("odd claims are no reason to refuse a token, which the service checks", () => {
    for (const claims of [{}, [], null, "x", { sub: 1, exp: "soon", tenant_id: {} }]) {
        const { subject, tenant, issuer, expiresAt } = sessionOf(token(claims), TENANT)!;
        assert.deepEqual([subject, tenant, issuer, expiresAt], [null, null, null, null]);
    }
});

const ending = (seconds: number, id = "") => sessionOf(token({ exp: seconds, id }), TENANT)!;

test("the next token is asked for a minute before the end, or after half of a short rest", () => {
    const renewal = new Renewal();
    assert.equal(renewal.delay(ending(3_600), 0), 3_540_000);
    assert.equal(renewal.delay(ending(30), 0), 15_000);
    assert.equal(renewal.delay(ending(30), 30_000), null);
    assert.equal(renewal.delay(ending(1e12), 0), 2 ** 31 - 1);
    assert.equal(renewal.delay(sessionOf(token({}), TENANT)!, 0), null);
});

test("a portal that returns tokens at their end is not asked in a loop", () => {
    const renewal = new Renewal();
    const [first, second] = [ending(10, "1"), ending(11, "2")];
    assert.equal(renewal.ask(first.token, 5_000), true);
    assert.equal(renewal.ask(first.token, 500_000), false);
    assert.equal(renewal.delay(first, 5_000), null);
    // The next one is about to end too.
    assert.equal(renewal.delay(second, 6_000), 29_000);
    assert.equal(renewal.ask(second.token, 7_000), false);
    assert.equal(renewal.ask(second.token, 35_000), true);
});

test("other texts are no tokens", () => {
    for (const bad of ["", "a", "a.b", "a.b.c.d", "a.b.c\n", "<b>.b.c", " a.b.c", `a.${"b".repeat(9000)}.c`]) {
        assert.equal(sessionOf(bad, TENANT), null, bad);
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
