// Asks the same question twice, whole and streamed, and prints both answers as one line of JSON.
import OpenAI from 'openai';

const [baseURL, text, maxTokens] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0 });
const model = (await client.models.list()).data[0].id;
const question = { model, messages: [{ role: 'user', content: text }], max_tokens: Number(maxTokens), temperature: 0 };

const whole = (await client.chat.completions.create(question)).choices[0];
let streamed = '';
let streamedReason = null;
for await (const chunk of await client.chat.completions.create({ ...question, stream: true })) {
  streamed += chunk.choices[0]?.delta?.content ?? '';
  streamedReason ??= chunk.choices[0]?.finish_reason ?? null;
}
console.log(JSON.stringify({ whole: whole.message.content, wholeReason: whole.finish_reason, streamed, streamedReason }));
