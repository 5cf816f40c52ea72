// Lets LlamaIndex chat, stream, call a tool and embed, and prints what came as one line of JSON.
import { OpenAI, OpenAIEmbedding } from '@llamaindex/openai';

const [http, situation] = process.argv.slice(2);
const server = { apiKey: 'none', baseURL: `${http}/v1`, maxRetries: 0 };
const model = new OpenAI({ ...server, model: 'scripted', supportToolCall: true });
const messages = [{ role: 'user', content: `conformance situation ${situation}` }];
const show = (value) => console.log(JSON.stringify(value));

switch (situation) {
  case 'plain': {
    show({ text: (await model.chat({ messages })).message.content });
    break;
  }
  case 'stream':
  case 'failover': {
    let text = '';
    for await (const piece of await model.chat({ messages, stream: true })) text += piece.delta;
    show({ text });
    break;
  }
  case 'tools': {
    const add = { metadata: { name: 'add', description: 'adds', parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } } } }, call: () => 0 };
    const answer = await model.chat({ messages, tools: [add] });
    const { input } = answer.message.options.toolCall[0];
    show({ input: typeof input === 'string' ? JSON.parse(input) : input });
    break;
  }
  case 'embeddings': {
    show({ vector: await new OpenAIEmbedding({ ...server, model: 'scripted' }).getTextEmbedding('one') });
    break;
  }
}
