// Changes of an export.

import { useMemo } from "preact/hooks";

import { Failure } from "../api/client.ts";
import { useApi } from "../context.ts";
import { update, valuesOf } from "../form.ts";
import { ExportOperation, UpdateWithKeyOperation, UpdateWithRoleOperation, type Whole } from "../generated/api.ts";
import { paths } from "../route.ts";
import { text } from "../text.ts";
import { Summary } from "../ui/field.tsx";
import { useForm } from "../ui/form.ts";
import { useAction, useLoad } from "../ui/load.ts";
import { Heading, Problem, Show } from "../ui/parts.tsx";
import { Fields } from "./fields.tsx";

export function Edit({ id }: { id: string }) {
    const api = useApi();
    const loaded = useLoad(
        `edit ${id}`,
        async (signal) => (await api.send(ExportOperation, { id }, signal)).configuration,
    );
    return (
        <>
            <Heading>{text.form.editHeading}</Heading>
            <Show loaded={loaded}>{(configuration) => <EditForm configuration={configuration} />}</Show>
        </>
    );
}

function EditForm({ configuration }: { configuration: Whole }) {
    const api = useApi();
    const before = useMemo(() => valuesOf(configuration), [configuration]);
    const form = useForm(before, before);
    const save = useAction(async (force: boolean) => {
        const { id, version } = configuration;
        const data = update(id, version, before, form.values, force);
        try {
            if (data) {
                await (form.values.identity === "role"
                    ? api.send(UpdateWithRoleOperation, { data })
                    : api.send(UpdateWithKeyOperation, { data }));
            }
            location.hash = paths.detail(id);
        } catch (error) {
            form.refuse(error);
            if (!(error instanceof Failure) || error.fields.length === 0) throw error;
        }
    });
    const code = save.error instanceof Failure ? save.error.code : null;
    return (
        <form
            class="card"
            noValidate
            aria-label={text.form.editHeading}
            onSubmit={(event) => {
                event.preventDefault();
                if (form.submit()) save.run(false);
            }}
        >
            <Summary problems={form.summary} turn={form.turn} />
            <Fields values={form.values} set={form.set} problems={form.problems} touch={form.touch} before={before} />
            {save.error !== null && (
                <Problem error={save.error}>
                    {code === "CONFLICT" && <p>{text.form.conflict}</p>}
                    {code === "NEW_CONNECTION_REFUSED" && (
                        <button type="button" class="danger" onClick={() => save.run(true)}>
                            {text.form.force}
                        </button>
                    )}
                </Problem>
            )}
            <div class="toolbar">
                <button type="submit" class="primary" aria-disabled={save.isRunning}>
                    {save.isRunning ? text.form.saving : text.save}
                </button>
                <a href={paths.detail(configuration.id)}>{text.cancel}</a>
            </div>
        </form>
    );
}
