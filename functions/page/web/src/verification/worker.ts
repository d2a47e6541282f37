/** The worker in which the page verifies, so that it stays responsive. */

import { run } from "./run.ts";
import type { Message, Task } from "./task.ts";

const post = (message: Message): void => postMessage(message);

addEventListener("message", (event: MessageEvent<Task>) => {
    // An error that is not about the files, such as a lack of memory, ends the verification too.
    run(event.data, post).catch((error: unknown) => post({ kind: "FAILED", reason: String(error) }));
});
