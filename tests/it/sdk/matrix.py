"""Runs the cases of one client against every backend of a plan and prints one line for each.

The plan is JSON on the standard input: {"gateway": URL, "key": KEY, "backends": [{"name": NAME,
"models": {"chat": ALIAS, ...}, "skip": ["ingress/case", ...]}]}. A line is
`INGRESS BACKEND CASE ok`, or `INGRESS BACKEND CASE FAILED what happened`.
"""

import base64
import json
import sys

QUESTION = "How do refunds work?"
TOOL_QUESTION = "Please use the tool for the weather."
BOTH_QUESTION = "Please use the tool for both cities."
INSTRUCTION = "Be brief."
EARLIER = [("user", "My name is Ada."), ("assistant", "Hello Ada."), ("user", "Please repeat everything.")]
TRANSCRIPT = "system: Be brief.\nuser: My name is Ada.\nassistant: Hello Ada.\nuser: Please repeat everything."
# Long enough for every provider's prompt cache.
LONG = "Every answer is about the shop and its customers. " * 120
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FORECAST = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
FORECAST_VALUE = {"city": "Lisbon", "days": 7}
CITIES = ["Lisbon", "Oslo"]
DEGREES = ["21 degrees", "9 degrees"]
ONE_RESULT = "The tool says: 21 degrees."
BOTH_RESULTS = "The tool says: 21 degrees; 9 degrees."
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PNG_BASE64 = base64.b64encode(PNG).decode()
SEEN = f"I got 1: an image of {len(PNG)} bytes."


def equal(got, expected):
    """Fails with both values in its message."""
    if got != expected:
        raise AssertionError(f"expected {expected!r}, got {got!r}")


def raises(kind, call, code=None):
    """Calls, and gives the error of this kind that it must end with."""
    try:
        call()
    except kind as error:
        if code is not None:
            equal(getattr(error, "code", None), code)
        return error
    raise AssertionError(f"expected {kind.__name__}, got an answer")


def run(suites):
    """Runs suites: INGRESS -> function of (gateway, key, models) that gives CASE -> function."""
    plan = json.load(sys.stdin)
    for backend in plan["backends"]:
        for ingress, suite in suites.items():
            for name, case in suite(plan["gateway"], plan["key"], backend["models"]).items():
                if f"{ingress}/{name}" in backend["skip"] or f"{ingress}/*" in backend["skip"]:
                    continue
                try:
                    case()
                    verdict = "ok"
                except Exception as error:  # noqa: BLE001: every surprise is a failed case
                    said = " ".join(f"{type(error).__name__}: {error}".split())
                    verdict = f"FAILED {said[:600]}"
                print(ingress, backend["name"], name, verdict, flush=True)
