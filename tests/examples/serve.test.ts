import { assert, assertEquals, assertMatch } from "@std/assert";
import { gru, init, key, sequential, spec, streaming, tensor } from "@cellfold/cellfold";
import { createServer } from "../../examples/serve/server.ts";

const model = sequential([gru({ units: 1, returnSequences: true })]);
const variables = init(model, key(0), spec([1, null, 1]));

/** What a server of two sessions answers. */
function client() {
  const server = createServer(model, variables, { capacity: 2 });
  const ask = async (method: string, path: string, body?: string) => {
    const request = new Request(`http://localhost${path}`, { method, body });
    const response = await server.handle(request);
    const text = await response.text();
    return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
  };
  return { server, ask, open: async () => (await ask("POST", "/sessions")).body.id as string };
}

Deno.test("the server of sessions keeps the states of its sessions apart", async () => {
  const { server, ask, open } = client();
  using _ = server;
  const [first, second] = [await open(), await open()];
  const sent = { [first]: [0.5, -1, 2], [second]: [3, 0, 1] };
  const got: Record<string, number[]> = { [first]: [], [second]: [] };
  for (let step = 0; step < 3; step++) {
    await Promise.all([first, second].map(async (id) => {
      const { status, body } = await ask("POST", `/sessions/${id}`, `${sent[id][step]}`);
      assertEquals(status, 200);
      got[id].push(body);
    }));
  }
  assertEquals(server.made, { steps: 3, requests: 6 }, "two requests share a step");
  for (const id of [first, second]) {
    using alone = streaming(model, variables);
    for (let step = 0; step < 3; step++) {
      const { data } = await alone.step(tensor([[sent[id][step]]]));
      assertEquals(got[id][step], data[0]);
    }
  }
});

Deno.test("the server of sessions makes one step of a session after the other", async () => {
  const { server, ask, open } = client();
  using _ = server;
  const id = await open();
  const answers = await Promise.all([1, 2, 3].map((value) => ask("POST", `/sessions/${id}`, `${value}`)));
  using alone = streaming(model, variables);
  for (const [index, { body }] of answers.entries()) {
    assertEquals(body, (await alone.step(tensor([[index + 1]]))).data[0]);
  }
  assertEquals(server.made, { steps: 3, requests: 3 });
});

Deno.test("the server of sessions gives a slot to the next one, whose state is fresh", async () => {
  const { server, ask, open } = client();
  using _ = server;
  const [first] = [await open(), await open()];
  assertEquals((await ask("POST", "/sessions")).status, 503);
  const before = await ask("POST", `/sessions/${first}`, "1");
  await ask("POST", `/sessions/${first}`, "1");
  assertEquals((await ask("DELETE", `/sessions/${first}`)).status, 204);
  assertEquals((await ask("POST", `/sessions/${first}`, "1")).status, 404);
  const next = await open();
  assertEquals(await ask("POST", `/sessions/${next}`, "1"), before);
});

Deno.test("the server of sessions refuses what it cannot read", async () => {
  const { server, ask, open } = client();
  using _ = server;
  const id = await open();
  for (
    const [status, method, path, body] of [
      [404, "POST", "/"],
      [405, "GET", "/sessions"],
      [404, "POST", "/sessions/nobody", "1"],
      [405, "GET", `/sessions/${id}`],
      [400, "POST", `/sessions/${id}`, "{"],
      [400, "POST", `/sessions/${id}`, '"1"'],
    ] as const
  ) {
    const answer = await ask(method, path, body);
    assertEquals(answer.status, status, `${method} ${path} ${body}`);
    assertMatch(answer.body.error, /./);
  }
  assert(server.made.requests === 0);
  assertEquals((await ask("POST", `/sessions/${id}`, "1")).status, 200, "it still serves");
});
