/** An explanation as what is drawn of it: small plain data, which a worker can send. */
import type { Explanation, Program } from "@cellfold/cellfold";
import type { Picture, PicturedKernel, PicturedPass } from "./messages.ts";

/** The picture of a training step. */
export function pictureOf(explanation: Explanation): Picture {
  const { device, beforeDerivatives, traced, passes, kernels, measuredCalls } = explanation;
  return {
    device: device?.name ?? "",
    before: beforeDerivatives,
    passes: [
      { name: "traced", notes: [], ...equationsOf(traced) },
      ...passes.filter(({ changed, notes }) => changed || notes.length > 0).map((
        { name, notes, program },
      ) => ({
        name,
        notes,
        ...equationsOf(program),
      })),
    ],
    kernels: kernels.map((kernel) => pictured(kernel, measuredCalls)),
    measured: measuredCalls,
  };
}

function pictured(kernel: Explanation["kernels"][number], calls: number | undefined): PicturedKernel {
  const { kind, text, runs, work, milliseconds, body } = kernel;
  return {
    kind,
    text,
    runs,
    work,
    ...(milliseconds !== undefined && calls && { microseconds: 1000 * milliseconds / calls }),
    body: body.map((each) => pictured(each, calls)),
  };
}

/** The equations of a Program outside and inside its loops, which hold Programs. */
function equationsOf({ equations }: Program): Pick<PicturedPass, "once" | "inLoops"> {
  const bodies = equations.flatMap(({ attributes }) => bodyOf(attributes));
  const inside = bodies.map(equationsOf);
  const inLoops = inside.reduce((sum, { once, inLoops }) => sum + once + inLoops, 0);
  return { once: equations.length, inLoops };
}

/** The Program inside an equation, if it is a loop. */
function bodyOf(attributes: object): Program[] {
  return "body" in attributes ? [attributes.body as Program] : []; // only a scan has one
}
