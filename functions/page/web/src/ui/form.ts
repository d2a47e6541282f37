// The state of a form: values, and which problems are shown.

import { useMemo, useState } from "preact/hooks";

import { Failure } from "../api/client.ts";
import { check, type FormValues, type Problems } from "../form.ts";

export type FormState = {
    readonly values: FormValues;
    readonly hasChanges: boolean;
    readonly set: (change: Partial<FormValues>) => void;
    /** The problems to show: of fields that were left, of all fields once the form was sent, and those of the service. */
    readonly problems: Problems;
    /** Those of the whole form, after it was sent. */
    readonly summary: Problems;
    /** Raised with each attempt to send the form. */
    readonly turn: number;
    readonly touch: (field: string) => void;
    /** Returns whether the form can be sent. */
    readonly submit: () => boolean;
    /** Shows what the service refused. */
    readonly refuse: (error: unknown) => void;
};

export function useForm(start: FormValues, before: FormValues | null): FormState {
    const [values, setValues] = useState(start);
    const [touched, setTouched] = useState<ReadonlySet<string>>(new Set());
    const [turn, setTurn] = useState(0);
    // The service's problems hold until the form is changed.
    const [refused, setRefused] = useState<Problems>(new Map());
    const found = useMemo(() => check(values, before), [values, before]);
    const all = new Map([...found, ...refused]);
    const summary: Problems = turn > 0 ? all : new Map();
    const problems: Problems = turn > 0 ? all : new Map([...all].filter(([field]) => touched.has(field)));
    const hasChanges = useMemo(() => JSON.stringify(values) !== JSON.stringify(start), [values, start]);
    return {
        values,
        hasChanges,
        set: (change) => {
            setValues((values) => ({ ...values, ...change }));
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
            if (!(error instanceof Failure) || error.fields.length === 0) return;
            setRefused(new Map(error.fields.map(({ field, message }) => [field, message])));
            setTurn((turn) => turn + 1);
        },
    };
}
