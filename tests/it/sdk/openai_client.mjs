// The official Node client of OpenAI, on every ingress that it has.

import {
  BOTH_QUESTION, BOTH_RESULTS, CITIES, DEGREES, EARLIER, FORECAST_VALUE, INSTRUCTION, ONE_RESULT, PNG_BASE64,
  QUESTION, SEEN, TOOL_QUESTION, TRANSCRIPT, closed, equal, holds, load, raises, run,
} from "./matrix.mjs";

const { AzureOpenAI, OpenAI } = load("openai");

const WEATHER = closed({ city: { type: "string" } });
const FORECAST = closed({ city: { type: "string" }, days: { type: "integer" } });
const TOOL = { type: "function", function: { name: "weather", description: "Weather", parameters: WEATHER } };
const FLAT_TOOL = { type: "function", name: "weather", description: "Weather", parameters: WEATHER, strict: true };
const IMAGE_URL = `data:image/png;base64,${PNG_BASE64}`;

const user = (content) => [{ role: "user", content }];
const cities = (count) => CITIES.slice(0, count).map((city) => ({ city }));

const errors = (create, models) => ({
  unknown_model: async () => equal((await raises(() => create("no-such-model"), 404)).code, "model_not_found"),
  bad_request: () => raises(() => create(models.broken), 400),
  rate_limit: () => raises(() => create(models.busy), 429),
});

function chat(gateway, apiKey, models) {
  return chatCases(new OpenAI({ baseURL: `${gateway}/v1`, apiKey, maxRetries: 0 }), models);
}

function azure(gateway, apiKey, models) {
  const client = new AzureOpenAI({ endpoint: gateway, apiKey, apiVersion: "2024-10-21", maxRetries: 0 });
  const { plain, stream, tools, unknown_model, bad_request, rate_limit } = chatCases(client, models);
  const embeddings = embeddingCases(client, models).many;
  return { plain, stream, tools, unknown_model, bad_request, rate_limit, embeddings };
}

function chatCases(client, models) {
  const create = (body) => client.chat.completions.create({ model: models.chat, ...body });
  const first = async (body) => (await create(body)).choices[0];
  const tools = async (question = TOOL_QUESTION, count = 1, expected = ONE_RESULT) => {
    const messages = user(question);
    const { message, finish_reason } = await first({ messages, tools: [TOOL] });
    equal(finish_reason, "tool_calls");
    equal(message.tool_calls.map((call) => JSON.parse(call.function.arguments)), cities(count));
    messages.push({ role: "assistant", content: message.content, tool_calls: message.tool_calls });
    message.tool_calls.forEach((call, at) =>
      messages.push({ role: "tool", tool_call_id: call.id, content: DEGREES[at] }));
    equal((await first({ messages, tools: [TOOL] })).message.content, expected);
  };
  return {
    plain: async () => {
      const answer = await create({ messages: user(QUESTION) });
      holds(answer.choices[0].message.content, "refunds");
      equal(answer.choices[0].finish_reason, "stop");
      equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
    },
    stream: async () => {
      const expected = (await first({ messages: user(QUESTION) })).message.content;
      const stream = client.chat.completions.stream({ model: models.chat, messages: user(QUESTION) });
      let text = "";
      for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
      equal(text, expected);
      equal((await stream.finalChatCompletion()).choices[0].message.content, expected);
    },
    turns: async () => {
      const messages = [{ role: "system", content: INSTRUCTION }, ...EARLIER];
      equal((await first({ messages })).message.content, TRANSCRIPT);
    },
    tools: () => tools(),
    parallel_tools: () => tools(BOTH_QUESTION, 2, BOTH_RESULTS),
    tools_stream: async () => {
      const stream = client.chat.completions.stream({ model: models.chat, messages: user(BOTH_QUESTION), tools: [TOOL] });
      const { message, finish_reason } = (await stream.finalChatCompletion()).choices[0];
      equal(finish_reason, "tool_calls");
      equal(message.tool_calls.map((call) => JSON.parse(call.function.arguments)), cities(2));
    },
    image: async () => {
      const content = [{ type: "text", text: "What is this?" }, { type: "image_url", image_url: { url: IMAGE_URL } }];
      equal((await first({ messages: user(content) })).message.content, SEEN);
    },
    json_schema: async () => {
      const response_format = { type: "json_schema", json_schema: { name: "forecast", schema: FORECAST, strict: true } };
      const answer = await first({ messages: user("The forecast?"), response_format });
      equal(JSON.parse(answer.message.content), FORECAST_VALUE);
    },
    length: async () => {
      equal((await first({ messages: user(QUESTION), max_completion_tokens: 16 })).finish_reason, "length");
    },
    ...errors((model) => create({ model, messages: user(QUESTION) }), models),
  };
}

