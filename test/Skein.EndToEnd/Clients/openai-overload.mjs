// A burst of requests from official clients, each of which retries as it does by default. Prints one line of JSON: for each request its attempts, with the
// time at which each was sent, its status and what the server said about when to return.
import OpenAI from 'openai';

const [baseURL, text, maxTokens, requests, everyMs] = process.argv.slice(2);
const begun = performance.now();

async function ask(number) {
  const attempts = [];
  const client = new OpenAI({
    baseURL,
    apiKey: 'none',
    fetch: async (url, init) => {
      const attempt = { atMs: performance.now() - begun, status: 0, retryAfterMs: null };
      attempts.push(attempt);
      const response = await fetch(url, init);
      attempt.status = response.status;
      attempt.retryAfterMs = Number(response.headers.get('retry-after-ms')) || null;
      return response;
    },
  });
  let tokens = 0;
  let error = null;
  try {
    const stream = await client.chat.completions.create({
      model: 'simulated', messages: [{ role: 'user', content: `${text} ${number}` }], max_tokens: Number(maxTokens), stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream)
      tokens = chunk.usage?.completion_tokens ?? tokens;
  } catch (failure) {
    error = String(failure.status ?? failure);
  }
  return { attempts, tokens, error };
}

const running = [];
for (let i = 0; i < Number(requests); i++) {
  running.push(ask(i));
  await new Promise((resolve) => setTimeout(resolve, Number(everyMs)));
}
console.log(JSON.stringify(await Promise.all(running)));
