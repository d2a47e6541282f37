// Fields of forms, with label, hint and problem.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

import { labelOf, type Problems } from "../form.ts";
import { text } from "../text.ts";

/** The ID of the control of a field, which the summary of problems links to. */
export function idOf(field: string): string {
    return `field-${field.replaceAll(/[^A-Za-z0-9]/g, "-")}`;
}

type Labels = {
    readonly name: string;
    readonly label: string;
    readonly hint?: string | undefined;
    readonly problem?: string | undefined;
    readonly isOptional?: boolean | undefined;
};

type Control = { id: string; "aria-describedby"?: string; "aria-invalid"?: true };

function Frame({
    name,
    label,
    hint,
    problem,
    isOptional,
    children,
}: Labels & { children: (control: Control) => ComponentChildren }) {
    const id = idOf(name);
    const described = [hint && `${id}-hint`, problem && `${id}-problem`].filter(Boolean).join(" ");
    return (
        <div class={problem ? "field invalid" : "field"}>
            <label for={id}>
                {label}
                {isOptional && <span class="soft"> ({text.optional})</span>}
            </label>
            {hint && (
                <p class="hint" id={`${id}-hint`}>
                    {hint}
                </p>
            )}
            {children({
                id,
                ...(described && { "aria-describedby": described }),
                ...(problem && { "aria-invalid": true as const }),
            })}
            {problem && (
                <p class="problem" id={`${id}-problem`}>
                    <span aria-hidden="true">✕ </span>
                    {problem}
                </p>
            )}
        </div>
    );
}

type TextProps = Labels & {
    readonly value: string;
    readonly set: (value: string) => void;
    readonly blur?: (() => void) | undefined;
    readonly type?: "text" | "password" | "datetime-local";
    readonly list?: string | undefined;
    readonly isCode?: boolean;
};

export function TextField({ value, set, blur, type = "text", list, isCode, ...labels }: TextProps) {
    return (
        <Frame {...labels}>
            {(control) => {
                const shared = {
                    ...control,
                    class: isCode ? "code" : "",
                    value,
                    required: !labels.isOptional,
                    autocomplete: type === "password" ? "new-password" : "off",
                    autocapitalize: "off" as const,
                    spellcheck: false,
                    onInput: (event: { currentTarget: HTMLInputElement }) => set(event.currentTarget.value),
                    ...(blur && { onBlur: blur }),
                };
                if (type === "password") return <input {...shared} type="password" />;
                if (type === "datetime-local") return <input {...shared} type="datetime-local" />;
                if (list) return <input {...shared} type="text" list={list} />;
                return <input {...shared} type="text" />;
            }}
        </Frame>
    );
}

export function LinesField({ value, set, blur, ...labels }: Omit<TextProps, "type" | "list" | "isCode">) {
    return (
        <Frame {...labels}>
            {(control) => (
                <textarea
                    {...control}
                    class="code"
                    rows={3}
                    spellcheck={false}
                    value={value}
                    onInput={(event) => set(event.currentTarget.value)}
                    onBlur={blur}
                />
            )}
        </Frame>
    );
}

export function ChoiceField<T extends string>({
    value,
    set,
    choices,
    ...labels
}: Labels & { value: T; set: (value: T) => void; choices: Readonly<Record<T, string>> }) {
    return (
        <Frame {...labels}>
            {(control) => (
                <select {...control} value={value} onChange={(event) => set(event.currentTarget.value as T)}>
                    {(Object.entries(choices) as [T, string][]).map(([choice, label]) => (
                        <option key={choice} value={choice}>
                            {label}
                        </option>
                    ))}
                </select>
            )}
        </Frame>
    );
}

export function Radio<T extends string>({
    legend,
    value,
    set,
    choices,
}: {
    legend: string;
    value: T;
    set: (value: T) => void;
    choices: readonly { value: T; label: string; hint?: string }[];
}) {
    const group = useId();
    return (
        <fieldset class="radios">
            <legend>{legend}</legend>
            {choices.map((choice) => (
                <div key={choice.value} class="radio">
                    <input
                        type="radio"
                        id={`${group}-${choice.value}`}
                        name={group}
                        checked={value === choice.value}
                        onChange={() => set(choice.value)}
                        {...(choice.hint && { "aria-describedby": `${group}-${choice.value}-hint` })}
                    />
                    <label for={`${group}-${choice.value}`}>{choice.label}</label>
                    {choice.hint && (
                        <p class="hint" id={`${group}-${choice.value}-hint`}>
                            {choice.hint}
                        </p>
                    )}
                </div>
            ))}
        </fieldset>
    );
}

/** The problems of a form that was sent, each with a link to its field. It gets the focus. */
export function Summary({ problems, turn }: { problems: Problems; turn: number }) {
    const summary = useRef<HTMLDivElement>(null);
    const heading = useId();
    useEffect(() => {
        if (turn > 0) summary.current?.focus();
    }, [turn]);
    if (problems.size === 0) return null;
    return (
        <div ref={summary} class="notice bad" tabIndex={-1} role="group" aria-labelledby={heading}>
            <p id={heading}>
                <strong>{text.form.summary(problems.size)}</strong>
            </p>
            <ul>
                {[...problems].map(([field, problem]) => (
                    <li key={field}>
                        <a
                            href={`#${idOf(field)}`}
                            onClick={(event) => {
                                event.preventDefault();
                                reveal(document.getElementById(idOf(field)));
                            }}
                        >
                            {lineOf(field, problem)}
                        </a>
                    </li>
                ))}
            </ul>
        </div>
    );
}

function lineOf(field: string, problem: string): string {
    const label = labelOf(field);
    return label === null ? problem : text.form.summaryLine(label, problem);
}

/** Opens what hides a field, and moves the focus to it. */
function reveal(field: HTMLElement | null): void {
    for (let outer = field; outer; outer = outer.parentElement) {
        if (outer instanceof HTMLDetailsElement) outer.open = true;
    }
    // A group of fields takes the focus at its heading.
    const target = field instanceof HTMLDetailsElement ? field.querySelector("summary") : field;
    target?.focus();
}
