// Asks a gateway for chat completions in several ways, and prints what came as one line of JSON. For versions 4 to 7 of the client.
import OpenAI from 'openai';

const [http, situation] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${http}/v1`, apiKey: 'none', maxRetries: situation === 'overload' ? 5 : 0 });
const tools = [{
  type: 'function',
  function: { name: 'add', parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } }, required: ['a', 'b'] } },
}];
const question = { model: 'scripted', messages: [{ role: 'user', content: `conformance situation ${situation}` }] };
const show = (value) => console.log(JSON.stringify(value));

async function readStream(onText = () => {}) {
  let [text, finish, usage] = ['', null, null];
  const stream = await client.chat.completions.create({ ...question, stream: true, stream_options: { include_usage: true } });
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? '';
    finish = chunk.choices[0]?.finish_reason ?? finish;
    usage = chunk.usage ?? usage;
    if (onText(text, stream)) break;
  }
  return { text, finish, output: usage?.completion_tokens ?? null };
}

switch (situation) {
  case 'plain': {
    const answer = await client.chat.completions.create(question);
    show({ text: answer.choices[0].message.content, finish: answer.choices[0].finish_reason, output: answer.usage.completion_tokens });
    break;
  }
  case 'stream':
  case 'slow':
  case 'failover': {
    show(await readStream());
    break;
  }
  case 'tools': {
    const first = await client.chat.completions.create({ ...question, tools });
    const call = first.choices[0].message.tool_calls[0];
    const { a, b } = JSON.parse(call.function.arguments);
    const second = await client.chat.completions.create({
      ...question, tools, messages: [...question.messages, first.choices[0].message, { role: 'tool', tool_call_id: call.id, content: String(a + b) }],
    });
    show({ finish: first.choices[0].finish_reason, input: { a, b }, text: second.choices[0].message.content });
    break;
  }
  case 'n': {
    const texts = ['', ''];
    const stream = await client.chat.completions.create({ ...question, n: 2, stream: true });
    for await (const chunk of stream) {
      for (const choice of chunk.choices) texts[choice.index] += choice.delta.content ?? '';
    }
    const whole = await client.chat.completions.create({ ...question, n: 2 });
    show({ texts, whole: whole.choices.map((choice) => [choice.index, choice.message.content]) });
    break;
  }
  case 'stop': {
    const answer = await client.chat.completions.create({ ...question, stop: [' was'] });
    show({ text: answer.choices[0].message.content, finish: answer.choices[0].finish_reason });
    break;
  }
  case 'logprobs': {
    const answer = await client.chat.completions.create({ ...question, logprobs: true });
    const read = (content) => ({ text: content.map((token) => token.token).join(''), least: Math.min(...content.map((token) => token.logprob)) });
    const streamed = [];
    for await (const chunk of await client.chat.completions.create({ ...question, logprobs: true, stream: true })) {
      streamed.push(...(chunk.choices[0]?.logprobs?.content ?? []));
    }
    show({ whole: read(answer.choices[0].logprobs.content), streamed: read(streamed) });
    break;
  }
  case 'schema': {
    const schema = { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } }, required: ['a', 'b'], additionalProperties: false };
    const answer = await client.chat.completions.create({ ...question, response_format: { type: 'json_schema', json_schema: { name: 'sum', strict: true, schema } } });
    show(JSON.parse(answer.choices[0].message.content));
    break;
  }
  case 'embeddings': {
    // The client asks for base64 by itself, and decodes it.
    const packed = await client.embeddings.create({ model: 'scripted', input: ['one', 'three'] });
    const plain = await client.embeddings.create({ model: 'scripted', input: 'one', encoding_format: 'float' });
    show({ packed: packed.data.map((item) => Array.from(item.embedding)), plain: plain.data[0].embedding });
    break;
  }
  case 'overload': {
    // One slot and no queue: the second request is refused until the first one is done.
    question.messages[0].content += ' slow';
    const answers = await Promise.all([readStream(), readStream()]);
    show({ texts: answers.map((answer) => answer.text) });
    break;
  }
  case 'cancel': {
    question.messages[0].content += ' slow';
    await readStream((text, stream) => text.length > 0 && (stream.controller.abort(), true)).catch(() => {});
    show({ cancelled: true });
    break;
  }
  case 'broken': {
    let text = '';
    try {
      await readStream((sofar) => { text = sofar; return false; });
      show({ text });
    } catch (error) {
      show({ text, error: error.constructor.name });
    }
    break;
  }
  case 'error': {
    try {
      await client.chat.completions.create({ ...question, model: 'nobody' });
    } catch (error) {
      show({ error: error.constructor.name, status: error.status, code: error.code });
    }
    break;
  }
}
