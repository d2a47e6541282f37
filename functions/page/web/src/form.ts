// The form of an export: its values, what is wrong with them, and the inputs of the API that they become.

import type {
    CreateS3AccessKeyExportConfigurationInput,
    CreateS3AssumedRoleExportConfigurationInput,
    ExportFilterInput,
    ExportFilterListsInput,
    ExportFormat,
    ExportInterval,
    Filter,
    OcsfClass,
    OcsfInput,
    UpdateS3AccessKeyExportConfigurationInput,
    UpdateS3AssumedRoleExportConfigurationInput,
    WebhookInput,
    Whole,
} from "./generated/api.ts";
import * as rules from "./rules.ts";
import { text } from "./text.ts";

export const { SIDES, LISTS } = rules;
export type Sides = (typeof SIDES)[number];
export type Lists = (typeof LISTS)[number];

export type OcsfRuleValues = {
    readonly action: string;
    readonly targetType: string;
    readonly class: OcsfClass;
    readonly activity: string;
};
export type WebhookValues = { readonly url: string; readonly secret: string };

export type FormValues = {
    readonly identity: "role" | "key";
    readonly roleArn: string;
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly endpointUrl: string;
    readonly bucketName: string;
    readonly bucketPath: string;
    readonly region: string;
    readonly kmsKeyArn: string;
    readonly expectedBucketOwner: string;
    readonly interval: ExportInterval;
    readonly description: string;
    readonly start: "now" | "earliest" | "at";
    /** As the browser's field for local times writes it: `2026-01-31T08:30`. */
    readonly startTime: string;
    readonly format: ExportFormat;
    readonly ocsfVersion: string;
    readonly ocsfRules: readonly OcsfRuleValues[];
    /** One value in each line. */
    readonly filter: Readonly<Record<Sides, Readonly<Record<Lists, string>>>>;
    readonly webhooks: readonly WebhookValues[];
};

/** The label of a list of the filter outside of its group. */
export function labelOfList(side: Sides, list: Lists): string {
    return text.form.filterLabel(text.form[side], text.form[list]);
}

/** The label of a field, by the name that the API gives it. */
export function labelOf(field: string): string | null {
    const { form } = text;
    const [name = "", side, list] = field.split(".");
    if (name === "filter" && side && list) return labelOfList(side as Sides, list as Lists);
    const webhook = /^notifications\[(\d)\]$/.exec(name);
    if (webhook) {
        const number = Number(webhook[1]) + 1;
        return side === "secret" ? form.webhookSecret(number) : form.webhookUrl(number);
    }
    const labels: Record<string, string> = {
        roleArn: form.roleArn,
        accessKeyId: form.accessKeyId,
        secretAccessKey: form.secretAccessKey,
        endpointUrl: form.endpointUrl,
        bucketName: form.bucketName,
        bucketPath: form.bucketPath,
        region: form.region,
        kmsKeyArn: form.kmsKeyArn,
        expectedBucketOwner: form.owner,
        interval: form.interval,
        description: form.description,
        startFrom: form.startFrom,
        format: form.format,
        filter: form.filter,
        ocsf: form.ocsf,
        notifications: form.webhooks,
    };
    return labels[name] ?? null;
}

/** The problems of fields, by the names that the API gives them. */
export type Problems = ReadonlyMap<string, string>;

const NO_LISTS = { actions: "", actorTypes: "", targetTypes: "" };

export const NEW_EXPORT: FormValues = {
    identity: "role",
    roleArn: "",
    accessKeyId: "",
    secretAccessKey: "",
    endpointUrl: "",
    bucketName: "",
    bucketPath: "",
    region: "",
    kmsKeyArn: "",
    expectedBucketOwner: "",
    interval: "EVERY_24_HOURS",
    description: "",
    start: "now",
    startTime: "",
    format: "NDJSON_GZIP",
    ocsfVersion: "1.3.0",
    ocsfRules: [],
    filter: { include: NO_LISTS, exclude: NO_LISTS },
    webhooks: [],
};

