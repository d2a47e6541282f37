import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { Api, Failure, NETWORK, UNAUTHENTICATED } from "../src/api/client.ts";
import { bytes, duration, relative, utcTime, visible } from "../src/format.ts";
import { ExportsOperation, type Job } from "../src/generated/api.ts";
import { CODES } from "../src/generated/codes.ts";
import { paths, routeOf } from "../src/route.ts";
import { pageAddress } from "../src/settings.ts";
import { delays, heights, inOrder, markOf, placed } from "../src/windows.ts";
import { codesOf, operationTypes } from "../scripts/generate.ts";

const browserFetch = globalThis.fetch;
afterEach(() => {
    globalThis.fetch = browserFetch;
});

function answering(status: number, body: string): { api: Api; requests: Request[]; refused: () => number } {
    const requests: Request[] = [];
    let refused = 0;
    globalThis.fetch = async (input, init) => {
        requests.push(new Request(input as string, { ...init, redirect: "follow" }));
        return new Response(body, { status });
    };
    const api = new Api(
        "https://page.example/api/audit/graphql",
        () => "t.t.t",
        () => (refused += 1),
    );
    return { api, requests, refused: () => refused };
}

test("a request has the token, and no cookie", async () => {
    const { api, requests } = answering(200, '{"data":{"exports":[]}}');
    assert.deepEqual(await api.send(ExportsOperation, {}), { exports: [] });
    assert.equal(requests[0]!.headers.get("authorization"), "Bearer t.t.t");
    assert.equal(requests[0]!.credentials, "omit");
});

test("an error of the service has its code, its fields and its sentence", async () => {
    const fields = [{ field: "region", code: "REGION_INVALID", message: "Give the code." }];
    const { api } = answering(
        200,
        JSON.stringify({ errors: [{ message: "Not valid.", extensions: { code: "INVALID_INPUT", fields } }] }),
    );
    await assert.rejects(api.send(ExportsOperation, {}), (error: Failure) => {
        assert.deepEqual([error.code, error.message, error.fields], ["INVALID_INPUT", "Not valid.", fields]);
        return true;
    });
});

test("a token that is refused ends the session", async () => {
    const { api, refused } = answering(401, '{"errors":[{"message":"x","extensions":{"code":"UNAUTHENTICATED"}}]}');
    await assert.rejects(api.send(ExportsOperation, {}), { code: UNAUTHENTICATED });
    assert.equal(refused(), 1);
});

test("other answers are failures too", async () => {
    await assert.rejects(answering(502, "<html>").api.send(ExportsOperation, {}), { code: "HTTP_502" });
    const { api } = answering(200, "");
    globalThis.fetch = async () => {
        throw new TypeError("Failed to fetch");
    };
    await assert.rejects(api.send(ExportsOperation, {}), { code: NETWORK });
    await assert.rejects(
        new Api(
            "https://a.example",
            () => null,
            () => undefined,
        ).send(ExportsOperation, {}),
        { code: UNAUTHENTICATED },
    );
});

test("every view has an address, and every address a view", () => {
    assert.deepEqual(routeOf(""), { view: "list" });
    assert.deepEqual(routeOf(paths.list), { view: "list" });
    assert.deepEqual(routeOf(paths.create), { view: "create", id: null });
    assert.deepEqual(routeOf(paths.created("a/b")), { view: "create", id: "a/b" });
    assert.deepEqual(routeOf(paths.verify), { view: "verify" });
    assert.deepEqual(routeOf(paths.codes), { view: "codes", code: null });
    assert.deepEqual(routeOf(paths.code("WRITE_DENIED")), { view: "codes", code: "WRITE_DENIED" });
    for (const id of ["a-1", "a/b", "../x", "%", "ä #"]) {
        assert.deepEqual(routeOf(paths.detail(id)), { view: "detail", id });
        assert.deepEqual(routeOf(paths.edit(id)), { view: "edit", id });
    }
    for (const bad of ["#/x", "#/exports", "#/exports/a/b", "#/exports/a/edit/b", "#/new/x/y"]) {
        assert.deepEqual(routeOf(bad), { view: "missing" }, bad);
    }
});

test("the page knows its address below any prefix", () => {
    const origin = "https://a.example";
    for (const [pathname, address] of [
        ["/audit", "/audit"],
        ["/v1/audit", "/v1/audit"],
        ["/v1/audit/", "/v1/audit"],
    ] as const) {
        assert.equal(pageAddress({ origin, pathname }), origin + address);
    }
});

