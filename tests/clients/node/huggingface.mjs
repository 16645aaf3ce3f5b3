// @huggingface/inference.
import { InferenceClient } from "@huggingface/inference";
import { answer } from "./jobs.mjs";

await answer(async ({ url, key, texts }) => {
  const client = new InferenceClient(key ?? undefined).endpoint(url);
  return { vectors: await client.featureExtraction({ inputs: texts }) };
}, (error) => error.httpResponse?.status);
