// Asks a gateway in several ways, and prints what came as one line of JSON.
import Anthropic from '@anthropic-ai/sdk';

const [baseURL, situation] = process.argv.slice(2);
const client = new Anthropic({ baseURL, apiKey: 'none', maxRetries: 0 });
const tools = [{ name: 'add', description: 'Adds.', input_schema: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } } } }];
const question = {
  model: 'scripted', max_tokens: 64, system: [{ type: 'text', text: 'conformance', cache_control: { type: 'ephemeral' } }],
  messages: [{ role: 'user', content: `situation ${situation}` }],
};
const textOf = (message) => message.content.filter((block) => block.type === 'text').map((block) => block.text).join('');
const show = (value) => console.log(JSON.stringify(value));

switch (situation) {
  case 'plain': {
    const message = await client.messages.create(question);
    show({ text: textOf(message), stop: message.stop_reason, input: message.usage.input_tokens, output: message.usage.output_tokens });
    break;
  }
  case 'stream':
  case 'failover': {
    let streamed = '';
    const stream = client.messages.stream(question).on('text', (text) => { streamed += text; });
    const message = await stream.finalMessage();
    show({ text: textOf(message), streamed, stop: message.stop_reason, input: message.usage.input_tokens, output: message.usage.output_tokens });
    break;
  }
  case 'thinking': {
    const message = await client.messages.stream({ ...question, thinking: { type: 'adaptive' } }).finalMessage();
    show({ thinking: message.content[0].thinking, text: textOf(message) });
    break;
  }
  case 'tools': {
    const first = await client.messages.stream({ ...question, tools }).finalMessage();
    const call = first.content.find((block) => block.type === 'tool_use');
    const second = await client.messages.create({
      ...question, tools,
      messages: [...question.messages, { role: 'assistant', content: first.content }, {
        role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: String(call.input.a + call.input.b) }],
      }],
    });
    show({ stop: first.stop_reason, input: call.input, text: textOf(second) });
    break;
  }
  case 'count': {
    show(await client.messages.countTokens({ model: question.model, system: question.system, messages: question.messages }));
    break;
  }
  case 'broken': {
    let streamed = '';
    try {
      await client.messages.stream(question).on('text', (text) => { streamed += text; }).finalMessage();
      show({ streamed });
    } catch (error) {
      show({ streamed, error: error.constructor.name, type: error.error?.error?.type ?? null });
    }
    break;
  }
  case 'error': {
    try {
      await client.messages.create({ ...question, model: 'nobody' });
    } catch (error) {
      show({ error: error.constructor.name, status: error.status, type: error.error?.error?.type, id: error.requestID?.length > 0 });
    }
    break;
  }
}
