// Lets LangChain's client for OpenAI chat, stream and call a tool, and prints what came as one line of JSON.
import { ChatOpenAI } from '@langchain/openai';

const [http, situation] = process.argv.slice(2);
const model = new ChatOpenAI({ model: 'scripted', apiKey: 'none', maxRetries: 0, configuration: { baseURL: `${http}/v1` } });
const question = `conformance situation ${situation}`;
const show = (value) => console.log(JSON.stringify(value));

switch (situation) {
  case 'plain': {
    show({ text: (await model.invoke(question)).content });
    break;
  }
  case 'stream':
  case 'failover': {
    let text = '';
    for await (const piece of await model.stream(question)) text += piece.content;
    show({ text });
    break;
  }
  case 'tools': {
    const add = { type: 'function', function: { name: 'add', parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } } } } };
    const answer = await model.bindTools([add]).invoke(question);
    show({ input: answer.tool_calls[0].args });
    break;
  }
}
