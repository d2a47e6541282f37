// The service's rules for fields, for a check as the user types. The service checks again, and its word counts.
//
// Each rule returns null for a valid value, or the service's sentence about another. A test compares both with what
// shared/domain says about a few thousand values (functions/page/src/rules.rs).

import type { OcsfClass } from "./generated/api.ts";

export type Rule = (text: string) => string | null;

/** The most characters of a path with the format OCSF_PARQUET. */
export const MAX_OCSF_PATH_LENGTH = 100;
export const MAX_FILTER_VALUES = 50;
export const MAX_WEBHOOKS = 3;

const PARTITIONS = "aws|aws-cn|aws-us-gov|aws-iso|aws-iso-b|aws-iso-e|aws-iso-f|aws-eusc";
const ACCOUNT = "[0-9]{12}";
const REGION = "[a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}";
const HEX = (length: number) => `[0-9a-f]{${length}}`;
const KEY_ID = `(?:mrk-${HEX(32)}|${HEX(8)}-${HEX(4)}-${HEX(4)}-${HEX(4)}-${HEX(12)})`;
// Visible ASCII without * ? " and backslash.
const PATH_OF_ROLE = "(?:[!#-)+->@-\\[\\]-~]*/)?";

function rule(is: (text: string) => boolean, sentence: string): Rule {
    return (text) => (is(text) ? null : sentence);
}

function whole(pattern: string): RegExp {
    return new RegExp(`^(?:${pattern})$(?!\\n)`);
}

function form(pattern: string, sentence: string): Rule {
    const expression = whole(pattern);
    return rule((text) => expression.test(text), sentence);
}

const hasBucketForm = whole("[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]");
const isAddress = whole("(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\\.(?!$)|$)){4}");
const RESERVED_STARTS = ["xn--", "sthree-", "amzn-s3-demo-"];
const RESERVED_ENDS = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--xa-s3", "--op-s3", "--table-s3"];

export const bucketName: Rule = (text) => {
    if (text.startsWith("arn:")) return "Give the bucket's name, not its ARN.";
    if (RESERVED_STARTS.some((start) => text.startsWith(start)) || RESERVED_ENDS.some((end) => text.endsWith(end))) {
        return (
            "Give the name of a general purpose bucket. Access point aliases, directory buckets, table buckets and names " +
            "that S3 reserves are not supported."
        );
    }
    if (hasBucketForm.test(text) && !text.includes("..") && !isAddress.test(text)) return null;
    return (
        "A bucket name has 3 to 63 lower-case letters, digits, '.' or '-', starts and ends with a letter or a digit, " +
        "has no '..' and is not an IP address."
    );
};

const hasPathCharacters = whole("[A-Za-z0-9!_.'()/=-]{1,256}");

export const bucketPath: Rule = rule(
    (text) => hasPathCharacters.test(text) && text.split("/").every((name) => !["", ".", ".."].includes(name)),
    "A bucket path has at most 256 characters of A-Z a-z 0-9 ! _ . ' ( ) / = -, no '/' at either end, no '//', " +
        "and no segment '.' or '..'. Leave it out to write to the bucket's root.",
);

export const region: Rule = rule(
    (text) => text.length <= 32 && whole(REGION).test(text),
    "Give the code of the bucket's AWS Region, for example eu-west-1.",
);

export const signingRegion: Rule = form(
    "[A-Za-z0-9_-]{1,32}",
    "Give the region that the server expects in signatures, for example us-east-1 or auto: 1 to 32 letters, digits, " +
        "'-' or '_'.",
);

export const accountId: Rule = form(ACCOUNT, "An AWS account ID has 12 digits.");

const roleForm = whole(`arn:(?:${PARTITIONS}):iam::${ACCOUNT}:role/(${PATH_OF_ROLE})([A-Za-z0-9_+=,.@-]{1,64})`);

export const roleArn: Rule = rule((text) => {
    const path = roleForm.exec(text)?.[1];
    // IAM counts the path with the slash at its start.
    return path !== undefined && path.length + 1 <= 512;
}, "Give the role's ARN, for example arn:aws:iam::123456789012:role/audit-export.");

const keyForm = whole(`arn:(?:${PARTITIONS}):kms:(${REGION}):${ACCOUNT}:key/${KEY_ID}`);

export const kmsKeyArn: Rule = rule((text) => {
    const found = keyForm.exec(text)?.[1];
    return found !== undefined && found.length <= 32;
}, "Give the key's ARN with its ID, not an alias, for example arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab.");

const iamKeyForm = whole("[A-Z0-9]{16,128}");

