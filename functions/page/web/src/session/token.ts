// Access tokens. They are kept in memory only: closing or reloading the page ends the session.

export type Session = {
    readonly token: string;
    /** The user and the tenant, as the token names them. For display: only the service checks tokens. */
    readonly subject: string | null;
    readonly tenant: string | null;
    readonly issuer: string | null;
    /** What a token of the same user and tenant has in common with this one. */
    readonly identity: string;
    /** In milliseconds since 1970. */
    readonly expiresAt: number | null;
};

/** Claims that differ between two tokens of the same user and tenant. */
const OF_ONE_TOKEN = new Set(["exp", "iat", "nbf", "jti", "auth_time", "sid", "nonce", "uti", "aio", "rh", "at_hash"]);

/**
 * Returns a session with a token in the form of a JSON Web Token, or null for another text. `tenantClaim` is the name of the claim
 * with the tenant, or a JSON Pointer to it.
 */
export function sessionOf(token: string, tenantClaim: string): Session | null {
    const [, payload] = /^[\w-]+\.([\w-]+)\.[\w-]+$/.exec(token) ?? [];
    if (payload === undefined || token.length > 8192) return null;
    const claims = claimsOf(payload);
    const text = (value: unknown) => (typeof value === "string" ? value : null);
    const tenant = text(claimAt(claims, tenantClaim));
    const subject = text(claims["sub"]);
    const issuer = text(claims["iss"]);
    // Without that claim, every other one may tell tenants apart.
    const others = Object.entries(claims).filter(([name]) => !OF_ONE_TOKEN.has(name));
    return {
        token,
        subject,
        tenant,
        issuer,
        identity: JSON.stringify([issuer, subject, tenant ?? others.sort(([a], [b]) => (a < b ? -1 : 1))]),
        expiresAt: typeof claims["exp"] === "number" ? claims["exp"] * 1000 : null,
    };
}

function claimsOf(payload: string): Record<string, unknown> {
    try {
        const bytes = Uint8Array.from(atob(payload.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
        return objectOf(JSON.parse(new TextDecoder().decode(bytes)));
    } catch {
        return {};
    }
}

function objectOf(value: unknown): Record<string, unknown> {
    return typeof value === "object" && value !== null && !Array.isArray(value)
        ? (value as Record<string, unknown>)
        : {};
}

function claimAt(claims: Record<string, unknown>, name: string): unknown {
    if (!name.startsWith("/")) return claims[name];
    const steps = name.slice(1).split("/");
    return steps.reduce<unknown>(
        (value, step) => objectOf(value)[step.replaceAll("~1", "/").replaceAll("~0", "~")],
        claims,
    );
}

/** Takes the token out of the fragment `#token=…`, and removes it from the address and from the browser's history. */
export function takeTokenFromFragment(
    location: { href: string },
    history: Pick<History, "replaceState">,
): string | null {
    const address = new URL(location.href);
    if (!address.hash.startsWith("#token=")) return null;
    const token = address.hash.slice("#token=".length);
    address.hash = "";
    history.replaceState(null, "", address.href);
    return token;
}

/** The least time between two questions for a token. */
const PATIENCE_MILLISECONDS = 30_000;

/** Decides when to ask the portal for the next token: once for each token, and not in a loop if it returns old ones. */
export class Renewal {
    #asked: string | null = null;
    #askedAt = -Infinity;

    /** Returns the milliseconds until the question: a minute before the end, or half of a shorter rest. Null: don't ask. */
    delay(session: Session, now: number): number | null {
        if (session.expiresAt === null || session.token === this.#asked) return null;
        const rest = session.expiresAt - now;
        if (rest <= 0) return null;
        // A timer of a browser has at most 2^31 milliseconds.
        return Math.min(Math.max(rest - 60_000, rest / 2, this.#askedAt + PATIENCE_MILLISECONDS - now), 2 ** 31 - 1);
    }

    /** Returns whether to ask for a token now that replaces this one. */
    ask(token: string | null, now: number): boolean {
        if (token !== null && token === this.#asked) return false;
        if (now < this.#askedAt + PATIENCE_MILLISECONDS && token !== null) return false;
        this.#asked = token;
        this.#askedAt = now;
        return true;
    }
}
