// Writes src/generated/: the types of the page's operations, checked against the schema of the API, and the list of codes of
// docs/reference/ERRORS.md. With --check it compares them with the committed files instead.

import { readFileSync, writeFileSync } from "node:fs";
import {
    buildSchema,
    getNamedType,
    isEnumType,
    isInputObjectType,
    isListType,
    isNonNullType,
    isObjectType,
    isRequiredInputField,
    Kind,
    parse,
    print,
    stripIgnoredCharacters,
    type FragmentDefinitionNode,
    type GraphQLEnumType,
    type GraphQLInputObjectType,
    type GraphQLObjectType,
    type GraphQLSchema,
    type GraphQLType,
    type OperationDefinitionNode,
    type SelectionSetNode,
    typeFromAST,
    validate,
} from "graphql";

const web = new URL("../", import.meta.url);
const HEADER = "// Written by scripts/generate.ts. Do not edit.\n";
const SCALARS: Record<string, string> = {
    Boolean: "boolean",
    DateTime: "string",
    Float: "number",
    ID: "string",
    Int: "number",
    Long: "number",
    String: "string",
};

function read(path: string): string {
    return readFileSync(new URL(path, web), "utf8");
}

/** The types that operations use, written once each. */
class Types {
    readonly named = new Map<string, string>();
    readonly schema: GraphQLSchema;
    readonly fragments: Map<string, FragmentDefinitionNode>;

    constructor(schema: GraphQLSchema, fragments: Map<string, FragmentDefinitionNode>) {
        this.schema = schema;
        this.fragments = fragments;
    }

    enumeration(type: GraphQLEnumType): string {
        this.named.set(
            type.name,
            type
                .getValues()
                .map(({ name }) => JSON.stringify(name))
                .join(" | "),
        );
        return type.name;
    }

    input(type: GraphQLInputObjectType): string {
        if (!this.named.has(type.name)) {
            this.named.set(type.name, "");
            const fields = Object.values(type.getFields()).map((field) => {
                const mark = isRequiredInputField(field) ? "" : "?";
                return `${field.name}${mark}: ${this.of(field.type, (inner) => this.leafOrInput(inner))};`;
            });
            this.named.set(type.name, `{ ${fields.join(" ")} }`);
        }
        return type.name;
    }

    leafOrInput(type: GraphQLType): string {
        if (isInputObjectType(type)) return this.input(type);
        if (isEnumType(type)) return this.enumeration(type);
        const scalar = SCALARS[getNamedType(type).name];
        if (!scalar) throw new Error(`${String(type)} is no scalar that the page knows`);
        return scalar;
    }

    of(type: GraphQLType, leaf: (type: GraphQLType) => string): string {
        if (isNonNullType(type)) return this.present(type.ofType, leaf);
        return `${this.present(type, leaf)} | null`;
    }

    present(type: GraphQLType, leaf: (type: GraphQLType) => string): string {
        if (!isListType(type)) return leaf(type);
        const item = this.of(type.ofType, leaf);
        return `readonly ${/^\w+$/.test(item) ? item : `(${item})`}[]`;
    }

    selection(set: SelectionSetNode, parent: GraphQLObjectType): string {
        const fragments: string[] = [];
        const fields: string[] = [];
        for (const selected of set.selections) {
            if (selected.kind === Kind.FRAGMENT_SPREAD) {
                fragments.push(selected.name.value);
            } else if (selected.kind === Kind.FIELD) {
                const field = parent.getFields()[selected.name.value];
                if (!field) throw new Error(`${parent.name} has no ${selected.name.value}`);
                const written = this.of(field.type, (inner) =>
                    isObjectType(inner) && selected.selectionSet
                        ? this.selection(selected.selectionSet, inner)
                        : this.leafOrInput(inner),
                );
                fields.push(`${(selected.alias ?? selected.name).value}: ${written};`);
            }
        }
        const own = fields.length > 0 ? [`{ ${fields.join(" ")} }`] : [];
        return [...fragments, ...own].join(" & ");
    }
}

function spread(
    set: SelectionSetNode,
    fragments: Map<string, FragmentDefinitionNode>,
    found: Set<string>,
): Set<string> {
    for (const selected of set.selections) {
        if (selected.kind === Kind.FRAGMENT_SPREAD && !found.has(selected.name.value)) {
            found.add(selected.name.value);
            spread(fragments.get(selected.name.value)!.selectionSet, fragments, found);
        } else if (selected.kind === Kind.FIELD && selected.selectionSet) {
            spread(selected.selectionSet, fragments, found);
        }
    }
    return found;
}

