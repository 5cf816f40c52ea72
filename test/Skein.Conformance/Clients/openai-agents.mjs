// Lets an agent of OpenAI's SDK use a tool, whole or streamed, and prints what came as one line of JSON.
import { Agent, OpenAIProvider, Runner, setTracingDisabled, tool } from '@openai/agents';
import { z } from 'zod';

const [http, situation] = process.argv.slice(2);
setTracingDisabled(true);
const add = tool({ name: 'add', description: 'Adds.', parameters: z.object({ a: z.number(), b: z.number() }), execute: async ({ a, b }) => String(a + b) });
const agent = new Agent({ name: 'adder', instructions: 'conformance', model: 'scripted', tools: [add] });
const runner = new Runner({ modelProvider: new OpenAIProvider({ baseURL: `${http}/v1`, apiKey: 'none' }) });
const stream = situation !== 'plain';
const result = await runner.run(agent, `situation ${situation}`, { stream });
if (stream) await result.completed;
console.log(JSON.stringify({ text: result.finalOutput }));
