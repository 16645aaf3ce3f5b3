// Vercel's AI SDK with @ai-sdk/openai-compatible.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, wrapEmbeddingModel } from "ai";
import { answer } from "./jobs.mjs";

await answer(async ({ url, key, model, texts, batch }) => {
  const provider = createOpenAICompatible({ name: "lambda-embed", baseURL: url, apiKey: key ?? undefined });
  const smaller = { specificationVersion: "v3", overrideMaxEmbeddingsPerCall: () => batch };
  const plain = provider.embeddingModel(model);
  const chosen = batch ? wrapEmbeddingModel({ model: plain, middleware: smaller }) : plain;
  const { embeddings } = await embedMany({ model: chosen, values: texts, maxRetries: 0 });
  return { vectors: embeddings };
}, (error) => error.statusCode);