export function operationTypes(schemaText: string, operationsText: string): string {
    const schema = buildSchema(schemaText);
    const document = parse(operationsText);
    const problems = validate(schema, document);
    if (problems.length > 0) throw new Error(problems.map(String).join("\n\n"));

    const fragments = new Map<string, FragmentDefinitionNode>();
    const operations: OperationDefinitionNode[] = [];
    for (const definition of document.definitions) {
        if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
        else if (definition.kind === Kind.OPERATION_DEFINITION) operations.push(definition);
    }
    const types = new Types(schema, fragments);
    const written: string[] = [];
    for (const [name, fragment] of fragments) {
        const parent = schema.getType(fragment.typeCondition.name.value);
        if (!isObjectType(parent)) throw new Error(`${name} is not on an object`);
        written.push(`export type ${name} = ${types.selection(fragment.selectionSet, parent)};`);
    }
    for (const operation of operations) {
        const name = operation.name!.value;
        const root = schema.getRootType(operation.operation)!;
        const variables = (operation.variableDefinitions ?? []).map(({ variable, type, defaultValue }) => {
            const known = typeFromAST(schema, type)!;
            const mark = isNonNullType(known) && !defaultValue ? "" : "?";
            return `${variable.name.value}${mark}: ${types.of(known, (inner) => types.leafOrInput(inner))};`;
        });
        const used = [...spread(operation.selectionSet, fragments, new Set())].map((name) =>
            print(fragments.get(name)!),
        );
        const text = stripIgnoredCharacters([print(operation), ...used].join("\n"));
        written.push(
            `export const ${name}Operation: Operation<${types.selection(operation.selectionSet, root)}, ` +
                `{ ${variables.join(" ")} }> = { text: ${JSON.stringify(text)} };`,
        );
    }
    const named = [...types.named].sort(([a], [b]) => (a < b ? -1 : 1));
    return [
        HEADER,
        "/** An operation of the API: its text, and the types of its result and variables. */",
        "export type Operation<Result, Variables> = {",
        "  readonly text: string;",
        "  readonly result?: Result;",
        "  readonly variables?: Variables;",
        "};\n",
        ...named.map(([name, text]) => `export type ${name} = ${text};`),
        "",
        ...written,
        "",
    ].join("\n");
}

export type Code = { readonly code: string; readonly kind: string; readonly meaning: string; readonly remedy: string };

/** Reads the tables of codes: one for each heading. */
export function codesOf(page: string): Code[] {
    const codes: Code[] = [];
    let kind = "";
    for (const line of page.split("\n")) {
        const heading = /^## (.+)$/.exec(line);
        if (heading) kind = heading[1]!;
        const row = /^\| `([A-Z0-9_]+)` \| (.+) \| (.+) \|$/.exec(line);
        const plain = (text: string) => text.replaceAll("\\|", "|").replaceAll("`", "").trim();
        if (row) codes.push({ code: row[1]!, kind, meaning: plain(row[2]!), remedy: plain(row[3]!) });
    }
    return codes;
}

function codesFile(codes: Code[]): string {
    const rows = codes.map(({ code, kind, meaning, remedy }) => `  ${JSON.stringify([code, kind, meaning, remedy])},`);
    return [
        HEADER,
        "/** All codes of the service: code, where it occurs, meaning, remedy. */",
        "export const CODES: readonly (readonly [string, string, string, string])[] = [",
        ...rows,
        "];\n",
    ].join("\n");
}

if (import.meta.main) {
    const files = {
        "src/generated/api.ts": operationTypes(read("../../api/schema.graphql"), read("src/api/operations.graphql")),
        "src/generated/codes.ts": codesFile(codesOf(read("../../../docs/reference/ERRORS.md"))),
    };
    for (const [path, text] of Object.entries(files)) {
        if (!process.argv.includes("--check")) writeFileSync(new URL(path, web), text);
        else if (read(path) !== text) {
            console.error(`functions/page/web/${path} is out of date: run npm run generate`);
            process.exitCode = 1;
        }
    }
}
