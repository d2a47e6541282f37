import { render } from "preact";

import { App, type Start } from "./app.tsx";
import { takeTokenFromFragment } from "./session/token.ts";
import { loadSettings, pageAddress, type Settings } from "./settings.ts";
import "./style.css";
import { text } from "./text.ts";

// First of all: nothing else may see the token.
const handedOver = takeTokenFromFragment(location, history);
const page = pageAddress(location);

async function begin(settings: Settings): Promise<Start> {
    if (handedOver !== null || !settings.signIn || !new URLSearchParams(location.search).has("state")) {
        return { token: handedOver, problem: null };
    }
    try {
        const { returnFromIssuer } = await import("./session/oidc.ts");
        return { token: await returnFromIssuer(settings.signIn, page), problem: null };
    } catch (error) {
        return { token: null, problem: error instanceof Error ? error.message : String(error) };
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
if (root) void main(root);
