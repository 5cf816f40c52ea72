// Asks a gateway for chats in the ways that need no script of the model, and prints for each whether it came as it should, as one line of JSON.
import OpenAI from 'openai';

const [http, model, ...situations] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${http}/v1`, apiKey: 'none', maxRetries: 0 });
const question = { model, messages: [{ role: 'user', content: 'Once upon a time' }], max_tokens: 24, temperature: 0, seed: 1 };
const ends = ['stop', 'length'];

function check(isRight, what) {
  if (!isRight) throw new Error(what);
}

async function readStream(options = {}) {
  const answers = [];
  let usage = null;
  for await (const chunk of await client.chat.completions.create({ ...question, ...options, stream: true, stream_options: { include_usage: true } })) {
    for (const { index, delta, finish_reason, logprobs } of chunk.choices) {
      const answer = (answers[index] ??= { text: '', finish: null, tokens: [] });
      answer.text += delta.content ?? '';
      answer.finish = finish_reason ?? answer.finish;
      answer.tokens.push(...(logprobs?.content ?? []));
    }
    usage = chunk.usage ?? usage;
  }
  return { answers, usage };
}

// Whether the gateway runs no request.
const isIdle = async () => /^skein_sessions(\{[^}]*\})? 0( |$)/m.test(await (await fetch(`${http}/metrics`)).text());

const checks = {
  async plain() {
    const answer = await client.chat.completions.create(question);
    check(answer.choices[0].message.content.length > 0 && ends.includes(answer.choices[0].finish_reason), JSON.stringify(answer));
    check(answer.usage.total_tokens === answer.usage.prompt_tokens + answer.usage.completion_tokens, JSON.stringify(answer.usage));
  },
  async stream() {
    const whole = await client.chat.completions.create(question);
    const { answers: [streamed], usage } = await readStream();
    check(streamed.text === whole.choices[0].message.content, `${JSON.stringify(streamed)} is not ${JSON.stringify(whole)}`);
    check(streamed.finish === whole.choices[0].finish_reason, `${streamed.finish} is not ${whole.choices[0].finish_reason}`);
    check(JSON.stringify([usage.prompt_tokens, usage.completion_tokens]) === JSON.stringify([whole.usage.prompt_tokens, whole.usage.completion_tokens]), JSON.stringify(usage));
  },
  async n() {
    const { answers, usage } = await readStream({ n: 2 });
    const one = await readStream();
    check(answers.length === 2 && answers.every((answer) => answer.text === one.answers[0].text && ends.includes(answer.finish)), JSON.stringify(answers));
    check(usage.completion_tokens === 2 * one.usage.completion_tokens, JSON.stringify(usage));
  },
  async stop() {
    const { text } = (await readStream()).answers[0];
    const stop = text.slice(5, 8);
    const { answers: [cut] } = await readStream({ stop: [stop] });
    check(cut.text === text.slice(0, text.indexOf(stop)) && cut.finish === 'stop', `${JSON.stringify(cut)} of ${JSON.stringify(text)} at ${JSON.stringify(stop)}`);
  },
  async logprobs() {
    const { answers: [answer] } = await readStream({ logprobs: true, top_logprobs: 2 });
    const bytes = Buffer.from(answer.tokens.flatMap((token) => token.bytes));
    check(bytes.toString() === answer.text, `${JSON.stringify(answer.tokens)} is not ${JSON.stringify(answer.text)}`);
    check(answer.tokens.every((token) => token.logprob <= 0 && token.top_logprobs.length === 2), JSON.stringify(answer.tokens));
  },
  async schema() {
    const schema = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'], additionalProperties: false };
    const answer = await client.chat.completions.create({ ...question, max_tokens: 200, response_format: { type: 'json_schema', json_schema: { name: 'ok', strict: true, schema } } });
    check(typeof JSON.parse(answer.choices[0].message.content).ok === 'boolean', JSON.stringify(answer));
  },
  // What an engine cannot do is refused by name.
  async refused() {
    const schema = { type: 'object' };
    const error = await client.chat.completions.create({ ...question, response_format: { type: 'json_schema', json_schema: { name: 'ok', schema } } }).catch((refusal) => refusal);
    check(error.status === 400 && error.param === 'response_format', `${error}`);
  },
  async cancel() {
    const stream = await client.chat.completions.create({ ...question, max_tokens: 400, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta?.content) break;
    // The answer would take longer.
    for (const until = Date.now() + 5000; !(await isIdle()); await new Promise((resolve) => setTimeout(resolve, 50))) {
      check(Date.now() < until, 'the gateway still runs a cancelled answer');
    }
    check((await readStream()).answers[0].text.length > 0, 'no answer after a cancelled one');
  },
  async error() {
    const error = await client.chat.completions.create({ ...question, model: 'nobody' }).catch((refusal) => refusal);
    check(error.status === 404 && error.code === 'model_not_found', `${error}`);
    const wrong = await client.chat.completions.create({ ...question, temperature: 'hot' }).catch((refusal) => refusal);
    check(wrong.status === 400 && wrong.param === 'temperature', `${wrong}`);
  },
};

const results = {};
for (const situation of situations) {
  results[situation] = await checks[situation]().then(() => 'ok', (error) => error.message);
}
console.log(JSON.stringify(results));
