// Small parts that several views use. All texts become text nodes.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";

import { Failure, NETWORK, UNAUTHENTICATED } from "../api/client.ts";
import { localTime, shownTime, showsUtc, utcTime } from "../format.ts";
import { paths } from "../route.ts";
import { text } from "../text.ts";
import type { Loader } from "./load.ts";

/** A time in the chosen zone; in the other one for pointers that rest on it, and for screen readers. */
export function Time({ value }: { value: string }) {
    const other = showsUtc() ? localTime(value) : utcTime(value);
    return (
        <time dateTime={value} title={other}>
            {shownTime(value)}
            <span class="hidden"> ({other})</span>
        </time>
    );
}

export function OptionalTime({ value }: { value: string | null }) {
    return value === null ? <>{text.never}</> : <Time value={value} />;
}

export type Tone = "good" | "warning" | "bad" | "neutral";

const MARKS: Record<Tone, string> = { good: "✓", warning: "!", bad: "✕", neutral: "–" };

/** A state in words, with a colour and a shape. */
export function Badge({ tone, children }: { tone: Tone; children: ComponentChildren }) {
    return (
        <span class={`badge ${tone}`}>
            <span class="mark" aria-hidden="true">
                {MARKS[tone]}
            </span>
            {children}
        </span>
    );
}

/** The sentence about an error. */
export function sentenceOf(error: unknown): string {
    if (!(error instanceof Failure)) return text.failures.unknown;
    if (error.code === NETWORK) return text.failures.network;
    if (error.code === UNAUTHENTICATED && error.message === "") return text.failures.session;
    return error.connectionError?.message ?? (error.message || text.failures.unknown);
}

export function Problem({ error, title, children }: { error: unknown; title?: string; children?: ComponentChildren }) {
    const code = error instanceof Failure ? (error.connectionError?.code ?? error.code) : null;
    const requestId = error instanceof Failure ? error.requestId : undefined;
    return (
        <div class="notice bad" role="alert">
            <p>
                <strong>{title ?? text.failures.action}</strong> {sentenceOf(error)}
            </p>
            {code && /^[A-Z_]+$/.test(code) && code !== NETWORK && (
                <p>
                    <CodeLink code={code} />
                    {requestId && <small> {text.requestId(requestId)}</small>}
                </p>
            )}
            {children}
        </div>
    );
}

export function CodeLink({ code }: { code: string }) {
    return (
        // In a tab of its own, so that a form or a result stays.
        <a href={paths.code(code)} target="_blank" rel="noopener" title={text.explain(code)}>
            <code>{code}</code>
            <span class="hidden"> ({text.newTab})</span>
        </a>
    );
}

/** What the service says about a failure, and the link to its code. */
export function Fix({ error: { code, message } }: { error: { code: string; message: string } }) {
    return (
        <p class="fix">
            {message} <CodeLink code={code} />
        </p>
    );
}

/** What is loaded, or the state of loading it. */
export function Show<T>({ loaded, children }: { loaded: Loader<T>; children: (value: T) => ComponentChildren }) {
    if (loaded.state === "ready") {
        return (
            <>
                {loaded.error !== null && (
                    <div class="notice warning" role="status">
                        <p>
                            {text.failures.stale} {sentenceOf(loaded.error)}
                        </p>
                        <button type="button" onClick={loaded.reload}>
                            {text.retry}
                        </button>
                    </div>
                )}
                {children(loaded.value)}
            </>
        );
    }
    if (loaded.state === "loading") {
        return (
            <p class="loading" role="status">
                {text.loading}
            </p>
        );
    }
    return (
        <Problem error={loaded.error} title={text.failures.load}>
            <button type="button" onClick={loaded.reload}>
                {text.retry}
            </button>
        </Problem>
    );
}

/** The heading of a view, which gets the focus when the view opens, so that screen readers begin there. */
export function Heading({ children }: { children: string }) {
    const heading = useRef<HTMLHeadingElement>(null);
    useEffect(() => {
        document.title = `${children} · ${text.title}`;
        heading.current?.focus();
    }, [children]);
    return (
        <h1 ref={heading} tabIndex={-1}>
            {children}
        </h1>
    );
}

