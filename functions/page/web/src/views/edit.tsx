// Changes of an export.

import { useMemo, useState } from "preact/hooks";

import { Failure } from "../api/client.ts";
import { useApi } from "../context.ts";
import { changes, update, valuesOf } from "../form.ts";
import { ExportOperation, UpdateWithKeyOperation, UpdateWithRoleOperation, type Whole } from "../generated/api.ts";
import { paths } from "../route.ts";
import { text } from "../text.ts";
import { useForm } from "../ui/form.ts";
import { useAction, useLoad } from "../ui/load.ts";
import { Heading, Problem, Show } from "../ui/parts.tsx";
import { Checks, useRunningChecks } from "./checks.tsx";
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

function EditForm({ configuration: first }: { configuration: Whole }) {
    const api = useApi();
    const [configuration, setConfiguration] = useState(first);
    const before = useMemo(() => valuesOf(configuration), [configuration]);
    const { id, version } = configuration;
    const form = useForm(`edit ${id}`, before, before);
    const [running, watch] = useRunningChecks(id);
    const save = useAction(async (force: boolean) => {
        const data = update(id, version, before, form.values, force);
        const operation = form.values.identity === "role" ? UpdateWithRoleOperation : UpdateWithKeyOperation;
        try {
            if (data) await watch(() => api.send(operation, { data }));
            form.set(before);
            location.hash = paths.detail(id);
        } catch (error) {
            form.refuse(error);
        }
    });
    // Takes what somebody else has changed, and keeps what was changed here.
    const merge = useAction(async () => {
        const { configuration: newest } = await api.send(ExportOperation, { id });
        form.set({ ...valuesOf(newest), ...changes(before, form.values) });
        setConfiguration(newest);
        save.forget();
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
            <Fields form={form} before={before} />
            {save.error !== null && (
                <Problem error={save.error}>
                    {code === "CONFLICT" && (
                        <>
                            <p>{text.form.conflict}</p>
                            <button type="button" aria-disabled={merge.isRunning} onClick={merge.run}>
                                {text.form.merge}
                            </button>
                        </>
                    )}
                    {code === "NEW_CONNECTION_REFUSED" && (
                        <button type="button" class="danger" onClick={() => save.run(true)}>
                            {text.form.force}
                        </button>
                    )}
                </Problem>
            )}
            {merge.error !== null && <Problem error={merge.error} />}
            <p role="status">{running && text.connection.testing}</p>
            <Checks checks={running ?? []} progress="known" />
            <div class="toolbar">
                <button type="submit" class="primary" aria-disabled={save.isRunning}>
                    {save.isRunning ? text.form.saving : text.save}
                </button>
                <a href={paths.detail(id)}>{text.cancel}</a>
            </div>
        </form>
    );
}
