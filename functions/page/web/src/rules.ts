// The service's rules for fields, for a check as the user types. The service checks again, and its word counts.
//
// Each rule returns null for a valid value, or the service's sentence about another. A test compares both with what
// shared/domain says about a few thousand values (functions/page/src/rules.rs).

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

/** The form of a webhook's URL. Which host names are public is checked by the service alone. */
export const webhookUrl: Rule = form(
    "[Hh][Tt][Tt][Pp][Ss]:[!-\\[\\]-~]{1,1018}",
    "A webhook URL has at most 1,024 characters of visible ASCII and starts with https://, for example " +
        "https://hooks.example.com/audit-export.",
);

/** The form of the URL of an S3 server. The service checks the rest. */
export const endpointUrl: Rule = form(
    "[Hh][Tt][Tt][Pp][Ss]:[!-\\[\\]-~]{1,294}",
    "An endpoint URL has https://, a host name and, if it is not 443, a port, for example " +
        "https://s3.example.com:9000. It has no path, user name, '?' or '#'.",
);

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

/** Returns the Region in the ARN of a key, to compare it with the bucket's. */
export function regionOfKey(arn: string): string | null {
    return keyForm.exec(arn)?.[1] ?? null;
}
