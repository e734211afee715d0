/** Vector constants of four lanes, which may be hoisted out of a loop. */
import { type FunctionBuilder, type Local, v128 } from "../assembler.ts";

/** The constants held in locals of a function while `withConstants` writes it, by the bits of their lanes. */
const held = new WeakMap<FunctionBuilder, Map<string, Local>>();

/**
 * Keeps every constant that `write` asks for in a local that is set once, before the code of `write`. Put it
 * around a loop: V8 rebuilds an inline vector constant at each use, which takes longer than the arithmetic on
 * it.
 */
export function withConstants(f: FunctionBuilder, write: () => void): void {
  if (held.has(f)) return write();
  const constants = new Map<string, Local>();
  const begin = f.code.length;
  held.set(f, constants);
  try {
    write();
  } finally {
    held.delete(f);
  }
  const end = f.code.length;
  for (const [lanes, local] of constants) pushLanes(f, lanes.split(",").map(Number)).set(local);
  const initial = f.code.splice(end);
  // Branches count blocks, not bytes, so code may be inserted before them.
  f.code.splice(begin, 0, ...initial);
}

function pushLanes(f: FunctionBuilder, lanes: readonly number[]): FunctionBuilder {
  const [a, b, c, d] = lanes;
  return f.i32x4(a, b, c, d);
}

function lanesConstant(f: FunctionBuilder, lanes: Int32Array): FunctionBuilder {
  const constants = held.get(f);
  if (!constants) return pushLanes(f, [...lanes]);
  const key = lanes.join();
  let local = constants.get(key);
  if (local === undefined) constants.set(key, local = f.local(v128));
  return f.get(local);
}

/** Pushes four equal f32, from a local within `withConstants`. */
export function constant(f: FunctionBuilder, value: number): FunctionBuilder {
  return lanesConstant(f, new Int32Array(Float32Array.of(value, value, value, value).buffer));
}

/** Pushes four equal i32, from a local within `withConstants`. */
export function bits(f: FunctionBuilder, value: number): FunctionBuilder {
  return lanesConstant(f, Int32Array.of(value, value, value, value));
}

/** Pushes two equal f64, from a local within `withConstants`. */
export function double(f: FunctionBuilder, value: number): FunctionBuilder {
  return lanesConstant(f, new Int32Array(Float64Array.of(value, value).buffer));
}
