import assert from "node:assert/strict";
import { test } from "node:test";

import {
    changes,
    check,
    createWithKey,
    createWithRole,
    NEW_EXPORT,
    update,
    valuesOf,
    webhookSecret,
    type FormValues,
} from "../src/form.ts";
import type { Whole } from "../src/generated/api.ts";
import { text } from "../src/text.ts";

const ROLE = "arn:aws:iam::123456789012:role/audit-export";
const VALID: FormValues = { ...NEW_EXPORT, bucketName: "my-bucket", region: "eu-west-1", roleArn: ROLE };
const WITH_KEY: FormValues = {
    ...VALID,
    identity: "key",
    accessKeyId: "AKIAIOSFODNN7EXAMPLE",
    secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};

const EXISTING: Whole = {
    id: "id",
    description: "Lake",
    enabled: true,
    type: "S3_ASSUMED_ROLE",
    format: "NDJSON_GZIP",
    interval: "EVERY_24_HOURS",
    endpointConfiguration: {
        bucketName: "my-bucket",
        bucketPath: null,
        region: "eu-west-1",
        endpointUrl: null,
        roleArn: ROLE,
        accessKeyId: null,
        kmsKeyArn: null,
        expectedBucketOwner: null,
    },
    status: {
        health: "OK",
        lagSeconds: 0,
        lastSuccessAt: null,
        exportedThrough: null,
        consecutiveFailures: 0,
        nextExportAt: null,
        retentionUsedPercent: 0,
        advice: "",
    },
    connectionStatus: "SUCCESS",
    connectionCheckedAt: null,
    connectionError: null,
    connectionChecks: [],
    principalArn: ROLE,
    nextSteps: [],
    version: 4,
    filter: { include: { actions: ["POLICY*", "READ"], actorTypes: null, targetTypes: null }, exclude: null },
    ocsf: null,
    startFrom: "2026-01-01T00:00:00.000Z",
    notifications: [{ url: "https://hooks.example.com/" }],
    createdBy: "a",
    createdAt: "2026-01-01T00:00:00.000Z",
    updatedBy: "a",
    updatedAt: "2026-01-01T00:00:00.000Z",
    externalId: "id",
    requestedRunThrough: null,
};

test("a new form says what is missing, by the names of the API", () => {
    assert.deepEqual([...check(NEW_EXPORT).keys()], ["roleArn", "bucketName", "region"]);
    assert.deepEqual(
        [...check({ ...NEW_EXPORT, identity: "key" }).keys()],
        ["accessKeyId", "secretAccessKey", "bucketName", "region"],
    );
    assert.equal(check(VALID).size, 0);
    assert.equal(check(WITH_KEY).size, 0);
});

test("a field of the other identity is not checked", () => {
    assert.equal(check({ ...VALID, accessKeyId: "?", secretAccessKey: "?", endpointUrl: "?" }).size, 0);
    assert.equal(check({ ...WITH_KEY, roleArn: "?" }).size, 0);
});

test("another server has rules of its own", () => {
    const server = {
        ...WITH_KEY,
        endpointUrl: "https://minio.example.com",
        region: "auto",
        accessKeyId: "minio",
        secretAccessKey: "12345678",
    };
    assert.equal(check(server).size, 0);
    assert.deepEqual([...check({ ...server, endpointUrl: "" }).keys()], ["accessKeyId", "secretAccessKey", "region"]);
    const { kmsKeyArn, expectedBucketOwner, endpointUrl } = createWithKey(
        { ...server, kmsKeyArn: "x", expectedBucketOwner: "y" },
        "key",
    );
    assert.deepEqual(
        { kmsKeyArn, expectedBucketOwner, endpointUrl },
        { kmsKeyArn: null, expectedBucketOwner: null, endpointUrl: server.endpointUrl },
    );
});

test("a key is of the bucket's Region", () => {
    const kmsKeyArn = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    assert.equal(check({ ...VALID, kmsKeyArn }).get("kmsKeyArn"), text.form.kmsKeyRegion("eu-west-1"));
    assert.equal(check({ ...VALID, kmsKeyArn, region: "us-east-1" }).size, 0);
});

test("a path is shorter with OCSF", () => {
    const values = { ...VALID, bucketPath: "a".repeat(101) };
    assert.equal(check(values).size, 0);
    assert.deepEqual([...check({ ...values, format: "OCSF_PARQUET" }).keys()], ["bucketPath"]);
});

