// Forms with changes that were not sent. Leaving them is asked about; to sign in again, their changes are kept.

import { useLayoutEffect, useRef } from "preact/hooks";

import { text } from "./text.ts";

/** The changes of the forms that have some, by the forms' names. */
const forms = new Map<string, () => object>();
/** Changes from before the last sign-in, for forms that have not opened yet. */
let kept: Record<string, object> = {};
const KEPT = "audit-export.forms";

function warn(event: BeforeUnloadEvent): void {
    event.preventDefault();
}

/** Registers the changes of a form. */
export function useUnsaved(name: string, changes: object): void {
    const hasChanges = Object.keys(changes).length > 0;
    const current = useRef(changes);
    current.current = changes;
    // At once: a form that was sent is left in the same moment.
    useLayoutEffect(() => {
        if (!hasChanges) return undefined;
        forms.set(name, () => current.current);
        addEventListener("beforeunload", warn);
        return () => {
            forms.delete(name);
            if (forms.size === 0) removeEventListener("beforeunload", warn);
        };
    }, [hasChanges, name]);
}

/** Returns whether nothing is lost, or the person agrees to lose it. */
export function mayLeave(): boolean {
    return forms.size === 0 || confirm(text.form.leave);
}

/** Stores changes, but no secrets, until the same user has signed in again. */
export function keepForms(identity: string): void {
    const changes = Object.fromEntries([...forms].map(([name, changes]) => [name, changes()]));
    const withoutSecrets = (name: string, value: unknown) => (name.startsWith("secret") ? "" : value);
    sessionStorage.setItem(KEPT, JSON.stringify({ identity, changes }, withoutSecrets));
    removeEventListener("beforeunload", warn);
    // The person may come back without a sign-in, to this page as it is now.
    addEventListener("pageshow", () => forms.size > 0 && addEventListener("beforeunload", warn), { once: true });
}

/** Takes what was stored from the browser. Nobody else gets it. */
export function takeForms(identity: string): void {
    const stored = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}") as { identity?: string; changes?: typeof kept };
    sessionStorage.removeItem(KEPT);
    if (stored.identity === identity) kept = stored.changes ?? {};
}

/** Returns the kept changes of a form that opens. */
export function changesKept(name: string): object {
    const { [name]: changes = {}, ...others } = kept;
    kept = others;
    return changes;
}