export function CopyButton({ value, what }: { value: string; what: string }) {
    const [label, setLabel] = useState(text.copy);
    useEffect(() => {
        const timer = setTimeout(() => setLabel(text.copy), 4000);
        return () => clearTimeout(timer);
    }, [label]);
    // A frame may lack the permission, and a page without HTTPS has no clipboard.
    const copy = async () => {
        try {
            await navigator.clipboard.writeText(value);
            setLabel(text.copied);
        } catch {
            setLabel(text.copyRefused);
        }
    };
    return (
        <button type="button" class="small" onClick={() => void copy()}>
            <span aria-live="polite">{label}</span>
            <span class="hidden"> {what}</span>
        </button>
    );
}

export function DownloadButton({ content, name, what }: { content: BlobPart; name: string; what: string }) {
    return (
        <button type="button" class="small" onClick={() => download(content, name)}>
            {text.download}
            <span class="hidden"> {what}</span>
        </button>
    );
}

function download(content: BlobPart, name: string): void {
    const url = URL.createObjectURL(new Blob([content], { type: "application/octet-stream" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** A text to copy and download, such as a policy. */
export function Document({ content, name, what }: { content: string; name?: string; what: string }) {
    return (
        <div class="document">
            <div class="toolbar">
                <CopyButton value={content} what={what} />
                {name && <DownloadButton content={content} name={name} what={what} />}
            </div>
            <pre tabIndex={0} role="region" aria-label={what}>
                {content}
            </pre>
        </div>
    );
}

export type Row = { readonly key: string; readonly cells: readonly ComponentChildren[] };

/** A table whose rows become cards in narrow windows. The first cell of a row is its heading. */
export function Table({
    caption,
    isNamed = false,
    columns,
    rows,
}: {
    caption: string;
    /** Shows the caption. Else it is for screen readers only. */
    isNamed?: boolean;
    columns: readonly string[];
    rows: readonly Row[];
}) {
    return (
        // The roles are lost where rows are cards.
        <table class="cards" role="table">
            <caption class={isNamed ? "" : "hidden"}>{caption}</caption>
            <thead role="rowgroup">
                <tr role="row">
                    {columns.map((column) => (
                        <th key={column} scope="col" role="columnheader">
                            {column}
                        </th>
                    ))}
                </tr>
            </thead>
            <tbody role="rowgroup">
                {rows.map(({ key, cells: [heading, ...cells] }) => (
                    <tr key={key} role="row">
                        <th scope="row" role="rowheader">
                            {heading}
                        </th>
                        {cells.map((cell, index) => (
                            <td key={index} role="cell" data-label={columns[index + 1]}>
                                {cell}
                            </td>
                        ))}
                    </tr>
                ))}
            </tbody>
        </table>
    );
}

/** Names and values. */
export function Facts({ children }: { children: ComponentChildren }) {
    return <dl class="facts">{children}</dl>;
}

export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
    return (
        <div>
            <dt>{name}</dt>
            <dd>{children}</dd>
        </div>
    );
}

/** A modal question. The browser keeps the focus inside, and Escape closes it. */
export function Dialog({
    heading,
    close,
    children,
}: {
    heading: string;
    close: () => void;
    children: ComponentChildren;
}) {
    const dialog = useRef<HTMLDialogElement>(null);
    const id = useId();
    useEffect(() => {
        const before = document.activeElement;
        dialog.current?.showModal();
        return () => {
            if (before instanceof HTMLElement) before.focus();
        };
    }, []);
    return (
        <dialog ref={dialog} aria-labelledby={id} onClose={close} onCancel={close}>
            <h2 id={id}>{heading}</h2>
            {children}
        </dialog>
    );
}

/** A section with a heading that names it as a landmark. */
export function Section({
    heading,
    children,
    actions,
}: {
    heading: string;
    children: ComponentChildren;
    actions?: ComponentChildren;
}) {
    const id = useId();
    return (
        <section aria-labelledby={id} class="card">
            <div class="section-head">
                <h2 id={id}>{heading}</h2>
                {actions}
            </div>
            {children}
        </section>
    );
}