/** Returns the values of an existing export. Secrets are never known. */
export function valuesOf(configuration: Whole): FormValues {
    const at = configuration.endpointConfiguration;
    return {
        ...NEW_EXPORT,
        identity: configuration.type === "S3_ASSUMED_ROLE" ? "role" : "key",
        roleArn: at.roleArn ?? "",
        accessKeyId: at.accessKeyId ?? "",
        endpointUrl: at.endpointUrl ?? "",
        bucketName: at.bucketName,
        bucketPath: at.bucketPath ?? "",
        region: at.region,
        kmsKeyArn: at.kmsKeyArn ?? "",
        expectedBucketOwner: at.expectedBucketOwner ?? "",
        interval: configuration.interval,
        description: configuration.description ?? "",
        format: configuration.format,
        ocsfVersion: configuration.ocsf?.version ?? NEW_EXPORT.ocsfVersion,
        ocsfRules: (configuration.ocsf?.classes ?? []).map((rule) => ({ ...rule, targetType: rule.targetType ?? "" })),
        filter: filterTexts(configuration.filter),
        webhooks: configuration.notifications.map(({ url }) => ({ url, secret: "" })),
    };
}

function filterTexts(filter: Filter | null): FormValues["filter"] {
    const lists = (side: Sides) => {
        const given = filter?.[side];
        const lines = (list: Lists) => (given?.[list] ?? []).join("\n");
        return { actions: lines("actions"), actorTypes: lines("actorTypes"), targetTypes: lines("targetTypes") };
    };
    return { include: lists("include"), exclude: lists("exclude") };
}

export function lines(list: string): string[] {
    return list
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => line !== "");
}

/** Checks the values as far as the page can. `before`: an existing export, which keeps a secret that is left empty. */
export function check(values: FormValues, before: FormValues | null = null): Problems {
    const problems = new Map<string, string>();
    const note = (field: string, problem: string | null) => {
        if (problem !== null && !problems.has(field)) problems.set(field, problem);
    };
    const required = (field: string, value: string, rule: rules.Rule) =>
        note(field, value === "" ? text.form.required : rule(value));
    const optional = (field: string, value: string, rule: rules.Rule) => value !== "" && note(field, rule(value));

    if (values.identity === "key") optional("endpointUrl", values.endpointUrl, rules.endpointUrl);
    note("ocsf.classes", rules.ocsfClasses(ocsfInput(values)?.classes ?? []));
    const isOnServer = values.identity === "key" && values.endpointUrl !== "";
    if (values.identity === "role") {
        required("roleArn", values.roleArn, rules.roleArn);
    } else {
        required("accessKeyId", values.accessKeyId, isOnServer ? rules.accessKeyId : rules.accessKeyIdOfIam);
        const keepsSecret = before?.identity === "key" && before.accessKeyId === values.accessKeyId;
        const secret = isOnServer ? rules.secretAccessKey : rules.secretAccessKeyOfIam;
        (keepsSecret ? optional : required)("secretAccessKey", values.secretAccessKey, secret);
    }
    required("bucketName", values.bucketName, rules.bucketName);
    optional("bucketPath", values.bucketPath, rules.bucketPath);
    if (values.format === "OCSF_PARQUET" && values.bucketPath.length > rules.MAX_OCSF_PATH_LENGTH) {
        note("bucketPath", text.form.ocsfPath(rules.MAX_OCSF_PATH_LENGTH));
    }
    required("region", values.region, isOnServer ? rules.signingRegion : rules.region);
    if (!isOnServer) {
        optional("kmsKeyArn", values.kmsKeyArn, rules.kmsKeyArn);
        const region = rules.regionOfKey(values.kmsKeyArn);
        if (region !== null && region !== values.region) note("kmsKeyArn", text.form.kmsKeyRegion(values.region));
        optional("expectedBucketOwner", values.expectedBucketOwner, rules.accountId);
    }
    optional("description", values.description, rules.description);
    if (values.start === "at" && Number.isNaN(Date.parse(values.startTime))) note("startFrom", text.form.required);

    const side = (name: Sides) => {
        const list = (list: Lists) => lines(values.filter[name][list]);
        return { actions: list("actions"), actorTypes: list("actorTypes"), targetTypes: list("targetTypes") };
    };
    rules.filter({ include: side("include"), exclude: side("exclude") }).forEach((problem, field) => note(field, problem));
    values.webhooks.forEach(({ url, secret }, index) => {
        const isKnown = before?.webhooks.some((webhook) => webhook.url === url) ?? false;
        required(`notifications[${index}].url`, url, rules.webhookUrl);
        if (values.webhooks.findIndex((other) => other.url === url) < index) {
            note(`notifications[${index}].url`, text.form.webhookRepeated);
        }
        (isKnown ? optional : required)(`notifications[${index}].secret`, secret, rules.webhookSecret);
    });
    return problems;
}

