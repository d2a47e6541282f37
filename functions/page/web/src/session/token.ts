// Access tokens. They are kept in memory only: closing or reloading the page ends the session.

export type Session = {
    readonly token: string;
    /** The user, as the token names them. For display: only the service checks tokens. */
    readonly subject: string | null;
    readonly issuer: string | null;
    /** In milliseconds since 1970. */
    readonly expiresAt: number | null;
};

/** Returns a session with a token in the form of a JSON Web Token, or null for another text. */
export function sessionOf(token: string): Session | null {
    const [, payload] = /^[\w-]+\.([\w-]+)\.[\w-]+$/.exec(token) ?? [];
    if (payload === undefined || token.length > 8192) return null;
    const claims = claimsOf(payload);
    const text = (value: unknown) => (typeof value === "string" ? value : null);
    return {
        token,
        subject: text(claims["sub"]),
        issuer: text(claims["iss"]),
        expiresAt: typeof claims["exp"] === "number" ? claims["exp"] * 1000 : null,
    };
}

function claimsOf(payload: string): Record<string, unknown> {
    try {
        const bytes = Uint8Array.from(atob(payload.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
        const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
        return typeof claims === "object" && claims !== null ? (claims as Record<string, unknown>) : {};
    } catch {
        return {};
    }
}

type Address = { readonly pathname: string; readonly search: string; readonly hash: string };

/** Takes the token out of the fragment `#token=…`, and removes it from the address and from the browser's history. */
export function takeTokenFromFragment(location: Address, history: Pick<History, "replaceState">): string | null {
    const { hash } = location;
    if (!hash.startsWith("#token=")) return null;
    history.replaceState(null, "", location.pathname + location.search);
    return hash.slice("#token=".length);
}
