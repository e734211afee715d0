/**
 * A server with a session for each visitor, which are stepped together: the requests that wait are one batch.
 *
 *     deno run --allow-net=127.0.0.1 examples/serve/server.ts
 *
 * Trains its model for some seconds, prints its address, and serves until it is stopped. `POST /sessions` gives
 * `{ id }`, `POST /sessions/ID` with a number gives the next expected one, `DELETE /sessions/ID` ends a session. See
 * client.ts for a client, and main.ts for both in one program.
 */
import * as cf from "@cellfold/cellfold";
import { input, trainPumpModel } from "./model.ts";

type Session = ReturnType<ReturnType<typeof cf.streams>["join"]>;

/** A step that somebody waits for. */
interface Waiting {
  readonly session: Session;
  readonly value: number;
  readonly answer: PromiseWithResolvers<number>;
}

/** Sessions behind HTTP. */
export interface Server extends Disposable {
  /** What `Deno.serve` is given. */
  handle(request: Request): Promise<Response>;
  /** How many steps were made, for how many requests. */
  readonly made: { readonly steps: number; readonly requests: number };
}

/** Serves at most `capacity` sessions at a time. */
export function createServer(
  model: cf.Layer<cf.Tensor>,
  variables: cf.Variables,
  { capacity }: { readonly capacity: number },
): Server {
  const together = cf.streams(model, variables, { capacity, input });
  const sessions = new Map<string, Session>();
  const made = { steps: 0, requests: 0 };
  let waiting: Waiting[] = [];
  let isStepping = false;

  /** Steps all sessions with somebody waiting, again and again until nobody does; each takes part once in a step. */
  const stepAll = async () => {
    isStepping = true;
    while (waiting.length > 0) {
      await new Promise((resolve) => setTimeout(resolve, 0)); // requests that have arrived get in line
      const taken = new Map<Session, Waiting>();
      for (const one of waiting) if (!taken.has(one.session)) taken.set(one.session, one);
      const members = [...taken.values()];
      waiting = waiting.filter((one) => taken.get(one.session) !== one);
      const values = new Float32Array(capacity);
      for (const { session, value } of members) values[session.slot] = value;
      made.steps++;
      made.requests += members.length;
      try {
        const rows = cf.hostTensor(values, [capacity, 1]);
        const { data } = await together.step(rows, { sessions: taken.keys() });
        for (const { session, answer } of members) answer.resolve(data[session.slot]);
      } catch (error) {
        for (const { answer } of members) answer.reject(error);
      }
    }
    isStepping = false;
  };
  const step = (session: Session, value: number): Promise<number> => {
    const answer = Promise.withResolvers<number>();
    waiting.push({ session, value, answer });
    if (!isStepping) stepAll();
    return answer.promise;
  };
  const refuse = (status: number, error: string) => Response.json({ error }, { status });

  return {
    made,
    async handle(request) {
      const [, resource, id] = new URL(request.url).pathname.split("/");
      if (resource !== "sessions") return refuse(404, "expected /sessions or /sessions/ID");
      if (id === undefined) {
        if (request.method !== "POST") return refuse(405, "expected POST");
        if (sessions.size === capacity) {
          return refuse(503, `all ${capacity} sessions are taken; try again later`);
        }
        const id = crypto.randomUUID();
        sessions.set(id, together.join());
        return Response.json({ id }, { status: 201 });
      }
      const session = sessions.get(id);
      if (!session) return refuse(404, "there is no such session");
      if (request.method === "DELETE") {
        sessions.delete(id);
        waiting.filter((one) => one.session === session).forEach(({ answer }) =>
          answer.reject(new Error("session ended"))
        );
        waiting = waiting.filter((one) => one.session !== session);
        session.leave();
        return new Response(null, { status: 204 });
      }
      if (request.method !== "POST") return refuse(405, "expected POST or DELETE");
      const value: unknown = await request.json().catch(() => undefined);
      if (typeof value !== "number") return refuse(400, "expected a number as JSON");
      return Response.json(await step(session, value));
    },
    [Symbol.dispose]: () => together[Symbol.dispose](),
  };
}

if (import.meta.main) {
  const { model, variables } = await trainPumpModel();
  const server = createServer(model, variables, { capacity: 256 });
  Deno.serve({ hostname: "127.0.0.1", port: 8000 }, server.handle);
}