function responses(gateway, apiKey, models) {
  const client = new OpenAI({ baseURL: `${gateway}/v1`, apiKey, maxRetries: 0 });
  const create = (body) => client.responses.create({ model: models.chat, ...body });
  const tools = async (question = TOOL_QUESTION, count = 1, expected = ONE_RESULT) => {
    const input = user(question);
    const answer = await create({ input, tools: [FLAT_TOOL] });
    const calls = answer.output.filter((item) => item.type === "function_call");
    equal(calls.map((call) => JSON.parse(call.arguments)), cities(count));
    input.push(...answer.output);
    calls.forEach(({ call_id }, at) => input.push({ type: "function_call_output", call_id, output: DEGREES[at] }));
    equal((await create({ input, tools: [FLAT_TOOL] })).output_text, expected);
  };
  return {
    plain: async () => holds((await create({ input: QUESTION })).output_text, "refunds"),
    stream: async () => {
      const expected = (await create({ input: QUESTION })).output_text;
      const stream = client.responses.stream({ model: models.chat, input: QUESTION });
      let text = "";
      for await (const event of stream) if (event.type === "response.output_text.delta") text += event.delta;
      equal(text, expected);
      const message = (await stream.finalResponse()).output.find((item) => item.type === "message");
      equal(message.content.map((part) => part.text).join(""), expected);
    },
    turns: async () => {
      equal((await create({ instructions: INSTRUCTION, input: EARLIER })).output_text, TRANSCRIPT);
    },
    tools: () => tools(),
    parallel_tools: () => tools(BOTH_QUESTION, 2, BOTH_RESULTS),
    tools_stream: async () => {
      const stream = client.responses.stream({ model: models.chat, input: BOTH_QUESTION, tools: [FLAT_TOOL] });
      const { output } = await stream.finalResponse();
      const calls = output.filter((item) => item.type === "function_call");
      equal(calls.map((call) => JSON.parse(call.arguments)), cities(2));
    },
    image: async () => {
      const content = [
        { type: "input_text", text: "What is this?" },
        { type: "input_image", image_url: IMAGE_URL, detail: "auto" },
      ];
      equal((await create({ input: user(content) })).output_text, SEEN);
    },
    json_schema: async () => {
      const format = { type: "json_schema", name: "forecast", schema: FORECAST, strict: true };
      equal(JSON.parse((await create({ input: "The forecast?", text: { format } })).output_text), FORECAST_VALUE);
    },
    previous: async () => {
      const earlier = await create({ input: "My name is Ada." });
      const answer = await create({ input: "Please repeat everything.", previous_response_id: earlier.id });
      holds(answer.output_text, "user: My name is Ada.");
    },
    kept: async () => {
      const answer = await create({ input: QUESTION });
      equal((await client.responses.retrieve(answer.id)).id, answer.id);
      await client.responses.delete(answer.id);
      await raises(() => client.responses.retrieve(answer.id), 404);
    },
    ...errors((model) => create({ model, input: QUESTION }), models),
  };
}

function completions(gateway, apiKey, models) {
  const client = new OpenAI({ baseURL: `${gateway}/v1`, apiKey, maxRetries: 0 });
  const create = (body) =>
    client.completions.create({ model: models.completions, prompt: QUESTION, max_tokens: 300, ...body });
  return {
    plain: async () => holds((await create({})).choices[0].text, "refunds"),
    stream: async () => {
      const expected = (await create({})).choices[0].text;
      let text = "";
      for await (const chunk of await create({ stream: true })) text += chunk.choices[0]?.text ?? "";
      equal(text, expected);
    },
  };
}

function embeddings(gateway, apiKey, models) {
  return embeddingCases(new OpenAI({ baseURL: `${gateway}/v1`, apiKey, maxRetries: 0 }), models);
}

function embeddingCases(client, models) {
  return {
    many: async () => {
      const { data } = await client.embeddings.create({ model: models.embeddings, input: ["a ledger", "a spool"] });
      equal(data.map((item) => item.index), [0, 1]);
      if (data[0].embedding.length < 256) throw new Error(`only ${data[0].embedding.length} numbers`);
    },
  };
}

await run({ chat, azure, responses, completions, embeddings });
