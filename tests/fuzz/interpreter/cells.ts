/** One step of every cell for one sample, equation by equation. */
import type { CellDescription, Options } from "../description.ts";
import { ownCells } from "../own_cells.ts";
import { activate } from "./activations.ts";
import { convolve, placed, type Window } from "./convolution.ts";
import { logitsBehind } from "./logits.ts";
import {
  fill,
  mapArrays,
  mapNested,
  mapVectors,
  matrix,
  type Nested,
  type NestedTree,
  parts,
  plus,
  rounded,
  shapeOf,
  times,
  vector,
  zerosLike,
} from "./nested.ts";
import type { CellSteps, Logits, Params } from "./types.ts";

type Named = { readonly [name: string]: Nested };

const named = (params: Params) => params as Named; // a cell's own parameters are an object of arrays
const one = (x: NestedTree) => x as Nested; // cells with units take and keep single arrays
const two = (x: NestedTree) => Object.values(x) as [Nested, Nested]; // the state [h, c]

const zeros = (size: number) => new Array<number>(size).fill(0);

/** Elementwise over vectors. */
const each = (fn: (...values: number[]) => number, ...vs: readonly (readonly number[])[]) =>
  mapNested(fn, ...vs) as readonly number[]; // vectors give a vector

const product = (...vs: readonly (readonly number[])[]) => each((...xs) => xs.reduce((a, b) => a * b), ...vs);

function limited(bound: unknown, v: readonly number[]): readonly number[] {
  return typeof bound === "number" ? v.map((x) => Math.min(bound, Math.max(-bound, x))) : v;
}

const act = (name: unknown, v: readonly number[]) => vector(activate(name, v));

function simpleRnnCell({ units, activation = "tanh", clip }: Options): CellSteps {
  return {
    initial: () => zeros(Number(units)),
    step(params, state, input) {
      const { kernel, recurrentKernel, bias } = named(params);
      const z = plus(
        times(vector(one(input)), matrix(kernel)),
        times(vector(one(state)), matrix(recurrentKernel)),
        ...(bias === undefined ? [] : [vector(bias)]),
      );
      const x = limited(clip, z);
      const h = act(activation, x);
      return [h, h, logitsBehind(activation, x)];
    },
  };
}

/** Cho et al., 2014, and the variant of cuDNN whose reset gate acts on the recurrent product. */
function gruCell(options: Options): CellSteps {
  const { units, activation = "tanh", recurrentActivation = "sigmoid", resetAfter = true, clip } = options;
  const gate = (...terms: (readonly number[])[]) => act(recurrentActivation, limited(clip, plus(...terms)));
  return {
    initial: () => zeros(Number(units)),
    step(params, state, input) {
      const { kernel, recurrentKernel, bias } = named(params);
      const n = Number(units);
      const h = vector(one(state));
      const none = zeros(3 * n);
      const inputBias = bias === undefined ? none : vector(resetAfter ? matrix(bias)[0] : bias);
      const recurrentBias = bias === undefined || !resetAfter ? none : matrix(bias)[1];
      const [xz, xr, xh] = parts(plus(times(vector(one(input)), matrix(kernel)), inputBias), 3);
      const columns = (from: number) =>
        matrix(recurrentKernel).map((row) => row.slice(from * n, (from + 1) * n));
      const [bz, br, bh] = parts(recurrentBias, 3);
      const z = gate(xz, times(h, columns(0)), bz);
      const r = gate(xr, times(h, columns(1)), br);
      const recurrent = resetAfter
        ? product(r, plus(times(h, columns(2)), bh))
        : times(product(r, h), columns(2));
      const candidate = act(activation, limited(clip, plus(xh, recurrent)));
      // Rounded apart: the two may all but cancel, as a gate need not lie between 0 and 1.
      const next = plus(product(z, h), product(each((z) => 1 - z, z), candidate));
      return [next, next];
    },
  };
}

