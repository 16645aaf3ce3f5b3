// Answers each line of standard input, a job, with a line of standard output, its result: `embed` returns `vectors`, one a
// text, in their order, and `truncated`, the indices of the texts that were cut, where the client tells them; `status`
// finds the HTTP status in an error of the client's.
import { createInterface } from "node:readline";

export async function answer(embed, status) {
  console.log = console.warn = console.error;
  for await (const line of createInterface({ input: process.stdin })) {
    const result = await embed(JSON.parse(line)).then(
      ({ vectors, truncated }) => ({ vectors: vectors.map((vector) => Array.from(vector)), truncated }),
      (error) => ({ error: error.name, status: status(error), message: error.message }),
    );
    process.stdout.write(JSON.stringify(result) + "\n");
  }
}
