// Sends the events of a file: AUDIT_EXPORT_URL=… AUDIT_EXPORT_TOKEN=… node send_events.ts events.ndjson
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

// Of one request. The service takes 3.5 MiB.
const MAX_EVENTS = 1_000;
const MAX_BYTES = 3 * 1_024 * 1_024;
const ATTEMPTS = 8;
const TEMPORARY = new Set([429, 500, 502, 503, 504]);

function* batches(lines: Iterable<string>): Generator<string> {
  let batch = "";
  let [events, bytes] = [0, 0];
  for (const line of lines) {
    const size = Buffer.byteLength(line) + 1;
    if (events === MAX_EVENTS || (events > 0 && bytes + size > MAX_BYTES)) {
      yield batch;
      batch = "";
      [events, bytes] = [0, 0];
    }
    batch += `${line}\n`;
    events += 1;
    bytes += size;
  }
  if (events > 0) yield batch;
}

async function send(body: string): Promise<void> {
  const headers = {
    Authorization: `Bearer ${process.env["AUDIT_EXPORT_TOKEN"]}`,
    "Content-Type": "application/x-ndjson",
    "Content-Encoding": "gzip",
    // The same for every attempt, and another one for other events.
    "Idempotency-Key": createHash("sha256").update(body).digest("hex"),
  };
  const url = `${process.env["AUDIT_EXPORT_URL"]}/api/audit/events`;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    let pause = Math.random() * Math.min(20, 0.2 * 2 ** attempt);
    let answer: Response | undefined;
    try {
      answer = await fetch(url, { method: "POST", headers, body: gzipSync(body), signal: AbortSignal.timeout(35_000) });
    } catch {
      // Without an answer the events may be stored: the key makes it safe to repeat them.
    }
    if (answer?.ok) return;
    if (answer !== undefined && !TEMPORARY.has(answer.status)) {
      // The events or the token have to change: repeating does not help.
      throw new Error(`${answer.status}: ${await answer.text()}`);
    }
    pause = Number(answer?.headers.get("Retry-After") ?? pause);
    await new Promise((resolve) => setTimeout(resolve, pause * 1_000));
  }
  throw new Error(`no success in ${ATTEMPTS} attempts`);
}

const lines = readFileSync(process.argv[2]!, "utf8").split("\n").filter((line) => line.trim() !== "");
for (const batch of batches(lines)) {
  await send(batch);
}
