// The views have addresses in the fragment, which works below any prefix and never reaches a server.

export type Route =
    | { readonly view: "list" }
    | { readonly view: "create"; readonly id: string | null }
    | { readonly view: "detail"; readonly id: string }
    | { readonly view: "edit"; readonly id: string }
    | { readonly view: "codes"; readonly code: string | null }
    | { readonly view: "verify" }
    | { readonly view: "missing" };

export function routeOf(hash: string): Route {
    const [view, first, second, ...more] = hash
        .replace(/^#?\/?/, "")
        .split("/")
        .map(decoded);
    if (more.length > 0) return { view: "missing" };
    if (view === "" && first === undefined) return { view: "list" };
    if (view === "new" && second === undefined) return { view: "create", id: first ?? null };
    if (view === "codes" && second === undefined) return { view: "codes", code: first ?? null };
    if (view === "verify" && first === undefined) return { view: "verify" };
    if (view === "exports" && first && second === undefined) return { view: "detail", id: first };
    if (view === "exports" && first && second === "edit") return { view: "edit", id: first };
    return { view: "missing" };
}

function decoded(part: string): string {
    try {
        return decodeURIComponent(part);
    } catch {
        return part;
    }
}

export const paths = {
    list: "#/",
    create: "#/new",
    created: (id: string) => `#/new/${encodeURIComponent(id)}`,
    codes: "#/codes",
    verify: "#/verify",
    code: (code: string) => `#/codes/${encodeURIComponent(code)}`,
    detail: (id: string) => `#/exports/${encodeURIComponent(id)}`,
    edit: (id: string) => `#/exports/${encodeURIComponent(id)}/edit`,
};
