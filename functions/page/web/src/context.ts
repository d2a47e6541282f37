// What every view needs.

import { createContext } from "preact";
import { useContext } from "preact/hooks";

import type { Api } from "./api/client.ts";

export type Context = { readonly api: Api };

export const PageContext = createContext<Context | null>(null);

export function useApi(): Api {
    const context = useContext(PageContext);
    if (!context) throw new Error("a view is outside of the page");
    return context.api;
}