export const accessKeyIdOfIam: Rule = (text) => {
    if (text.startsWith("ASIA")) {
        return "Give the access key of an IAM user (AKIA…). Temporary credentials expire within hours.";
    }
    if (iamKeyForm.test(text)) return null;
    return "An access key ID has 16 to 128 upper-case letters and digits, for example AKIAIOSFODNN7EXAMPLE.";
};

export const secretAccessKeyOfIam: Rule = form(
    "[A-Za-z0-9/+=]{40}",
    "A secret access key has 40 characters: letters, digits, '/', '+' or '='.",
);

export const accessKeyId: Rule = form(
    "[!-+.\\-0-<>-~]{1,128}",
    "An access key ID has 1 to 128 characters of visible ASCII without '/', ',' and '='.",
);

export const secretAccessKey: Rule = form(
    "[!-~]{8,256}",
    "A secret access key has 8 to 256 characters of visible ASCII.",
);

export const description: Rule = rule((text) => {
    const length = [...text].length;
    return length >= 1 && length <= 256 && !/\p{Cc}/u.test(text);
}, "A description has 1 to 256 characters and no line breaks or other control characters.");

const LABEL = "(?!-)[A-Za-z0-9-]{1,63}(?<!-)";
const hasHostForm = whole(`(?=.{1,253}$)${LABEL}(?:\\.${LABEL})*`);
const isPrivate = /\.(?:alt|internal|invalid|local|localhost|onion|test|home\.arpa)$/;
const isOfAws =
    /(?:^|\.)(?:amazonaws\.com(?:\.cn)?|(?:c2s|csp\.hci)\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|amazonaws\.eu|api\.aws|api\.amazonwebservices\.com\.cn)$/;

/** Returns the URL of a text with at most so many characters of visible ASCII. */
function httpsUrl(text: string, most: number): URL | null {
    if (!new RegExp(`^[!-\\[\\]-~]{1,${most}}$(?!\\n)`).test(text) || !URL.canParse(text)) return null;
    const url = new URL(text);
    return url.protocol === "https:" ? url : null;
}

function isName(host: string): boolean {
    return hasHostForm.test(host) && !isAddress.test(host);
}

/** A stack for development also connects to this machine. The service refuses that everywhere else. */
function isPublic(host: string): boolean {
    return host === "localhost" || (host.includes(".") && !isPrivate.test(host));
}

export const webhookUrl: Rule = (text) => {
    const url = httpsUrl(text, 1024);
    if (!url || url.href.length > 1024) {
        return (
            "A webhook URL has at most 1,024 characters of visible ASCII and starts with https://, for example " +
            "https://hooks.example.com/audit-export."
        );
    }
    if (url.username || url.password) {
        return "Leave out the user name and the password. The signature proves to the receiver who sent a notice.";
    }
    if (text.includes("#")) return "Leave out the part after '#'. It is never sent.";
    if (!isName(url.hostname)) {
        return "Give the receiver's host name, not an IP address and without a dot at its end.";
    }
    return isPublic(url.hostname)
        ? null
        : "Give a URL with a public host name, for example hooks.example.com, and without a port.";
};

