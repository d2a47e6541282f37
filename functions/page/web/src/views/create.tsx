// A new export: three steps that stay on one page.

import { useRef } from "preact/hooks";

import { useApi } from "../context.ts";
import { createWithKey, createWithRole, NEW_EXPORT } from "../form.ts";
import { CreateWithKeyOperation, CreateWithRoleOperation, ExportOperation } from "../generated/api.ts";
import { paths } from "../route.ts";
import { text } from "../text.ts";
import { useForm } from "../ui/form.ts";
import { useAction, useLoad } from "../ui/load.ts";
import { Fact, Facts, Heading, Problem, Show } from "../ui/parts.tsx";
import { ConnectionTest, Policies } from "./access.tsx";
import { Fields } from "./fields.tsx";
import { placeOf } from "./list.tsx";

/** `id`: the export exists already, and the next steps are shown. So its address can be opened again. */
export function Create({ id }: { id: string | null }) {
    return id === null ? <NewExport /> : <CreatedExport id={id} />;
}

function CreatedExport({ id }: { id: string }) {
    const api = useApi();
    const loaded = useLoad(`created ${id}`, async (signal) => {
        return (await api.send(ExportOperation, { id }, signal)).configuration;
    });
    return (
        <>
            <Heading>{text.form.createHeading}</Heading>
            <Show loaded={loaded}>
                {(created) => (
                    <>
                        <Steps step={created.connectionStatus === "SUCCESS" ? 3 : 2} />
                        <section class="card" aria-labelledby="step-1">
                            <h2 id="step-1">{text.form.step1}</h2>
                            <p role="status">{text.form.created}</p>
                            <Facts>
                                <Fact name={text.form.bucketName}>
                                    <code class="break">{placeOf(created)}</code>
                                </Fact>
                                <Fact name={text.form.region}>
                                    <code>{created.endpointConfiguration.region}</code>
                                </Fact>
                                <Fact name={text.form.interval}>{text.interval[created.interval]}</Fact>
                                <Fact name={text.form.format}>{text.format[created.format]}</Fact>
                            </Facts>
                        </section>
                        <section class="card" aria-labelledby="step-2">
                            <h2 id="step-2">{text.form.step2}</h2>
                            <Policies id={created.id} version={created.version} />
                        </section>
                        <section class="card" aria-labelledby="step-3">
                            <h2 id="step-3">{text.form.step3}</h2>
                            <ConnectionTest configuration={created} replace={loaded.replace} />
                            <p>
                                <a class="button" href={paths.detail(created.id)}>
                                    {text.connection.toDetail}
                                </a>
                            </p>
                        </section>
                    </>
                )}
            </Show>
        </>
    );
}

function Steps({ step }: { step: number }) {
    return (
        <ol class="steps" aria-label={text.form.steps}>
            {[text.form.step1, text.form.step2, text.form.step3].map((name, index) => (
                <li key={name} {...(index + 1 === step && { "aria-current": "step" as const })}>
                    {name}
                </li>
            ))}
        </ol>
    );
}

function NewExport() {
    const api = useApi();
    const form = useForm("new", NEW_EXPORT, null);
    // The same for a request that is repeated, so that none creates a second export.
    const idempotency = useRef({ key: crypto.randomUUID(), sent: "" });

    const create = useAction(async () => {
        const { values } = form;
        const content = JSON.stringify(values);
        if (idempotency.current.sent !== content) idempotency.current = { key: crypto.randomUUID(), sent: content };
        const { key } = idempotency.current;
        try {
            const { configuration } =
                values.identity === "role"
                    ? await api.send(CreateWithRoleOperation, { data: createWithRole(values, key) })
                    : await api.send(CreateWithKeyOperation, { data: createWithKey(values, key) });
            // The secrets are not needed any more.
            idempotency.current.sent = "";
            form.set(NEW_EXPORT);
            location.replace(paths.created(configuration.id));
        } catch (error) {
            form.refuse(error);
        }
    });

    return (
        <>
            <Heading>{text.form.createHeading}</Heading>
            <Steps step={1} />
            <section class="card" aria-labelledby="step-1">
                <h2 id="step-1">{text.form.step1}</h2>
                <form
                    noValidate
                    aria-labelledby="step-1"
                    onSubmit={(event) => {
                        event.preventDefault();
                        if (form.submit()) create.run();
                    }}
                >
                    <Fields form={form} before={null} />
                    {create.error !== null && <Problem error={create.error} />}
                    <div class="toolbar">
                        <button type="submit" class="primary" aria-disabled={create.isRunning}>
                            {create.isRunning
                                ? text.form.creating
                                : form.values.identity === "role"
                                  ? text.form.create
                                  : text.form.createAndTest}
                        </button>
                        <a href={paths.list}>{text.cancel}</a>
                    </div>
                </form>
            </section>
            {[text.form.step2, text.form.step3].map((name) => (
                <section key={name} class="card waiting">
                    <h2>{name}</h2>
                </section>
            ))}
        </>
    );
}
