// Embeds the texts on standard input through openai-node and prints the vectors: by default, then as floats.
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const [baseURL] = process.argv.slice(2);
const { model, texts } = JSON.parse(readFileSync(0, "utf8"));
const client = new OpenAI({ baseURL, apiKey: "unused", maxRetries: 0 });
const embed = async (options) => {
  const answer = await client.embeddings.create({ model, input: texts, ...options });
  return answer.data.map((item) => Array.from(item.embedding));
};
const refused = await client.embeddings.create({ model, input: [[1, 2]] }).catch((error) => error);
console.log(JSON.stringify({
  standard: await embed({}),
  float: await embed({ encoding_format: "float" }),
  refused: { status: refused.status, param: refused.param, message: refused.message },
}));
