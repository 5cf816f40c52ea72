// Asks a gateway for responses in several ways, and prints what came as one line of JSON.
import OpenAI from 'openai';

const [http, situation] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${http}/v1`, apiKey: 'none', maxRetries: 0 });
const tools = [{
  type: 'function', name: 'add', strict: true,
  parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } }, required: ['a', 'b'], additionalProperties: false },
}];
const question = { model: 'scripted', instructions: 'conformance', input: `situation ${situation}` };
// Helpers of openai before 7 leave output_text out of streamed responses, which no server sends.
const textOf = (response) => response.output_text
  ?? response.output.flatMap((item) => item.content ?? []).filter((part) => part.type === 'output_text').map((part) => part.text).join('');
const show = (value) => console.log(JSON.stringify(value));

switch (situation) {
  case 'plain': {
    const response = await client.responses.create(question);
    show({ text: response.output_text, status: response.status, input: response.usage.input_tokens, output: response.usage.output_tokens });
    break;
  }
  case 'stream':
  case 'failover': {
    let streamed = '';
    const stream = client.responses.stream(question).on('response.output_text.delta', (event) => { streamed += event.delta; });
    const response = await stream.finalResponse();
    show({ text: textOf(response), streamed, status: response.status, input: response.usage.input_tokens, output: response.usage.output_tokens });
    break;
  }
  case 'thinking': {
    const response = await client.responses.stream(question).finalResponse();
    show({ thinking: response.output[0].content[0].text, text: textOf(response) });
    break;
  }
  case 'tools': {
    const first = await client.responses.stream({ ...question, tools }).finalResponse();
    const call = first.output.find((item) => item.type === 'function_call');
    const { a, b } = JSON.parse(call.arguments);
    const second = await client.responses.create({
      ...question, tools,
      input: [{ role: 'user', content: question.input }, ...first.output, { type: 'function_call_output', call_id: call.call_id, output: String(a + b) }],
    });
    show({ status: first.status, input: { a, b }, text: second.output_text });
    break;
  }
  case 'broken': {
    let streamed = '';
    let failed = null;
    try {
      const stream = client.responses.stream(question)
        .on('response.output_text.delta', (event) => { streamed += event.delta; })
        .on('response.failed', (event) => { failed = event.response.error.code; });
      await stream.finalResponse();
      show({ streamed, failed });
    } catch (error) {
      show({ streamed, failed, error: error.constructor.name });
    }
    break;
  }
  case 'error': {
    try {
      await client.responses.create({ ...question, previous_response_id: 'resp_1' });
    } catch (error) {
      show({ error: error.constructor.name, status: error.status, param: error.param });
    }
    break;
  }
}
