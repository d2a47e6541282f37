import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { parseAst } from "vite";

/** Sources whose sentences are not the page's own: others fix them, and tests compare them. */
const FIXED = [
    // The service's sentences about fields.
    "src/rules.ts",
    // What is in the report of a verification: the command line's sentences.
    ...["breaks", "contradiction", "decode", "digest", "examine", "filter", "json", "objects", "ocsf", "unknownFile"],
    ...["verifier", "walk"],
].map((name) => (name.includes("/") ? name : `src/verification/${name}.ts`));

/** Literals with words that nobody reads as a text: commands, selectors, and errors that only a fault of the page can cause. */
const TECHNICAL = new Set([
    "a view is outside of the page",
    "audit-export page",
    "audit-export verify '",
    "' --public-key digests.pem --deep",
    "PUBLIC KEY",
    "section, form, dialog",
]);

/** Attributes of elements and components that are never shown or read. */
const UNSEEN = new Set(["aria-live", "aria-relevant", "class", "key", "name", "rel"]);
/** Attributes that are shown or read, so that one word is a text already. */
const SEEN = /^(?:alt|aria-(?:description|label|roledescription|valuetext)|caption|heading|hint|label|legend|placeholder|title|what)$/;
const IS_WORD = /\p{L}{2}/u;
const ARE_WORDS = /\p{L}{2}[,.:;]?\s+\p{L}/u;

type Node = { readonly type: string; readonly start: number; readonly [name: string]: unknown };

/** Returns the literals of a source that look like texts, with their lines. */
function textsOf(source: string, isComponent: boolean): string[] {
    const found: string[] = [];
    const note = (node: Node, text: unknown, pattern: RegExp) => {
        if (typeof text !== "string" || !pattern.test(text) || TECHNICAL.has(text)) return;
        found.push(`line ${source.slice(0, node.start).split("\n").length}: ${JSON.stringify(text.trim())}`);
    };
    // `isShown`: the value of the node is shown as it is.
    const walk = (value: unknown, isShown: boolean): void => {
        if (Array.isArray(value)) return value.forEach((one) => walk(one, isShown));
        if (typeof value !== "object" || value === null || !("type" in value)) return;
        const node = value as Node;
        const pattern = isShown ? IS_WORD : ARE_WORDS;
        switch (node.type) {
            case "ImportDeclaration":
                return;
            case "Literal":
                return note(node, node["value"], pattern);
            case "TemplateElement":
                return note(node, (node["value"] as { cooked: string }).cooked, pattern);
            case "JSXText":
                return note(node, node["value"], IS_WORD);
            case "JSXAttribute": {
                const name = String((node["name"] as Node)["name"]);
                return UNSEEN.has(name) ? undefined : walk(node["value"], SEEN.test(name));
            }
            case "JSXElement":
            case "JSXFragment":
                walk(node["openingElement"], false);
                return walk(node["children"], true);
            case "ConditionalExpression":
                walk(node["test"], false);
                walk(node["consequent"], isShown);
                return walk(node["alternate"], isShown);
            case "LogicalExpression":
                walk(node["left"], node["operator"] !== "&&" && isShown);
                return walk(node["right"], isShown);
            case "JSXExpressionContainer":
            case "TemplateLiteral":
                return Object.values(node).forEach((part) => walk(part, isShown));
            default:
                return Object.values(node).forEach((part) => walk(part, false));
        }
    };
    walk(parseAst(source, { lang: isComponent ? "tsx" : "ts" }), false);
    return found;
}

test("every text is in a file of texts", () => {
    const sources = globSync("src/**/*.{ts,tsx}").filter((path) => !/(?:^|\/)text\.ts$|\/generated\//.test(path));
    assert.ok(sources.length > 40);
    assert.deepEqual(FIXED.filter((path) => !sources.includes(path)), []);
    const texts = sources
        .filter((path) => !FIXED.includes(path))
        .flatMap((path) => textsOf(readFileSync(path, "utf8"), path.endsWith(".tsx")).map((text) => `${path}, ${text}`));
    assert.deepEqual(texts, [], "move these to text.ts");
});

test("the texts of the document are filled from text.ts", () => {
    const document = readFileSync("index.html", "utf8");
    assert.deepEqual(document.replace(/<[^>]*>|\{\w+\}/g, "").trim(), "");
});

test("a literal that is shown is found, and no other", () => {
    const shown = [
        "<p>Saved</p>",
        '<p>{"Saved"}</p>',
        '<p>{isDone ? text.done : "Waiting"}</p>',
        '<p>{isDone && "Saved"}</p>',
        '<p>{name ?? "Nobody"}</p>',
        "<p>{`Saved ${count}`}</p>",
        '<button aria-label="Close" />',
        "<p title={`Saved ${count}`} />",
        '<Fact name={text.name} hint="Optional">{value}</Fact>',
        '<Fact>{list.map((one) => <li>{one ? "Yes" : one}</li>)}</Fact>',
        'throw new Error("the file is gone")',
        'const label = "Test the connection"',
    ];
    for (const source of shown) assert.equal(textsOf(`const a = () => { ${source} };`, true).length, 1, source);
    const others = [
        '<p class="notice bad" role="alert">{text.saved}</p>',
        "<p>{text.saved} ({count}) – {`s3://${bucket}/${path}`}</p>",
        "useLoad(`policies ${id} ${version}`)",
        '<Badge tone={isDone ? "good" : "bad"}>✓ {names.join(", ")}</Badge>',
        'const state = "RUNNING"; const kind = `${state} ${id}`;',
    ];
    for (const source of others) assert.deepEqual(textsOf(`const a = () => { ${source} };`, true), [], source);
});
