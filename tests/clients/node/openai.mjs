// openai-node.
import OpenAI from "openai";
import { answer } from "./jobs.mjs";

await answer(async ({ url, key, model, texts }) => {
  const client = new OpenAI({ baseURL: url, apiKey: key ?? undefined, maxRetries: 0 });
  const { data } = await client.embeddings.create({ model, input: texts });
  return data.map((item) => item.embedding);
}, (error) => error.status);
