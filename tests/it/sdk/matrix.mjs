// Runs the cases of one client against every backend of a plan; see matrix.py, whose twin this is.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { isDeepStrictEqual } from "node:util";

/** Loads a package from where the set-up installed it. */
export const load = createRequire(`${process.env.SDK_HOME}/package.json`);

export const QUESTION = "How do refunds work?";
export const TOOL_QUESTION = "Please use the tool for the weather.";
export const BOTH_QUESTION = "Please use the tool for both cities.";
export const INSTRUCTION = "Be brief.";
export const EARLIER = [
  { role: "user", content: "My name is Ada." },
  { role: "assistant", content: "Hello Ada." },
  { role: "user", content: "Please repeat everything." },
];
export const TRANSCRIPT =
  "system: Be brief.\nuser: My name is Ada.\nassistant: Hello Ada.\nuser: Please repeat everything.";
export const CITIES = ["Lisbon", "Oslo"];
export const DEGREES = ["21 degrees", "9 degrees"];
export const ONE_RESULT = "The tool says: 21 degrees.";
export const BOTH_RESULTS = "The tool says: 21 degrees; 9 degrees.";
export const FORECAST_VALUE = { city: "Lisbon", days: 7 };
export const PNG_BASE64 =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
export const PNG = Buffer.from(PNG_BASE64, "base64");
export const SEEN = `I got 1: an image of ${PNG.length} bytes.`;

/** A JSON schema of an object that has all of these properties and no others. */
export const closed = (properties) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});

export function equal(got, expected) {
  if (!isDeepStrictEqual(got, expected)) {
    throw new Error(`expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`);
  }
}

export function holds(text, part) {
  if (!String(text).includes(part)) throw new Error(`no ${JSON.stringify(part)} in ${JSON.stringify(text)}`);
}

/** Calls, and gives the error that it must end with. */
export async function raises(call, status) {
  let answer;
  try {
    answer = await call();
  } catch (error) {
    equal(error.status ?? error.statusCode, status);
    return error;
  }
  throw new Error(`expected status ${status}, got ${JSON.stringify(answer)?.slice(0, 200)}`);
}

/** Runs suites: INGRESS -> function of (gateway, key, models, backend) that gives CASE -> function. */
export async function run(suites) {
  const plan = JSON.parse(readFileSync(0, "utf8"));
  for (const entry of plan.backends) {
    const { name: backend, models, skip } = entry;
    for (const [ingress, suite] of Object.entries(suites)) {
      for (const [name, test] of Object.entries(suite(plan.gateway, plan.key, models, entry))) {
        if (skip.includes(`${ingress}/${name}`) || skip.includes(`${ingress}/*`)) continue;
        let verdict = "ok";
        try {
          await test();
        } catch (error) {
          const said = `${error.name}: ${error.message} ${error.responseBody ?? ""}`;
          verdict = `FAILED ${said.replace(/\s+/g, " ").slice(0, 600)}`;
        }
        console.log(ingress, backend, name, verdict);
      }
    }
  }
}
