// The fields of an export, for a new one and for changes.

import type { ComponentChildren } from "preact";

import { LISTS, lines, SIDES, webhookSecret, type FormValues, type Lists, type OcsfRuleValues, type Sides } from "../form.ts";
import { MAX_WEBHOOKS } from "../rules.ts";
import { text } from "../text.ts";
import { idOf, ChoiceField, LinesField, Radio, Summary, TextField } from "../ui/field.tsx";
import type { FormState } from "../ui/form.ts";
import { CopyButton } from "../ui/parts.tsx";

const REGIONS = [
    "af-south-1",
    "ap-east-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

const NEW_RULE: OcsfRuleValues = { action: "", targetType: "", class: "API_ACTIVITY", activity: "" };

/** `before`: the export before the change. */
type FieldsProps = FormState & { readonly before: FormValues | null };

/** The fields, after what is to be known about them as a whole. */
export function Fields({ form, before }: { form: FormState; before: FormValues | null }) {
    const props = { ...form, before };
    const { values, set } = form;
    const isOnServer = values.identity === "key" && values.endpointUrl !== "";
    const field = fieldsOf(props);
    return (
        <>
            {form.areKept && (
                <p class="notice warning" role="status">
                    {text.form.kept}
                </p>
            )}
            <Summary problems={form.summary} turn={form.turn} />
            <Radio
                legend={text.form.identity}
                value={values.identity}
                set={(identity) => set({ identity })}
                choices={[
                    { value: "role", label: text.form.role, hint: text.form.roleHint },
                    { value: "key", label: text.form.key, hint: text.form.keyHint },
                ]}
            />
            <div class="grid">
                <TextField
                    {...field("bucketName")}
                    label={text.form.bucketName}
                    hint={text.form.bucketNameHint}
                    isCode
                />
                <TextField
                    {...field("region")}
                    label={text.form.region}
                    hint={isOnServer ? text.form.signingRegionHint : text.form.regionHint}
                    list="regions"
                    isCode
                />
                <datalist id="regions">
                    {REGIONS.map((region) => (
                        <option key={region} value={region} />
                    ))}
                </datalist>
                {values.identity === "role" ? (
                    <TextField {...field("roleArn")} label={text.form.roleArn} hint={text.form.roleArnHint} isCode />
                ) : (
                    <>
                        <TextField {...field("accessKeyId")} label={text.form.accessKeyId} isCode />
                        <TextField
                            {...field("secretAccessKey")}
                            label={text.form.secretAccessKey}
                            hint={before?.identity === "key" ? text.form.secretKeep : undefined}
                            type="password"
                            isCode
                        />
                        <TextField
                            {...field("endpointUrl")}
                            label={text.form.endpointUrl}
                            hint={text.form.endpointUrlHint}
                            isOptional
                            isCode
                        />
                    </>
                )}
                <TextField
                    {...field("bucketPath")}
                    label={text.form.bucketPath}
                    hint={text.form.bucketPathHint}
                    isOptional
                    isCode
                />
                <ChoiceField
                    name="interval"
                    label={text.form.interval}
                    value={values.interval}
                    set={(interval) => set({ interval })}
                    choices={text.interval}
                />
                <TextField
                    {...field("description")}
                    label={text.form.description}
                    hint={text.form.descriptionHint}
                    isOptional
                />
            </div>
            <details class="more" open={before !== null || form.areKept}>
                <summary>{text.form.more}</summary>
                <div class="grid">
                    <ChoiceField
                        name="format"
                        label={text.form.format}
                        value={values.format}
                        set={(format) => set({ format })}
                        choices={text.format}
                    />
                    {!isOnServer && (
                        <>
                            <TextField
                                {...field("kmsKeyArn")}
                                label={text.form.kmsKeyArn}
                                hint={text.form.kmsKeyArnHint}
                                isOptional
                                isCode
                            />
                            <TextField
                                {...field("expectedBucketOwner")}
                                label={text.form.owner}
                                hint={text.form.ownerHint}
                                isOptional
                                isCode
                            />
                        </>
                    )}
                </div>
                {values.format === "OCSF_PARQUET" && <Ocsf {...props} />}
                {before === null && (
                    <>
                        <Radio
                            legend={text.form.startFrom}
                            value={values.start}
                            set={(start) => set({ start })}
                            choices={[
                                { value: "now", label: text.form.startNow },
                                { value: "earliest", label: text.form.startEarliest },
                                { value: "at", label: text.form.startAt },
                            ]}
                        />
                        {values.start === "at" && (
                            <TextField
                                name="startFrom"
                                label={text.form.startTime}
                                type="datetime-local"
                                value={values.startTime}
                                set={(startTime) => set({ startTime })}
                                problem={props.problems.get("startFrom")}
                            />
                        )}
                    </>
                )}
                <FilterFields {...props} />
                <Webhooks {...props} />
            </details>
        </>
    );
}

type TextName =
    | "bucketName"
    | "region"
    | "roleArn"
    | "accessKeyId"
    | "secretAccessKey"
    | "endpointUrl"
    | "bucketPath"
    | "description"
    | "kmsKeyArn"
    | "expectedBucketOwner";

function fieldsOf({ values, set, problems, touch }: FieldsProps) {
    return (name: TextName) => ({
        name,
        value: values[name],
        // Pasted values often have a space or line end around them; no value may.
        set: (value: string) => set({ [name]: name === "description" ? value : value.trim() }),
        blur: () => touch(name),
        problem: problems.get(name),
    });
}

function FilterFields({ values, set, problems, touch }: FieldsProps) {
    const setList = (side: Sides, list: Lists, value: string) =>
        set({ filter: { ...values.filter, [side]: { ...values.filter[side], [list]: value } } });
    const isGiven = SIDES.some((side) => LISTS.some((list) => lines(values.filter[side][list]).length > 0));
    return (
        <details class="more" id={idOf("filter")} open={isGiven}>
            <summary>
                {text.form.filter}
                {!isGiven && <span class="soft"> ({text.form.filterAll})</span>}
            </summary>
            <p class="hint">{text.form.filterHint}</p>
            {problems.has("filter") && <p class="problem">{problems.get("filter")}</p>}
            {SIDES.map((side) => (
                <fieldset key={side}>
                    <legend>{text.form[side]}</legend>
                    <div class="grid three">
                        {LISTS.map((list) => (
                            <LinesField
                                key={list}
                                name={`filter.${side}.${list}`}
                                label={text.form[list]}
                                value={values.filter[side][list]}
                                set={(value) => setList(side, list, value)}
                                blur={() => touch(`filter.${side}.${list}`)}
                                problem={problems.get(`filter.${side}.${list}`)}
                                isOptional
                            />
                        ))}
                    </div>
                </fieldset>
            ))}
        </details>
    );
}

/** A list of rows with the same fields, to which rows are added. */
function Rows<T extends object>({
    name,
    legend,
    hint,
    problem,
    rows,
    set,
    added,
    most = Infinity,
    label,
    removeLabel,
    head,
    children,
}: {
    name: string;
    legend: string;
    hint: string;
    problem: string | undefined;
    rows: readonly T[];
    set: (rows: readonly T[]) => void;
    /** A new row. */
    added: T;
    most?: number;
    /** The label of the button that adds one. */
    label: string;
    removeLabel: (number: number) => string;
    head?: ComponentChildren;
    children: (row: T, change: (changed: Partial<T>) => void, index: number) => ComponentChildren;
}) {
    const id = idOf(name);
    const change = (index: number) => (changed: Partial<T>) =>
        set(rows.map((row, at) => (at === index ? { ...row, ...changed } : row)));
    return (
        <fieldset id={id} tabIndex={-1} aria-describedby={`${id}-problem`}>
            <legend>{legend}</legend>
            {head}
            <p class="hint">{hint}</p>
            <p class="problem" id={`${id}-problem`}>
                {problem}
            </p>
            {rows.map((row, index) => (
                <div key={index} class="grid row">
                    {children(row, change(index), index)}
                    <button type="button" class="small" onClick={() => set(rows.filter((_, at) => at !== index))}>
                        {removeLabel(index + 1)}
                    </button>
                </div>
            ))}
            {rows.length < most && (
                <button type="button" onClick={() => set([...rows, added])}>
                    {label}
                </button>
            )}
        </fieldset>
    );
}

function Ocsf({ values, set, problems }: FieldsProps) {
    return (
        <Rows
            name="ocsf.classes"
            legend={text.form.ocsf}
            hint={text.form.ocsfRulesHint}
            problem={problems.get("ocsf.classes")}
            rows={values.ocsfRules}
            set={(ocsfRules) => set({ ocsfRules })}
            added={NEW_RULE}
            label={text.form.addRule}
            removeLabel={text.form.removeRule}
            head={
                <ChoiceField
                    name="ocsf.version"
                    label={text.form.ocsfVersion}
                    value={values.ocsfVersion}
                    set={(ocsfVersion) => set({ ocsfVersion })}
                    choices={text.form.ocsfVersions}
                    problem={problems.get("ocsf.version")}
                />
            }
        >
            {(rule, change, index) => (
                <>
                    <TextField
                        name={`ocsf.${index}.action`}
                        label={text.form.ocsfAction}
                        value={rule.action}
                        set={(action) => change({ action })}
                        isCode
                    />
                    <TextField
                        name={`ocsf.${index}.target`}
                        label={text.form.ocsfTarget}
                        value={rule.targetType}
                        set={(targetType) => change({ targetType })}
                        isOptional
                        isCode
                    />
                    <ChoiceField
                        name={`ocsf.${index}.class`}
                        label={text.form.ocsfClass}
                        value={rule.class}
                        set={(chosen) => change({ class: chosen })}
                        choices={text.ocsfClass}
                    />
                    <TextField
                        name={`ocsf.${index}.activity`}
                        label={text.form.ocsfActivity}
                        value={rule.activity}
                        set={(activity) => change({ activity })}
                        isOptional
                    />
                </>
            )}
        </Rows>
    );
}

function Webhooks({ values, set, problems, touch, before }: FieldsProps) {
    return (
        <Rows
            name="notifications"
            legend={text.form.webhooks}
            hint={text.form.webhooksHint}
            problem={problems.get("notifications")}
            rows={values.webhooks}
            set={(webhooks) => set({ webhooks })}
            added={{ url: "", secret: "" }}
            most={MAX_WEBHOOKS}
            label={text.form.addWebhook}
            removeLabel={text.form.removeWebhook}
        >
            {(webhook, change, index) => {
                const field = (name: "url" | "secret") => ({
                    name: `notifications[${index}].${name}`,
                    value: webhook[name],
                    set: (value: string) => change({ [name]: value.trim() }),
                    blur: () => touch(`notifications[${index}].${name}`),
                    problem: problems.get(`notifications[${index}].${name}`),
                    isCode: true,
                });
                const isKnown = before?.webhooks.some(({ url }) => url === webhook.url);
                return (
                    <>
                        <TextField {...field("url")} label={text.form.webhookUrl(index + 1)} />
                        <div>
                            <TextField
                                {...field("secret")}
                                label={text.form.webhookSecret(index + 1)}
                                hint={isKnown ? text.form.webhookKeep : text.form.webhookSecretHint}
                            />
                            <div class="toolbar">
                                <button
                                    type="button"
                                    class="small"
                                    onClick={() => change({ secret: webhookSecret() })}
                                >
                                    {text.form.generateSecret}
                                </button>
                                {webhook.secret && (
                                    <CopyButton value={webhook.secret} what={text.form.webhookSecret(index + 1)} />
                                )}
                            </div>
                        </div>
                    </>
                );
            }}
        </Rows>
    );
}
