// GraphQL over HTTP.

import type { Operation } from "../generated/api.ts";

/** A field of the input that the service refused. */
export type FieldProblem = { readonly field: string; readonly code: string; readonly message: string };

type Extensions = {
    readonly code?: string;
    readonly fields?: readonly FieldProblem[];
    readonly connectionError?: { readonly code: string; readonly message: string };
    readonly retryAfterSeconds?: number;
    readonly requestId?: string;
};

type ErrorBody = { readonly message: string; readonly extensions?: Extensions };

/** The reason why an operation was not done, as the service states it. */
export class Failure extends Error {
    readonly code: string;
    readonly fields: readonly FieldProblem[];
    readonly connectionError: Extensions["connectionError"];
    readonly requestId: string | undefined;

    constructor(code: string, message: string, extensions: Extensions = {}) {
        super(message);
        this.code = code;
        this.fields = extensions.fields ?? [];
        this.connectionError = extensions.connectionError;
        this.requestId = extensions.requestId;
    }
}

export function isNotFound(error: unknown): boolean {
    return error instanceof Failure && error.code === "NOT_FOUND";
}

/** Codes of the page itself, for what never reached the service. */
export const NETWORK = "NETWORK";
export const UNAUTHENTICATED = "UNAUTHENTICATED";

export type Variables<O> = O extends Operation<unknown, infer V> ? V : never;
export type Result<O> = O extends Operation<infer R, unknown> ? NonNullFields<R> : never;
/** A root field is null only with an error, which `send` throws. */
type NonNullFields<R> = { readonly [K in keyof R]: NonNullable<R[K]> };

export class Api {
    readonly #url: string;
    readonly #token: () => string | null;
    readonly #refused: (token: string) => void;

    /** `refused` is called with a token that the service does not accept. */
    constructor(url: string, token: () => string | null, refused: (token: string) => void) {
        this.#url = url;
        this.#token = token;
        this.#refused = refused;
    }

    async send<R, V>(operation: Operation<R, V>, variables: V, signal?: AbortSignal): Promise<NonNullFields<R>> {
        const token = this.#token();
        if (token === null) throw new Failure(UNAUTHENTICATED, "");
        let response: Response;
        try {
            response = await fetch(this.#url, {
                method: "POST",
                headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
                body: JSON.stringify({ query: operation.text, variables }),
                credentials: "omit",
                cache: "no-store",
                redirect: "error",
                ...(signal ? { signal } : {}),
            });
        } catch (error) {
            if (signal?.aborted) throw error;
            throw new Failure(NETWORK, "");
        }
        const body = await bodyOf(response);
        const [error] = body.errors ?? [];
        if (error || !body.data) {
            const code = error?.extensions?.code ?? `HTTP_${response.status}`;
            if (response.status === 401) this.#refused(token);
            throw new Failure(code, error?.message ?? "", error?.extensions);
        }
        return body.data as NonNullFields<R>;
    }
}

async function bodyOf(response: Response): Promise<{ errors?: readonly ErrorBody[]; data?: unknown }> {
    try {
        return (await response.json()) as { errors?: readonly ErrorBody[]; data?: unknown };
    } catch {
        return {};
    }
}
