// The focus, which a button loses when it is removed or disabled, such as "Cancel the replay" of a replay that is cancelled.

/** What has a name, and contains the controls of one matter. */
const PARTS = "section, form, dialog";

/**
 * Moves the focus from an element that is removed or disabled to the nearest part around it. Otherwise screen readers would
 * begin at the top of the page again.
 */
export function keepFocus(page: HTMLElement): void {
    let focused: Element | null = null;
    let around: readonly HTMLElement[] = [];
    const forget = () => {
        focused = null;
        around = [];
    };
    const move = () => {
        if (!focused || document.activeElement !== document.body) return;
        // A person left it.
        if (focused.isConnected && !focused.matches(":disabled")) return forget();
        const next = around.find((part) => part.isConnected);
        forget();
        if (!next) return;
        next.tabIndex = -1;
        next.focus({ preventScroll: true });
    };
    page.addEventListener("focusin", ({ target }) => {
        focused = target instanceof Element ? target : null;
        around = focused ? partsAround(focused) : [];
    });
    // Some browsers report the loss, which happens before the removal, and some don't.
    page.addEventListener("focusout", () => queueMicrotask(move));
    new MutationObserver(move).observe(page, { childList: true, subtree: true });
}

/** Returns the parts that contain an element, the innermost first. */
function partsAround(element: Element): HTMLElement[] {
    const part = element.parentElement?.closest<HTMLElement>(PARTS);
    return part ? [part, ...partsAround(part)] : [];
}