/** Hochreiter and Schmidhuber, 1997; Gers et al., 2000; with peepholes, projection and coupled gates. */
function lstmCell(options: Options): CellSteps {
  const { units, activation = "tanh", recurrentActivation = "sigmoid", inputForget = false, clip } = options;
  const { projection } = options;
  const n = Number(units);
  const outputs = typeof projection === "number" ? projection : n;
  return {
    initial: () => ({ 0: zeros(outputs), 1: zeros(n) }),
    step(params, state, input) {
      const { kernel, recurrentKernel, bias, peepholes, projectionKernel } = named(params);
      const [h, c] = two(state).map(vector);
      const z = plus(
        times(vector(one(input)), matrix(kernel)),
        times(h, matrix(recurrentKernel)),
        ...(bias === undefined ? [] : [vector(bias)]),
      );
      const [zi, zf, zc, zo] = inputForget ? (([i, c, o]) => [i, undefined, c, o])(parts(z, 3)) : parts(z, 4);
      const [pi, po, pf] = peepholes === undefined ? [] : parts(vector(peepholes), inputForget ? 2 : 3);
      const gate = (z: readonly number[], p: readonly number[] | undefined, c: readonly number[]) =>
        act(recurrentActivation, limited(clip, p ? plus(z, product(p, c)) : z));
      const i = gate(zi!, pi, c);
      const f = zf ? gate(zf, pf, c) : each((i) => 1 - i, i);
      const g = act(activation, limited(clip, zc!));
      const next = plus(product(f, c), product(i, g));
      const o = gate(zo!, po, next);
      const output = product(o, act(activation, next));
      const projected = projectionKernel === undefined ? output : times(output, matrix(projectionKernel));
      return [projected, { 0: projected, 1: next }];
    },
  };
}

/** The mean is taken off and the standard deviation divided out (Ba et al., 2016): those of what counts, if any does. */
export function normalized(
  v: readonly number[],
  epsilon: number,
  counted: readonly boolean[] = [],
): number[] {
  const some = counted.some(Boolean);
  const own = (xs: readonly number[]) => xs.filter((_, i) => !some || counted[i]);
  const total = (xs: readonly number[]) => own(xs).reduce((a, b) => rounded(a + b), 0);
  const count = own(v).length;
  const mean = rounded(total(v) / count);
  const centered = v.map((x) => rounded(x - mean));
  const variance = rounded(total(centered.map((x) => rounded(x * x))) / count);
  return centered.map((x) => rounded(x / rounded(Math.sqrt(variance + epsilon))));
}

function layerNormLstmCell(options: Options): CellSteps {
  const { units, activation = "tanh", recurrentActivation = "sigmoid", epsilon = 1e-3 } = options;
  const norm = (v: readonly number[], gamma: Nested, beta: Nested) =>
    plus(product(normalized(v, Number(epsilon)), vector(gamma)), vector(beta));
  return {
    initial: () => ({ 0: zeros(Number(units)), 1: zeros(Number(units)) }),
    step(params, state, input) {
      const p = named(params);
      const [h, c] = two(state).map(vector);
      const z = plus(
        norm(times(vector(one(input)), matrix(p.kernel)), p.inputGamma, p.inputBeta),
        norm(times(h, matrix(p.recurrentKernel)), p.recurrentGamma, p.recurrentBeta),
        ...(p.bias === undefined ? [] : [vector(p.bias)]),
      );
      const [zi, zf, zc, zo] = parts(z, 4);
      const next = plus(
        product(act(recurrentActivation, zf), c),
        product(act(recurrentActivation, zi), act(activation, zc)),
      );
      const output = product(
        act(recurrentActivation, zo),
        act(activation, norm(next, p.cellGamma, p.cellBeta)),
      );
      return [output, { 0: output, 1: next }];
    },
  };
}

