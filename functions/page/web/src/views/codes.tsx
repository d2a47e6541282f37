// The meaning of every code of the service. Loaded on request: the texts are longer than the rest of the page.

import { useState } from "preact/hooks";

import { CODES } from "../generated/codes.ts";
import { paths } from "../route.ts";
import { text } from "../text.ts";
import { TextField } from "../ui/field.tsx";
import { Fact, Facts, Heading } from "../ui/parts.tsx";

export function Codes({ code }: { code: string | null }) {
    return code === null ? <All /> : <One code={code} />;
}

function One({ code }: { code: string }) {
    const found = CODES.filter(([name]) => name === code);
    return (
        <>
            <Heading>{code}</Heading>
            {found.length === 0 && <p>{text.explainView.unknown(code)}</p>}
            {found.map(([name, kind, meaning, remedy]) => (
                <div key={`${name} ${kind}`} class="card">
                    <Facts>
                        <Fact name={text.explainView.where}>{kind}</Fact>
                        <Fact name={text.explainView.meaning}>{meaning}</Fact>
                        <Fact name={text.explainView.remedy}>{remedy}</Fact>
                    </Facts>
                </div>
            ))}
            <p>
                <a href={paths.codes}>{text.explainView.all}</a>
            </p>
        </>
    );
}

function All() {
    const [search, setSearch] = useState("");
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    const found = CODES.filter((row) => words.every((word) => row.join(" ").toLowerCase().includes(word)));
    return (
        <>
            <Heading>{text.explainView.heading}</Heading>
            <TextField name="search" label={text.explainView.search} value={search} set={setSearch} isOptional />
            <p class="soft" role="status">
                {text.explainView.number(found.length)}
            </p>
            <dl class="codes">
                {found.map(([name, kind, meaning, remedy]) => (
                    <div key={`${name} ${kind}`}>
                        <dt>
                            <a href={paths.code(name)}>
                                <code>{name}</code>
                            </a>{" "}
                            <span class="soft">{kind}</span>
                        </dt>
                        <dd>
                            {meaning} {remedy}
                        </dd>
                    </div>
                ))}
            </dl>
        </>
    );
}
