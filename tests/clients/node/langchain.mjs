// LangChain's @langchain/openai.
import { OpenAIEmbeddings } from "@langchain/openai";
import { answer } from "./jobs.mjs";

await answer(async ({ url, key, model, texts, batch }) => {
  const options = { model, maxRetries: 0, ...(batch && { batchSize: batch }) };
  const embeddings = new OpenAIEmbeddings({ ...options, apiKey: key ?? undefined, configuration: { baseURL: url } });
  return { vectors: await embeddings.embedDocuments(texts) };
}, (error) => error.status);
