// Vercel's `ai` with its providers for OpenAI and Anthropic.

import {
  BOTH_QUESTION, BOTH_RESULTS, CITIES, DEGREES, EARLIER, FORECAST_VALUE, INSTRUCTION, ONE_RESULT, PNG, QUESTION,
  SEEN, TOOL_QUESTION, TRANSCRIPT, equal, holds, load, raises, run,
} from "./matrix.mjs";

const { embedMany, generateObject, generateText, stepCountIs, streamText, tool } = load("ai");
const { createAnthropic } = load("@ai-sdk/anthropic");
const { createOpenAI } = load("@ai-sdk/openai");
const { z } = load("zod");

globalThis.AI_SDK_LOG_WARNINGS = false;

const weather = (asked) =>
  tool({
    description: "Weather of a city",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => {
      asked.push(city);
      return DEGREES[CITIES.indexOf(city)];
    },
  });

async function streamed(options) {
  let failure;
  const result = streamText({ ...options, maxRetries: 0, onError: ({ error }) => { failure = error; } });
  let text = "";
  for await (const piece of result.textStream) text += piece;
  if (failure) throw failure;
  return { text, steps: await result.steps, usage: await result.usage };
}

/** `jsonModel` makes objects: some clients do it by a single tool call, which not every backend can promise. */
function cases(provider, models, { providerOptions, jsonModel = provider(models.chat) } = {}) {
  const model = provider(models.chat);
  const ask = (options) => generateText({ model, maxRetries: 0, providerOptions, ...options });
  const tools = async (question, expected, count) => {
    const asked = [];
    const { text } = await ask({ prompt: question, tools: { weather: weather(asked) }, stopWhen: stepCountIs(3) });
    equal(asked, CITIES.slice(0, count));
    equal(text, expected);
  };
  return {
    plain: async () => {
      const { text, usage } = await ask({ prompt: QUESTION });
      holds(text, "refunds");
      if (!(usage.inputTokens > 0 && usage.outputTokens > 0)) throw new Error(`usage ${JSON.stringify(usage)}`);
    },
    stream: async () => {
      const { text } = await ask({ prompt: QUESTION });
      equal((await streamed({ model, prompt: QUESTION })).text, text);
    },
    turns: async () => equal((await ask({ system: INSTRUCTION, messages: EARLIER })).text, TRANSCRIPT),
    tools: () => tools(TOOL_QUESTION, ONE_RESULT, 1),
    parallel_tools: () => tools(BOTH_QUESTION, BOTH_RESULTS, 2),
    tools_stream: async () => {
      const asked = [];
      const tools = { weather: weather(asked) };
      const options = { model, prompt: BOTH_QUESTION, tools, stopWhen: stepCountIs(3), providerOptions };
      const { steps } = await streamed(options);
      equal(asked, CITIES);
      equal(steps.at(-1).text, BOTH_RESULTS);
    },
    image: async () => {
      const content = [{ type: "text", text: "What is this?" }, { type: "image", image: PNG, mediaType: "image/png" }];
      equal((await ask({ messages: [{ role: "user", content }] })).text, SEEN);
    },
    json_schema: async () => {
      const schema = z.object({ city: z.string(), days: z.number().int().min(7) });
      const options = { model: jsonModel, schema, prompt: "The forecast?", maxRetries: 0, providerOptions };
      const { object } = await generateObject(options);
      equal(object, FORECAST_VALUE);
    },
    unknown_model: () => raises(() => ask({ model: provider("no-such-model"), prompt: QUESTION }), 404),
    bad_request: () => raises(() => ask({ model: provider(models.broken), prompt: QUESTION }), 400),
    rate_limit: () => raises(() => ask({ model: provider(models.busy), prompt: QUESTION }), 429),
  };
}

const openai = (gateway, apiKey) => createOpenAI({ baseURL: `${gateway}/v1`, apiKey });

function completions(gateway, apiKey, models) {
  const model = openai(gateway, apiKey).completion(models.completions);
  return {
    plain: async () => {
      const { text, usage } = await generateText({ model, prompt: QUESTION, maxOutputTokens: 300, maxRetries: 0 });
      // It writes the prompt as a conversation, so the topic of the answer is another.
      if (!text || !(usage.outputTokens > 0)) throw new Error(`no answer: ${JSON.stringify({ text, usage })}`);
    },
  };
}

function embeddings(gateway, apiKey, models) {
  return {
    many: async () => {
      const model = openai(gateway, apiKey).embedding(models.embeddings);
      const { embeddings } = await embedMany({ model, values: ["a ledger", "a spool"], maxRetries: 0 });
      equal(embeddings.length, 2);
    },
  };
}

await run({
  chat: (gateway, apiKey, models) => cases((alias) => openai(gateway, apiKey).chat(alias), models),
  responses: (gateway, apiKey, models, { keeps_responses }) => {
    // Where nothing is kept, the client must send what was said before and not refer to it.
    const providerOptions = { openai: { store: keeps_responses } };
    return cases((alias) => openai(gateway, apiKey).responses(alias), models, { providerOptions });
  },
  messages: (gateway, apiKey, models) => {
    const provider = createAnthropic({ baseURL: `${gateway}/v1`, apiKey });
    return cases(provider, models, { jsonModel: provider(models.lenient) });
  },
  completions,
  embeddings,
});