test("filters are checked value by value, and together", () => {
    const filter = { ...VALID.filter, include: { ...VALID.filter.include, actions: 'A\n  B* \n\n"' } };
    assert.deepEqual([...check({ ...VALID, filter }).keys()], ["filter.include.actions"]);
    const many = Array.from({ length: 51 }, (_, index) => `A${index}`).join("\n");
    assert.deepEqual(
        [...check({ ...VALID, filter: { ...filter, include: { ...filter.include, actions: many } } }).keys()],
        ["filter"],
    );
});

test("what contradicts itself is refused at once", () => {
    const lists = { ...VALID.filter.include, actions: "READ" };
    const filter = { include: lists, exclude: { ...lists, actions: "REA*" } };
    assert.deepEqual([...check({ ...VALID, filter }).keys()], ["filter.include.actions"]);
    const rule = { action: "READ", targetType: "", class: "API_ACTIVITY", activity: "Read" } as const;
    const values = { ...VALID, format: "OCSF_PARQUET", ocsfRules: [rule, { ...rule, activity: "" }] } as const;
    assert.deepEqual([...check(values).keys()], ["ocsf.classes"]);
    assert.equal(check({ ...values, format: "NDJSON_GZIP" }).size, 0);
    assert.equal(check({ ...values, ocsfRules: [rule, { ...rule, action: "read" }] }).size, 0);
});

test("a new webhook needs a secret, and a known one keeps its own", () => {
    const webhooks = [
        { url: "https://hooks.example.com/", secret: "" },
        { url: "", secret: "" },
    ];
    const problems = [...check({ ...VALID, webhooks }, valuesOf(EXISTING)).keys()];
    assert.deepEqual(problems, ["notifications[1].url", "notifications[1].secret"]);
});

test("empty fields are left out of what is sent", () => {
    const sent = createWithRole({ ...VALID, webhooks: [{ url: "https://a.example/", secret: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3" }] }, "key");
    assert.deepEqual(sent, {
        interval: "EVERY_24_HOURS",
        format: "NDJSON_GZIP",
        filter: null,
        ocsf: null,
        bucketName: "my-bucket",
        bucketPath: null,
        region: "eu-west-1",
        kmsKeyArn: null,
        expectedBucketOwner: null,
        description: null,
        startFrom: "now",
        notifications: [{ url: "https://a.example/", secret: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3" }],
        idempotencyKey: "key",
        roleArn: ROLE,
    });
});

test("lines become lists, and a local time one in UTC", () => {
    const filter = {
        include: { actions: " READ \nPOLICY*\n", actorTypes: "", targetTypes: "" },
        exclude: VALID.filter.exclude,
    };
    const sent = createWithRole({ ...VALID, filter, start: "at", startTime: "2026-01-31T08:30" }, "key");
    assert.deepEqual(sent.filter, { include: { actions: ["READ", "POLICY*"] } });
    assert.equal(sent.startFrom, new Date("2026-01-31T08:30").toISOString());
});

test("a change has what was changed, and nothing else", () => {
    const before = valuesOf(EXISTING);
    assert.equal(update("id", 4, before, before, false), null);
    assert.deepEqual(update("id", 4, before, { ...before, interval: "EVERY_2_HOURS", bucketPath: "logs" }, false), {
        id: "id",
        version: 4,
        interval: "EVERY_2_HOURS",
        bucketPath: "logs",
    });
    assert.deepEqual(update("id", 4, before, { ...before, description: "" }, true), {
        id: "id",
        version: 4,
        force: true,
        description: null,
    });
    const none = { include: { ...before.filter.include, actions: "" }, exclude: before.filter.exclude };
    assert.deepEqual(update("id", 4, before, { ...before, filter: none }, false), {
        id: "id",
        version: 4,
        filter: null,
    });
});

test("a change can be repeated on a newer version", () => {
    const before = valuesOf(EXISTING);
    const values = { ...before, description: "Mine", webhooks: [] };
    assert.deepEqual(changes(before, values), { description: "Mine", webhooks: [] });
    assert.deepEqual(changes(before, { ...before }), {});
});

test("a stored secret is kept when it is left empty", () => {
    const before = { ...WITH_KEY, secretAccessKey: "" };
    assert.equal(check(before, before).size, 0);
    assert.deepEqual(
        [...check({ ...before, accessKeyId: "AKIAIOSFODNN7EXAMPL2" }, before).keys()],
        ["secretAccessKey"],
    );
    assert.deepEqual(update("id", 1, before, { ...before, secretAccessKey: WITH_KEY.secretAccessKey }, false), {
        id: "id",
        version: 1,
        secretAccessKey: WITH_KEY.secretAccessKey,
    });
});

test("a secret for a webhook has 32 random bytes", () => {
    const [one, other] = [webhookSecret(), webhookSecret()];
    assert.match(one, /^whsec_[A-Za-z0-9+/]{43}=$/);
    assert.notEqual(one, other);
});