/** Shi et al., 2015, without peepholes, as in Keras. */
function convLstmCell(options: Options, axes: number): CellSteps {
  const { filters, activation = "tanh", recurrentActivation = "sigmoid", padding = "valid" } = options;
  const perAxis = (value: unknown): number[] =>
    typeof value === "number" ? new Array<number>(axes).fill(value) : [...value as readonly number[]]; // as given
  const strides = perAxis(options.strides ?? 1);
  const dilation = perAxis(options.dilationRate ?? 1);
  const onInput: Window = { strides, dilation, padding: padding as Window["padding"] };
  const ones = new Array<number>(axes).fill(1);
  const onState: Window = { strides: ones, dilation: ones, padding: "same" };
  return {
    initial(_, input) {
      const space = shapeOf(one(input)).slice(0, axes);
      const out = placed(space, perAxis(options.kernelSize), onInput).map(({ size }) => size);
      const zero = fill([...out, Number(filters)], () => 0);
      return { 0: zero, 1: zero };
    },
    step(params, state, input) {
      const { kernel, recurrentKernel, bias } = named(params);
      const [h, c] = two(state);
      const b = bias === undefined ? zeros(4 * Number(filters)) : vector(bias);
      const z = mapNested(
        (a, b) => a + b,
        mapVectors(convolve(one(input), kernel, onInput), (v) => plus(v, b)),
        convolve(h, recurrentKernel, onState),
      );
      const [zi, zf, zc, zo] = [0, 1, 2, 3].map((index) => mapVectors(z, (v) => parts(v, 4)[index]));
      const times = (a: Nested, b: Nested) => mapNested((a, b) => a * b, a, b);
      const next = mapNested(
        (kept, added) => kept + added, // rounded apart: the two may all but cancel
        times(activate(recurrentActivation, zf), c),
        times(activate(recurrentActivation, zi), activate(activation, zc)),
      );
      const output = times(activate(recurrentActivation, zo), activate(activation, next));
      return [output, { 0: output, 1: next }];
    },
  };
}

/** A list as a tree has it. */
function numbered(trees: readonly NestedTree[]): NestedTree {
  return Object.fromEntries(trees.map((tree, index) => [index, tree]));
}

type Parts = { readonly [name: string]: NestedTree };

/** Each cell takes what the one below puts out. */
function stackedCells(cells: readonly CellDescription[]): CellSteps {
  const steps = cells.map(cellSteps);
  const walk = (params: Params, states: Parts | undefined, input: NestedTree) => {
    const initials: NestedTree[] = [];
    const next: NestedTree[] = [];
    let output = input;
    let logits: Logits | undefined;
    steps.forEach((cell, index) => {
      const own = (params as Parts)[index]; // one for each cell
      initials.push(cell.initial(own, output));
      const [out, state, behind] = cell.step(own, states?.[index] ?? initials[index], output);
      next.push(state);
      output = out;
      logits = behind;
    });
    return { initials: numbered(initials), next: numbered(next), output, logits };
  };
  return {
    initial: (params, input) => walk(params, undefined, mapArrays(input, zerosLike)).initials,
    step: (params, state, input) => {
      const { next, output, logits } = walk(params, state as Parts, input); // one for each cell
      return [output, next, logits];
    },
  };
}

const makers: { readonly [type: string]: (options: Options) => CellSteps } = {
  simpleRnnCell,
  gruCell,
  lstmCell,
  layerNormLstmCell,
  convLstm1dCell: (options) => convLstmCell(options, 1),
  convLstm2dCell: (options) => convLstmCell(options, 2),
  convLstm3dCell: (options) => convLstmCell(options, 3),
};

/** The steps of a described cell. */
export function cellSteps({ type, options, cells }: CellDescription): CellSteps {
  if (type === "stackedCells") return stackedCells(cells ?? []);
  if (Object.hasOwn(ownCells, type)) return ownCells[type].steps(options);
  if (Object.hasOwn(makers, type)) return makers[type](options);
  throw new RangeError(`the interpreter has no cell ${type}`);
}
