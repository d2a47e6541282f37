// The state of a form: values, and which problems are shown.

import { useMemo, useState } from "preact/hooks";

import { Failure } from "../api/client.ts";
import { changes, check, type FormValues, type Problems } from "../form.ts";
import { changesKept, useUnsaved } from "../unsaved.ts";

export type Values<V> = {
    readonly values: V;
    readonly set: (change: Partial<V>) => void;
    /** They are from before the person signed in again. */
    readonly areKept: boolean;
};

/** The values of a form. Leaving the page is asked about while they differ from `start`. */
export function useValues<V extends object>(name: string, start: V): Values<V> {
    const [kept] = useState(() => changesKept(name));
    const [values, setValues] = useState<V>({ ...start, ...kept });
    useUnsaved(
        name,
        useMemo(() => changes(start, values), [start, values]),
    );
    return {
        values,
        set: (change) => setValues((values) => ({ ...values, ...change })),
        areKept: Object.keys(kept).length > 0,
    };
}

export type FormState = Values<FormValues> & {
    /** The problems to show: of fields that were left, of all fields once the form was sent, and those of the service. */
    readonly problems: Problems;
    /** Those of the whole form, after it was sent. */
    readonly summary: Problems;
    /** Raised with each attempt to send the form. */
    readonly turn: number;
    readonly touch: (field: string) => void;
    /** Returns whether the form can be sent. */
    readonly submit: () => boolean;
    /** Shows the fields that the service refused. Throws every other error. */
    readonly refuse: (error: unknown) => void;
};

export function useForm(name: string, start: FormValues, before: FormValues | null): FormState {
    const form = useValues(name, start);
    const { values } = form;
    const [touched, setTouched] = useState<ReadonlySet<string>>(new Set());
    const [turn, setTurn] = useState(0);
    // The service's problems hold until the form is changed.
    const [refused, setRefused] = useState<Problems>(new Map());
    const found = useMemo(() => check(values, before), [values, before]);
    const all = new Map([...found, ...refused]);
    const summary: Problems = turn > 0 ? all : new Map();
    const problems: Problems = turn > 0 ? all : new Map([...all].filter(([field]) => touched.has(field)));
    return {
        ...form,
        set: (change) => {
            form.set(change);
            setRefused(new Map());
        },
        problems,
        summary,
        turn,
        touch: (field) => setTouched((touched) => new Set([...touched, field])),
        submit: () => {
            setTurn((turn) => turn + 1);
            return found.size === 0;
        },
        refuse: (error) => {
            if (!(error instanceof Failure) || error.fields.length === 0) throw error;
            setRefused(new Map(error.fields.map(({ field, message }) => [field, message])));
            setTurn((turn) => turn + 1);
        },
    };
}
