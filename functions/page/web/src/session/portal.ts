// Tokens from the operator's portal, which embeds the page or opened it in a window.
//
// The page asks with { type: "audit-export:token-wanted" }, and the portal responds with { type: "audit-export:token", token }.
// Both name the other's origin exactly.

const WANTED = "audit-export:token-wanted";
const HANDED_OVER = "audit-export:token";

/** What the page needs of `window`. */
export type Surroundings = {
    readonly parent: MessageTarget;
    readonly opener: MessageTarget | null;
    addEventListener(type: "message", listener: (event: Message) => void): void;
};
type MessageTarget = { postMessage(message: unknown, targetOrigin: string): void };
export type Message = { readonly origin: string; readonly source: unknown; readonly data: unknown };

/** Listens for tokens of the portal. Returns a function that asks for one, or null if there is no portal around the page. */
export function connectToPortal(
    surroundings: Surroundings,
    origin: string,
    receive: (token: string) => void,
): (() => void) | null {
    const isEmbedded = (surroundings.parent as unknown) !== surroundings;
    const portal = isEmbedded ? surroundings.parent : surroundings.opener;
    if (!portal) return null;
    surroundings.addEventListener("message", (event) => {
        if (event.origin !== origin || event.source !== portal) return;
        const token = tokenIn(event.data);
        if (token !== null) receive(token);
    });
    return () => portal.postMessage({ type: WANTED }, origin);
}

function tokenIn(data: unknown): string | null {
    if (typeof data !== "object" || data === null) return null;
    const { type, token } = data as Record<string, unknown>;
    return type === HANDED_OVER && typeof token === "string" ? token : null;
}
