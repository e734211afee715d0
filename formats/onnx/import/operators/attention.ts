/** Attention (Vaswani et al., 2017) with masks, a cache of keys and values, and heads that share them. */
import {
  add,
  and,
  div,
  equal,
  lessEqual,
  mul,
  select,
  sub,
  tanh,
} from "../../../../src/operations/elementwise.ts";
import { full } from "../../../../src/operations/creation.ts";
import { iota } from "../../../../src/operations/indexing.ts";
import { matmul } from "../../../../src/operations/matmul.ts";
import { max, sizeAsTensor, softmax } from "../../../../src/operations/reduction.ts";
import { broadcastTo, concat, expandDims, reshape, transpose } from "../../../../src/operations/structure.ts";
import { type Dim, divideDims, fixedDim, multiplyDims } from "../../../../src/tensor/dims.ts";
import { fixedSize, printSpec, type Tensor } from "../../../../src/tensor/tensor.ts";
import { attribute, flag, type Node } from "../node.ts";
import { given, type Inputs, type Operators } from "../operator.ts";
import { floatsOf, indicesOf, type OnnxValue, tensorOf, valueOf } from "../values.ts";

/** `[batch, steps, heads · size]` as `[batch, heads, steps, size]`. */
function inHeads(x: Tensor, heads: number | undefined, name: string): Tensor {
  if (x.shape.length === 4) return x;
  const size = heads === undefined ? undefined : divideDims(x.shape[x.shape.length - 1], heads);
  if (x.shape.length !== 3 || heads === undefined || size === undefined) {
    throw new TypeError(
      `its ${name} is ${printSpec(x)} for ${
        heads ?? "no"
      } heads, expected batch, heads, steps and features, or batch, ` +
        `steps and features that the heads divide`,
    );
  }
  return transpose(reshape(x, [x.shape[0], x.shape[1], heads, size]), { permutation: [0, 2, 1, 3] });
}

/** Each head of keys or values as often as heads of queries share it. */
function shared(x: Tensor, heads: Dim): Tensor {
  const [batch, own, steps, size] = x.shape;
  if (own === heads) return x;
  const times = fixedDim(heads, "The number of heads") / fixedDim(own, "The number of heads");
  if (!Number.isInteger(times)) {
    throw new RangeError(`${own} heads of keys and values for ${heads} of queries, which they do not divide`);
  }
  return reshape(broadcastTo(expandDims(x, 2), [batch, own, times, steps, size]), [
    batch,
    heads,
    steps,
    size,
  ]);
}

/** Where each query is and each key, and how many keys of each sample count. */
interface Places {
  /** `[queries, 1]`, or `[batch, 1, queries, 1]`: places among the keys. */
  readonly query: Tensor;
  /** `[1, keys]`. */
  readonly key: Tensor;
  /** `[batch, 1, 1, 1]`: the keys before the padding. */
  readonly length: Tensor | undefined;
}

function placesOf(queries: Dim, keys: Dim, past: Dim, lengths: Tensor | undefined): Places {
  const step = iota([queries, 1], { axis: 0 });
  const length = lengths && reshape(lengths, [lengths.shape[0], 1, 1, 1]);
  const start = length ? sub(length, sizeAsTensor(queries, "int32")) : sizeAsTensor(past, "int32");
  return { query: add(step, start), key: iota([1, keys]), length };
}

/** Which keys each query sees, as far as places decide it. */
function visible(node: Node, { query, key, length }: Places): Tensor | undefined {
  const back = attribute(node, "left_window_size", "int") ?? -1;
  const ahead = flag(node, "is_causal", false) ? 0 : attribute(node, "right_window_size", "int") ?? -1;
  const conditions = [
    ...ahead >= 0 ? [lessEqual(sub(key, query), ahead)] : [],
    ...back >= 0 ? [lessEqual(sub(query, key), back)] : [],
    ...length ? [lessEqual(add(key, 1), length)] : [],
  ];
  return conditions.length === 0 ? undefined : conditions.reduce((a, b) => and(a, b));
}

