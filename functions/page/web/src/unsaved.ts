// Forms with changes that were not sent. Leaving them is asked about.

import { useLayoutEffect } from "preact/hooks";

import { text } from "./text.ts";

let forms = 0;

function warn(event: BeforeUnloadEvent): void {
    event.preventDefault();
}

/** Says that the form of a view has changes. */
export function useUnsaved(hasChanges: boolean): void {
    // At once: a form that was sent is left in the same moment.
    useLayoutEffect(() => {
        if (!hasChanges) return undefined;
        forms += 1;
        addEventListener("beforeunload", warn);
        return () => {
            forms -= 1;
            if (forms === 0) removeEventListener("beforeunload", warn);
        };
    }, [hasChanges]);
}

/** Returns whether nothing is lost, or the person agrees to lose it. */
export function mayLeave(): boolean {
    return forms === 0 || confirm(text.form.leave);
}
