// Lets Vercel's AI SDK run a tool loop through one of its providers, and prints what came as one line of JSON.
import { generateText, stepCountIs, streamText, tool } from 'ai';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { z } from 'zod';

globalThis.AI_SDK_LOG_WARNINGS = false; // it prints them where the answer goes
const [http, situation, provider] = process.argv.slice(2);
const baseURL = `${http}/v1`;
const model = {
  anthropic: () => createAnthropic({ baseURL, apiKey: 'none' })('scripted'),
  openai: () => createOpenAI({ baseURL, apiKey: 'none' })('scripted'),
  'openai-compatible': () => createOpenAICompatible({ baseURL, name: 'skein' })('scripted'),
}[provider]();
const tools = {
  add: tool({ description: 'Adds.', inputSchema: z.object({ a: z.number(), b: z.number() }), execute: async ({ a, b }) => String(a + b) }),
};
const question = { model, maxRetries: 0, prompt: `conformance situation ${situation}` };
const show = (value) => console.log(JSON.stringify(value));

switch (situation) {
  case 'plain': {
    const { text, finishReason } = await generateText(question);
    show({ text, finishReason });
    break;
  }
  case 'stream':
  case 'failover': {
    const result = streamText(question);
    let text = '';
    for await (const piece of result.textStream) text += piece;
    show({ text, finishReason: await result.finishReason });
    break;
  }
  case 'tools': {
    const result = streamText({ ...question, tools, stopWhen: stepCountIs(3) });
    await result.consumeStream();
    show({ text: await result.text, steps: (await result.steps).length });
    break;
  }
}
