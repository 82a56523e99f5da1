// The official Node client of Google's Gemini API.

import {
  BOTH_QUESTION, BOTH_RESULTS, CITIES, DEGREES, EARLIER, FORECAST_VALUE, INSTRUCTION, ONE_RESULT, PNG_BASE64,
  QUESTION, SEEN, TOOL_QUESTION, TRANSCRIPT, closed, equal, holds, load, raises, run,
} from "./matrix.mjs";

const { FunctionCallingConfigMode, GoogleGenAI } = load("@google/genai");

const WEATHER = closed({ city: { type: "string" } });
const FORECAST = closed({ city: { type: "string" }, days: { type: "integer" } });
const TOOL = { functionDeclarations: [{ name: "weather", description: "Weather", parametersJsonSchema: WEATHER }] };

const user = (text) => ({ role: "user", parts: [{ text }] });
const cities = (count) => CITIES.slice(0, count).map((city) => ({ city }));
const results = (calls) => ({
  role: "user",
  parts: calls.map(({ name }, at) => ({ functionResponse: { name, response: { result: DEGREES[at] } } })),
});

function gemini(baseUrl, apiKey, models) {
  const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl } });
  const create = (contents, config = {}, model = models.chat) =>
    client.models.generateContent({ model, contents, config });
  const tools = async (question = TOOL_QUESTION, count = 1, expected = ONE_RESULT) => {
    const said = [user(question)];
    const answer = await create(said, { tools: [TOOL] });
    equal(answer.functionCalls.map((call) => call.args), cities(count));
    said.push(answer.candidates[0].content, results(answer.functionCalls));
    equal((await create(said, { tools: [TOOL] })).text, expected);
  };
  const thinking = { maxOutputTokens: 4000, thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } };
  return {
    plain: async () => {
      const answer = await create(QUESTION);
      holds(answer.text, "refunds");
      equal(answer.candidates[0].finishReason, "STOP");
      if (!(answer.usageMetadata.candidatesTokenCount > 0)) throw new Error("no usage");
    },
    stream: async () => {
      const expected = (await create(QUESTION)).text;
      let text = "";
      const stream = await client.models.generateContentStream({ model: models.chat, contents: QUESTION });
      for await (const chunk of stream) text += chunk.text ?? "";
      equal(text, expected);
    },
    turns: async () => {
      const contents = EARLIER.map(({ role, content }) =>
        ({ role: role === "user" ? role : "model", parts: [{ text: content }] }));
      equal((await create(contents, { systemInstruction: INSTRUCTION })).text, TRANSCRIPT);
    },
    tools: () => tools(),
    parallel_tools: () => tools(BOTH_QUESTION, 2, BOTH_RESULTS),
    tools_stream: async () => {
      const config = { tools: [TOOL] };
      const calls = [];
      const stream = await client.models.generateContentStream({ model: models.chat, contents: BOTH_QUESTION, config });
      for await (const chunk of stream) calls.push(...(chunk.functionCalls ?? []));
      equal(calls.map((call) => call.args), cities(2));
    },
    tool_choice: async () => {
      const functionCallingConfig = { mode: FunctionCallingConfigMode.ANY, allowedFunctionNames: ["weather"] };
      const answer = await create(QUESTION, { tools: [TOOL], toolConfig: { functionCallingConfig } });
      equal(answer.functionCalls.map((call) => call.name), ["weather"]);
    },
    image: async () => {
      const parts = [{ inlineData: { mimeType: "image/png", data: PNG_BASE64 } }, { text: "What is this?" }];
      equal((await create([{ role: "user", parts }])).text, SEEN);
    },
    json_schema: async () => {
      const config = { responseMimeType: "application/json", responseJsonSchema: FORECAST };
      equal(JSON.parse((await create("The forecast?", config)).text), FORECAST_VALUE);
    },
    length: async () => {
      equal((await create(QUESTION, { maxOutputTokens: 8 })).candidates[0].finishReason, "MAX_TOKENS");
    },
    reasoning_tools: async () => {
      const config = { tools: [TOOL], ...thinking };
      const chat = client.chats.create({ model: models.thinker, config });
      const calls = [];
      for await (const chunk of await chat.sendMessageStream({ message: TOOL_QUESTION })) {
        calls.push(...(chunk.functionCalls ?? []));
      }
      equal((await chat.sendMessage({ message: results(calls).parts })).text, ONE_RESULT);
    },
    count_tokens: async () => {
      const { totalTokens } = await client.models.countTokens({ model: models.chat, contents: QUESTION });
      if (!(totalTokens > 0 && totalTokens < 100)) throw new Error(`${totalTokens} tokens`);
    },
    model_list: async () => {
      const names = [];
      for await (const model of await client.models.list({ config: { pageSize: 5 } })) names.push(model.name);
      if (!names.includes(`models/${models.chat}`)) throw new Error(names.join());
    },
    unknown_model: async () => holds((await raises(() => create(QUESTION, {}, "no-such-model"), 404)).message, "NOT_FOUND"),
    bad_request: () => raises(() => create(QUESTION, {}, models.broken), 400),
    rate_limit: () => raises(() => create(QUESTION, {}, models.busy), 429),
  };
}

function embeddings(baseUrl, apiKey, models) {
  const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl } });
  return {
    many: async () => {
      const contents = ["a ledger", "a spool"];
      const { embeddings } = await client.models.embedContent({ model: models.embeddings, contents });
      equal(embeddings.length, 2);
      if (embeddings[0].values.length < 256) throw new Error(`only ${embeddings[0].values.length} numbers`);
    },
  };
}

await run({ gemini, "gemini-embeddings": embeddings });
