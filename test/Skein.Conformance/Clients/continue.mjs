// Lets the adapters of Continue, an assistant for editors, chat, stream, call a tool and embed, and prints what came as one line of JSON.
import { constructLlmApi } from '@continuedev/openai-adapters';

const [http, situation] = process.argv.slice(2);
const api = constructLlmApi({ provider: 'openai', apiKey: 'none', apiBase: `${http}/v1/` });
const question = { model: 'scripted', messages: [{ role: 'user', content: `conformance situation ${situation}` }] };
const add = { type: 'function', function: { name: 'add', parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } } } } };
const { signal } = new AbortController();
const show = (value) => console.log(JSON.stringify(value));

switch (situation) {
  case 'plain': {
    show({ text: (await api.chatCompletionNonStream({ ...question, stream: false }, signal)).choices[0].message.content });
    break;
  }
  case 'stream':
  case 'failover': {
    let text = '';
    for await (const chunk of api.chatCompletionStream({ ...question, stream: true }, signal)) text += chunk.choices[0]?.delta?.content ?? '';
    show({ text });
    break;
  }
  case 'tools': {
    let args = '';
    for await (const chunk of api.chatCompletionStream({ ...question, tools: [add], stream: true }, signal)) {
      args += chunk.choices[0]?.delta?.tool_calls?.[0]?.function?.arguments ?? '';
    }
    show({ input: JSON.parse(args) });
    break;
  }
  case 'embeddings': {
    show({ vector: (await api.embed({ model: 'scripted', input: 'one' })).data[0].embedding });
    break;
  }
}