function filterInput(values: FormValues): ExportFilterInput | null {
    const side = (name: Sides): ExportFilterListsInput | null => {
        const given = LISTS.map((list) => [list, lines(values.filter[name][list])] as const).filter(
            ([, list]) => list.length > 0,
        );
        return given.length > 0 ? Object.fromEntries(given) : null;
    };
    const [include, exclude] = [side("include"), side("exclude")];
    return include || exclude ? { ...(include && { include }), ...(exclude && { exclude }) } : null;
}

function ocsfInput(values: FormValues): (OcsfInput & { readonly classes: rules.OcsfRule[] }) | null {
    if (values.format !== "OCSF_PARQUET") return null;
    return {
        version: values.ocsfVersion,
        classes: values.ocsfRules.map((rule) => ({
            action: rule.action,
            targetType: rule.targetType || null,
            class: rule.class,
            activity: rule.activity || null,
        })),
    };
}

function webhookInputs(values: FormValues): WebhookInput[] {
    return values.webhooks.map(({ url, secret }) => ({ url, ...(secret && { secret }) }));
}

function startFrom(values: FormValues): string {
    return values.start === "at" ? new Date(values.startTime).toISOString() : values.start;
}

function common(values: FormValues, idempotencyKey: string) {
    return {
        interval: values.interval,
        format: values.format,
        filter: filterInput(values),
        ocsf: ocsfInput(values),
        bucketName: values.bucketName,
        bucketPath: values.bucketPath || null,
        region: values.region,
        kmsKeyArn: values.kmsKeyArn || null,
        expectedBucketOwner: values.expectedBucketOwner || null,
        description: values.description || null,
        startFrom: startFrom(values),
        notifications: webhookInputs(values),
        idempotencyKey,
    };
}

export function createWithRole(
    values: FormValues,
    idempotencyKey: string,
): CreateS3AssumedRoleExportConfigurationInput {
    return { ...common(values, idempotencyKey), roleArn: values.roleArn };
}

export function createWithKey(values: FormValues, idempotencyKey: string): CreateS3AccessKeyExportConfigurationInput {
    const isOnServer = values.endpointUrl !== "";
    return {
        ...common(values, idempotencyKey),
        ...(isOnServer && { kmsKeyArn: null, expectedBucketOwner: null, endpointUrl: values.endpointUrl }),
        accessKeyId: values.accessKeyId,
        secretAccessKey: values.secretAccessKey,
    };
}

type Update = UpdateS3AssumedRoleExportConfigurationInput & UpdateS3AccessKeyExportConfigurationInput;

/** Returns the fields that a person changed, for the version that they saw; null if there are none. */
export function update(
    id: string,
    version: number,
    before: FormValues,
    values: FormValues,
    force: boolean,
): Update | null {
    const [old, now] = [common(before, ""), common(values, "")];
    const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
    const changed: Record<string, unknown> = {};
    for (const name of [
        "interval",
        "format",
        "filter",
        "ocsf",
        "bucketName",
        "bucketPath",
        "region",
        "kmsKeyArn",
        "expectedBucketOwner",
        "description",
        "notifications",
    ] as const) {
        if (!isSame(old[name], now[name])) changed[name] = now[name];
    }
    // A format without choices removes them.
    if (values.format !== "OCSF_PARQUET") delete changed["ocsf"];
    if (values.identity === "role") {
        if (before.identity !== "role" || before.roleArn !== values.roleArn) changed["roleArn"] = values.roleArn;
        if (before.endpointUrl !== "") changed["region"] = values.region;
    } else {
        if (before.accessKeyId !== values.accessKeyId) changed["accessKeyId"] = values.accessKeyId;
        if (values.secretAccessKey !== "") changed["secretAccessKey"] = values.secretAccessKey;
        if (before.endpointUrl !== values.endpointUrl) {
            changed["endpointUrl"] = values.endpointUrl || null;
            if (values.endpointUrl !== "") Object.assign(changed, { kmsKeyArn: null, expectedBucketOwner: null });
        }
    }
    if (Object.keys(changed).length === 0) return null;
    return { id, version, ...(force && { force }), ...changed } as Update;
}

/** Returns the values that differ. */
export function changes<V extends object>(before: V, values: V): Partial<V> {
    const names = Object.keys(values) as (keyof V)[];
    const changed = names.filter((name) => JSON.stringify(values[name]) !== JSON.stringify(before[name]));
    return Object.fromEntries(changed.map((name) => [name, values[name]])) as Partial<V>;
}

/** Returns a secret for a webhook: `whsec_` and 32 random bytes in base 64. */
export function webhookSecret(): string {
    const random = crypto.getRandomValues(new Uint8Array(32));
    return `whsec_${btoa(String.fromCharCode(...random))}`;
}