test("sizes and durations are short", () => {
    assert.deepEqual([0, 999, 1000, 1_234_567, 5e12].map(bytes), ["0 B", "999 B", "1 kB", "1.2 MB", "5 TB"]);
    assert.deepEqual([0, 0.4, 59, 60, 3_661, 90_000, 86_400, 86_401].map(duration), [
        "0 s",
        "0 s",
        "59 s",
        "1 min",
        "1 h 1 min",
        "1 d 1 h",
        "1 d",
        "1 d",
    ]);
    assert.equal(utcTime("2026-01-31T00:00:00.000Z"), "2026-01-31 00:00:00 UTC");
    assert.equal(utcTime("2026-01-31T00:00:00.250Z"), "2026-01-31 00:00:00.250 UTC");
    const now = Date.parse("2026-01-31T00:00:00.000Z");
    assert.equal(relative("2026-01-31T02:00:00.000Z", now), "in 2 hours");
    assert.equal(relative("2026-01-30T23:55:00.000Z", now), "5 minutes ago");
});

const JOB: Job = {
    id: "1",
    startTimestamp: "2026-01-31T00:00:00.000Z",
    endTimestamp: "2026-01-31T02:00:00.000Z",
    startedAt: "2026-01-31T02:20:00.000Z",
    endedAt: "2026-01-31T02:21:00.000Z",
    attempts: 1,
    status: "SUCCEEDED",
    failureReason: null,
    objects: 1,
    events: 100,
    leftOut: 0,
    bytes: 1,
    gaps: [],
};
const GAP = {
    startTimestamp: "2026-01-31T00:00:00.000Z",
    endTimestamp: "2026-01-31T01:00:00.000Z",
    reason: "BLOCK_CORRUPT",
    blockId: null,
} as const;

test("a failure counts before a gap, and a gap before success", () => {
    assert.equal(markOf(JOB), "delivered");
    assert.equal(markOf({ ...JOB, gaps: [GAP] }), "gap");
    assert.equal(markOf({ ...JOB, gaps: [GAP], status: "FAILED" }), "failed");
    assert.equal(markOf({ ...JOB, status: "RUNNING" }), "open");
});

test("columns show small windows beside large ones, and empty ones", () => {
    const of = (events: number) => ({ ...JOB, events });
    assert.deepEqual(heights([of(0), of(1), of(2_500), of(10_000)]), [3, 8, 50, 100]);
    assert.deepEqual(heights([of(0)]), [3]);
});

test("windows are in the order of their beginnings, wherever they were loaded", () => {
    const [early, late] = [
        { ...JOB, id: "e" },
        { ...JOB, id: "l", startTimestamp: "2026-01-31T02:00:00.000Z" },
    ];
    assert.deepEqual(
        inOrder([late, early]).map(({ id }) => id),
        ["e", "l"],
    );
});

test("characters that hide or turn a text are shown", () => {
    assert.equal(visible("a\u202eb\u200bc\n"), "a\\u202eb\\u200bc\\u000a");
    assert.equal(visible("Für die Revision 監査 👩‍💻"), "Für die Revision 監査 👩‍💻");
});

test("the chart has the delay of each window, which grows until it is delivered", () => {
    const later = { ...JOB, endTimestamp: "2026-01-31T04:00:00.000Z", endedAt: "2026-01-31T04:42:00.000Z" };
    const failed: Job = { ...later, status: "FAILED" };
    const now = Date.parse("2026-01-31T05:24:00.000Z");
    const points = delays([later, JOB, { ...JOB, endedAt: null }, { ...JOB, endTimestamp: null }, failed], now);
    assert.deepEqual(
        points.map(({ seconds, kind }) => [seconds, kind]),
        [
            [1_260, "delivered"],
            [2_520, "delivered"],
            [5_040, "waiting"],
        ],
    );
    const places = (some: typeof points) => placed(some, 100, 10).map(({ x, y }) => [x, y]);
    assert.deepEqual(places(points.slice(0, 2)), [
        [0, 5],
        [100, 0],
    ]);
    assert.deepEqual(places(points.slice(0, 1)), [[100, 0]]);
    assert.deepEqual(places([]), []);
});

test("there is a sentence about every kind of code", () => {
    const kinds = new Set(CODES.map(([, kind]) => kind));
    assert.deepEqual(
        [...kinds],
        ["GraphQL", "HTTP", "Ingest", "Queue", "Field", "Connection", "Webhook", "Replay", "Verification", "Import"],
    );
    for (const row of CODES) for (const part of row) assert.ok(part.length > 1, row.join(" "));
});

test("codes are read from the tables of the reference", () => {
    const page = "## GraphQL\n\n| Code | Meaning | What to do |\n|---|---|---|\n| `A_B` | One `x` \\| two. | Do. |\n";
    assert.deepEqual(codesOf(page), [{ code: "A_B", kind: "GraphQL", meaning: "One x | two.", remedy: "Do." }]);
});

test("an operation that the schema does not permit is refused", () => {
    const schema = "type Query { a(b: Int!): [String!] }";
    const written = operationTypes(schema, "query A($b: Int!) { found: a(b: $b) }");
    assert.match(written, /AOperation: Operation<\{ found: readonly string\[\] \| null; \}, \{ b: number; \}>/);
    assert.throws(() => operationTypes(schema, "query A { c }"), /Cannot query field "c"/);
});
