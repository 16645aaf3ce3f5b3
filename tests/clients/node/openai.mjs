// openai-node.
import OpenAI from "openai";
import { answer } from "./jobs.mjs";

await answer(async ({ url, key, model, texts }) => {
  const client = new OpenAI({ baseURL: url, apiKey: key ?? undefined, maxRetries: 0 });
  const { data, truncated } = await client.embeddings.create({ model, input: texts });
  return { vectors: data.map((item) => item.embedding), truncated };
}, (error) => error.status);
