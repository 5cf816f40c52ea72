// Lets Instructor have an answer in the form of a schema, by a tool or by JSON, whole or streamed, and prints what came as one line of JSON.
import Instructor from '@instructor-ai/instructor';
import OpenAI from 'openai';
import { z } from 'zod';

const [http, situation, mode] = process.argv.slice(2);
const client = Instructor({ client: new OpenAI({ baseURL: `${http}/v1`, apiKey: 'none', maxRetries: 0 }), mode });
const question = {
  model: 'scripted', messages: [{ role: 'user', content: `conformance situation ${situation}` }], max_retries: 0,
  response_model: { name: 'Sum', schema: z.object({ a: z.number(), b: z.number() }) },
};

let sum = null;
if (situation === 'stream') {
  for await (const part of await client.chat.completions.create({ ...question, stream: true })) sum = part;
} else {
  sum = await client.chat.completions.create(question);
}
console.log(JSON.stringify({ a: sum.a, b: sum.b }));