export const endpointUrl: Rule = (text) => {
    const url = httpsUrl(text, 300);
    if (!url || url.username || url.password || url.pathname !== "/" || /[?#]/.test(text)) {
        return (
            "An endpoint URL has https://, a host name and, if it is not 443, a port, for example " +
            "https://s3.example.com:9000. It has no path, user name, '?' or '#'."
        );
    }
    if (isOfAws.test(url.hostname)) return "Leave out the endpoint URL for a bucket in AWS: its Region is enough.";
    if (!isName(url.hostname)) return "Give the server's host name, not an IP address and without a dot at its end.";
    if (url.port && Number(url.port) < 1024) {
        return "Let the server listen on port 443, or on one from 1024 on, for example https://s3.example.com:9000.";
    }
    return isPublic(url.hostname) ? null : "Give a URL with a public host name, for example https://s3.example.com.";
};

export const webhookSecret: Rule = rule((text) => {
    const encoded = text.startsWith("whsec_") ? text.slice("whsec_".length) : "";
    if (!/^[A-Za-z0-9+/]{32,88}={0,2}$(?!\n)/.test(encoded) || encoded.length % 4 !== 0) return false;
    const bytes = atob(encoded);
    return bytes.length >= 24 && bytes.length <= 64 && btoa(bytes) === encoded;
}, "A webhook secret is whsec_ and 24 to 64 bytes in base 64, for example from: echo whsec_$(openssl rand -base64 32).");

/** A value of a filter. The service's sentence is about the whole list. */
export const filterValue: Rule = rule((text) => {
    const start = text.endsWith("*") ? text.slice(0, -1) : text;
    const length = new TextEncoder().encode(text).length;
    return start !== "" && length <= 128 && !/[\p{Cc}"\\*]/u.test(start);
}, "A value has 1 to 128 bytes, without quotation marks, backslashes and control characters. An asterisk may only be its last character, after the beginning of the texts that it stands for.");

export const SIDES = ["include", "exclude"] as const;
export const LISTS = ["actions", "actorTypes", "targetTypes"] as const;
export type Filter = Readonly<
    Record<(typeof SIDES)[number], Readonly<Record<(typeof LISTS)[number], readonly string[]>>>
>;

/** Returns the problems of a filter, by the names of its fields. Empty lists are not given. */
export function filter(filter: Filter): Map<string, string> {
    const problems = new Map<string, string>();
    const sizes = SIDES.flatMap((side) =>
        LISTS.map((list) => {
            const problem = filter[side][list].map(filterValue).find((problem) => problem !== null);
            if (problem) problems.set(`filter.${side}.${list}`, problem);
            return new Set(filter[side][list]).size;
        }),
    );
    if (problems.size > 0) return problems;
    const values = sizes.reduce((sum, size) => sum + size, 0);
    if (values > MAX_FILTER_VALUES) {
        problems.set(
            "filter",
            `The filter has ${values} values in its lists, and may have ${MAX_FILTER_VALUES}. Shorten it with values such as POLICY_*.`,
        );
    }
    for (const list of LISTS) {
        const { include, exclude } = filter;
        const isExcluded = (value: string) => exclude[list].some((pattern) => covers(pattern, value));
        if (include[list].length > 0 && include[list].every(isExcluded)) {
            problems.set(
                `filter.include.${list}`,
                "Every value of this list is excluded too, so no event would be exported. Include another value, or exclude less.",
            );
        }
    }
    return problems;
}

/** Returns whether every text that matches `other` matches `pattern` too. */
function covers(pattern: string, other: string): boolean {
    return pattern.endsWith("*") ? other.startsWith(pattern.slice(0, -1)) : pattern === other;
}

const CHANGE = "Create, Enable, Password Change, Password Reset, Disable, Delete, Attach Policy, Detach Policy, Lock";
const ACTIVITIES: Record<OcsfClass, string> = {
    ACCOUNT_CHANGE: `${CHANGE}, MFA Factor Enable, MFA Factor Disable, Unlock`,
    AUTHENTICATION:
        "Logon, Logoff, Authentication Ticket, Service Ticket Request, Service Ticket Renew, Preauth, Account Switch",
    ENTITY_MANAGEMENT:
        "Create, Read, Update, Delete, Move, Enroll, Unenroll, Enable, Disable, Activate, Deactivate, Suspend, Resume",
    API_ACTIVITY: "Create, Read, Update, Delete",
};

export type OcsfRule = {
    readonly action: string;
    readonly targetType: string | null;
    readonly class: OcsfClass;
    readonly activity: string | null;
};

/** Returns the form in which words of rules are compared. */
function word(text: string): string {
    return text.replace(/[a-z]/g, (letter) => letter.toUpperCase()).replace(/[^A-Z0-9\x80-\uffff]/g, "_");
}

/** Returns the first problem of rules for classes of OCSF. */
export function ocsfClasses(rules: readonly OcsfRule[]): string | null {
    if (rules.length > 100) return `There are ${rules.length} rules, and may be 100.`;
    const known = new Map<string, string>();
    for (const [index, { action, targetType, class: name, activity }] of rules.entries()) {
        const refuse = (sentence: string) => `Rule ${index + 1}: ${sentence}`;
        if (![action, targetType ?? "x"].every((text) => /^[ -~]{1,128}$(?!\n)/.test(text))) {
            return refuse("an action or a target type has 1 to 128 printable ASCII characters.");
        }
        const names = `Unknown, ${ACTIVITIES[name]}, Other`;
        const chosen = word(activity ?? "Other");
        if (!names.split(", ").map(word).includes(chosen)) {
            return refuse(`the activity of ${name} must be one of ${names}.`);
        }
        const key = JSON.stringify([word(action), targetType && word(targetType)]);
        const value = `${name} ${chosen}`;
        if ((known.get(key) ?? value) !== value) {
            return refuse(
                "an earlier rule gives the same action and target type another class or activity. Remove one of them.",
            );
        }
        known.set(key, value);
    }
    return null;
}

/** Returns the Region in the ARN of a key, to compare it with the bucket's. */
export function regionOfKey(arn: string): string | null {
    return keyForm.exec(arn)?.[1] ?? null;
}
