import { render } from "preact";

import { App } from "./app.tsx";
import type { Start } from "./session/session.ts";
import { takeTokenFromFragment } from "./session/token.ts";
import { loadSettings, pageAddress, type Settings } from "./settings.ts";
import "./style.css";
import { text } from "./text.ts";
import { keepFocus } from "./ui/focus.ts";

// First of all: nothing else may see the token.
const handedOver = takeTokenFromFragment(location, history);
const page = pageAddress(location);

async function begin(settings: Settings): Promise<Start> {
    if (handedOver !== null) return { token: handedOver, isFromLink: true, problem: null };
    const parameters = new URLSearchParams(location.search);
    const none = { token: null, isFromLink: false, problem: null };
    if (!settings.signIn || !(parameters.has("state") || parameters.has("error"))) return none;
    try {
        const { returnFromIssuer } = await import("./session/oidc.ts");
        return { ...none, token: await returnFromIssuer(settings.signIn, page) };
    } catch (error) {
        return { ...none, problem: error instanceof Error ? error.message : String(error) };
    }
}

async function main(root: HTMLElement): Promise<void> {
    try {
        const settings = await loadSettings(page);
        render(<App settings={settings} page={page} start={await begin(settings)} />, root);
    } catch {
        render(
            <main>
                <p class="notice bad" role="alert">
                    {text.failures.start}
                </p>
            </main>,
            root,
        );
    }
}

const root = document.getElementById("page");
if (root) {
    keepFocus(root);
    void main(root);
}
