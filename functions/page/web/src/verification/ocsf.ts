/** Versions, classes and own rules of OCSF, as far as digests state them. */

import { compareText } from "./bytes.ts";
import { type Decoder, invalid, list, optionalAtEnd, required, struct, text, unsigned } from "./decode.ts";

export const OCSF_VERSIONS = ["1.3.0", "1.8.0"] as const;
export type OcsfVersion = (typeof OCSF_VERSIONS)[number];

export const SCHEMA_VERSION: Readonly<Record<OcsfVersion, number>> = { "1.3.0": 1, "1.8.0": 2 };

const ENTITY_ACTIVITIES =
    "Unknown,Create,Read,Update,Delete,Move,Enroll,Unenroll,Enable,Disable,Activate,Deactivate,Suspend,Resume,Other";
const ACCOUNT_ACTIVITIES =
    "Unknown,Create,Enable,Password Change,Password Reset,Disable,Delete,Attach Policy,Detach Policy,Lock," +
    "MFA Factor Enable,MFA Factor Disable,Unlock,Other";
const AUTHENTICATION_ACTIVITIES =
    "Unknown,Logon,Logoff,Authentication Ticket,Service Ticket Request,Service Ticket Renew,Preauth," +
    "Account Switch,Other";

/** The classes by their numbers, in ascending order. */
const CLASSES: readonly { readonly uid: number; readonly name: string; readonly activities: readonly string[] }[] = [
    { uid: 3001, name: "ACCOUNT_CHANGE", activities: ACCOUNT_ACTIVITIES.split(",") },
    { uid: 3002, name: "AUTHENTICATION", activities: AUTHENTICATION_ACTIVITIES.split(",") },
    { uid: 3004, name: "ENTITY_MANAGEMENT", activities: ENTITY_ACTIVITIES.split(",") },
    { uid: 6003, name: "API_ACTIVITY", activities: ["Unknown", "Create", "Read", "Update", "Delete", "Other"] },
];

export function isClass(uid: number): boolean {
    return CLASSES.some((known) => known.uid === uid);
}

/** The number of a class. Numbers have the order of the classes. */
export const classUid: Decoder<number> = (json) => {
    const uid = unsigned(16)(json);
    return isClass(uid) ? uid : invalid("an unknown class");
};

const MAX_RULES = 100;
const NAME = /^[ -~]{1,128}$/;

interface Rule {
    readonly action: string;
    readonly targetType: string | undefined;
    readonly class: string;
    readonly activity: string;
}

/** The rules of a configuration, in the order of actions and target types. */
export type OwnRules = readonly Rule[];

const rawRule = struct<{ action: string; targetType: string | undefined; class: string; activity: string | undefined }>(
    {
        action: required(text),
        targetType: optionalAtEnd(text),
        class: required(text),
        activity: optionalAtEnd(text),
    },
);

export const ownRules: Decoder<OwnRules> = (json) => {
    const raw = list(rawRule)(json);
    const rules: Rule[] = [];
    if (raw.length > MAX_RULES) {
        return invalid("there are too many rules");
    }
    for (const { action, targetType, class: name, activity } of raw) {
        const known = CLASSES.find((one) => one.name === name);
        const caption = known?.activities.find((one) => word(one) === word(activity ?? "Other"));
        if (!NAME.test(action) || !NAME.test(targetType ?? "x") || caption === undefined) {
            return invalid("a rule has an invalid name, class or activity");
        }
        const rule = {
            action: word(action),
            targetType: targetType === undefined ? undefined : word(targetType),
            class: name,
            activity: caption,
        };
        const earlier = rules.find((one) => one.action === rule.action && one.targetType === rule.targetType);
        if (!earlier) {
            rules.push(rule);
        } else if (earlier.class !== rule.class || earlier.activity !== rule.activity) {
            return invalid("a rule contradicts an earlier one");
        }
    }
    // Target types are not empty, so none precedes a rule without one.
    const order = (one: Rule, other: Rule): number =>
        compareText(one.action, other.action) || compareText(one.targetType ?? "", other.targetType ?? "");
    return rules.sort(order);
};

/** Returns the form in which words are compared. */
function word(text: string): string {
    return text
        .replaceAll(/[a-z]/g, (letter) => letter.toUpperCase())
        .replaceAll(/[\0-\x7f]/g, (character) => (/[0-9A-Z]/.test(character) ? character : "_"));
}

/** Returns the canonical text, which is also the rules' JSON in a digest. */
export function rulesText(rules: OwnRules): string {
    return JSON.stringify(rules);
}
