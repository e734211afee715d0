/**
 * By groups: a convolution in groups becomes one convolution for each of them, or, in many groups of few channels, such as
 * each channel by itself, a sum over the places of its window, which is fused with what follows. Its derivatives were taken
 * as those of a convolution.
 */
import { convolveInParts, placesOf } from "../operations/window_products.ts";
import { isEquation, type Program } from "../program/types.ts";
import { type Note, rewrite, rewriteBodies } from "./rewrite.ts";

/** Replaces convolutions in groups, in the Program and in the bodies of its scans. */
export function byGroups(program: Program, note: Note): Program {
  if (!hasGroups(program)) return program;
  note("took the groups of convolutions apart");
  return apart(rewriteBodies(program, apart));
}

function hasGroups({ equations }: Program): boolean {
  return equations.some((equation) =>
    isEquation(equation, "scan")
      ? hasGroups(equation.attributes.body)
      : isEquation(equation, "convolve") && equation.attributes.groups > 1
  );
}

function apart(program: Program): Program {
  return rewrite(program, (equation, [x, kernel], emitAgain) => {
    if (!isEquation(equation, "convolve")) return emitAgain();
    const { attributes } = equation;
    const parts = convolveInParts(x, kernel, placesOf(attributes), attributes.groups);
    return parts ? [parts] : emitAgain();
  });
}