/** A mask as long as there are keys: those that it does not mention are hidden. */
function completed(mask: Tensor, keys: Dim): Tensor {
  const last = mask.shape.length - 1;
  if (mask.shape[last] === keys || mask.shape[last] === 1) return mask;
  const missing = fixedDim(keys, "The number of keys") - fixedSize(mask, last);
  const hidden = full(
    mask.shape.map((dim, axis) => axis === last ? missing : dim),
    mask.dtype === "bool" ? 0 : -Infinity,
    {
      dtype: mask.dtype,
    },
  );
  return concat([mask, hidden], { axis: last });
}

/** The probabilities of keys; all are 0 for a query that sees none. */
function probabilities(logits: Tensor): Tensor {
  const seesNone = equal(max(logits, { axes: logits.shape.length - 1, keepDims: true }), -Infinity);
  return select(seesNone, 0, softmax(select(seesNone, 0, logits)));
}

function attended(node: Node, inputs: Inputs): OnnxValue[] {
  const optional = (index: number) => inputs[index] && tensorOf(inputs[index]);
  const [queryHeads, keyHeads] = ["q_num_heads", "kv_num_heads"].map((name) => attribute(node, name, "int"));
  const isFlat = tensorOf(given(inputs, 0)).shape.length === 3;
  const query = inHeads(floatsOf(given(inputs, 0)), queryHeads, "Q");
  const [newKeys, newValues] = [
    inHeads(floatsOf(given(inputs, 1)), keyHeads, "K"),
    inHeads(floatsOf(given(inputs, 2)), keyHeads, "V"),
  ];
  const [mask, pastKeys, pastValues] = [optional(3), optional(4), optional(5)];
  const keys = pastKeys ? concat([pastKeys, newKeys], { axis: 2 }) : newKeys;
  const values = pastValues ? concat([pastValues, newValues], { axis: 2 }) : newValues;
  const [batch, heads, queries, size] = query.shape;
  const scale = attribute(node, "scale", "float") ?? 1 / Math.sqrt(fixedDim(size, "The size of a head"));
  const products = mul(matmul(query, shared(keys, heads), { transposeRight: true }), scale);
  const cap = attribute(node, "softcap", "float") ?? 0;
  const scores = cap > 0 ? mul(tanh(div(products, cap)), cap) : products;
  const count = keys.shape[2];
  const whole = mask && completed(mask, count);
  const biased = whole && whole.dtype !== "bool" ? add(scores, whole) : scores;
  const seen = visible(
    node,
    placesOf(queries, count, pastKeys?.shape[2] ?? 0, inputs[6] && indicesOf(inputs[6])),
  );
  const allowed = [...whole?.dtype === "bool" ? [whole] : [], ...seen ? [seen] : []];
  const logits = allowed.reduce((logits, isSeen) => select(isSeen, logits, -Infinity), biased);
  const weights = probabilities(logits);
  const output = matmul(weights, shared(values, heads));
  const flat = isFlat
    ? reshape(transpose(output, { permutation: [0, 2, 1, 3] }), [
      batch,
      queries,
      multiplyDims(heads, output.shape[3]),
    ])
    : output;
  const mode = attribute(node, "qk_matmul_output_mode", "int") ?? 0;
  const shown = [scores, scores, logits, weights][mode];
  if (!shown) throw new RangeError(`its qk_matmul_output_mode is ${mode}, expected 0 to 3`);
  return [flat, keys, values, shown].map(valueOf);
}

/** The operators of this file. */
export const attentionOperators: Operators = {
  Attention: {
    attributes: [
      "is_causal",
      "kv_num_heads",
      "left_window_size",
      "q_num_heads",
      "qk_matmul_output_mode",
      "right_window_size",
      "scale",
      "softcap",
      "softmax_precision",
    ],
    inputs: [3, 7],
    outputs: 4,
    compute: attended,
  },
};
