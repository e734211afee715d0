/**
 * The conversion of nn.MultiheadAttention. Its heads lie side by side: `in_proj_weight [3 · features, features]` has
 * the rows of queries, then keys, then values, each head after head; with other sizes of keys or values (`kdim`,
 * `vdim`) these are three matrices.
 */
import { namedTensors } from "../../src/layers/checks.ts";
import { layerName } from "../../src/layers/define.ts";
import { isObject } from "../../src/describe.ts";
import type { Layer, Variables } from "../../src/layers/layer.ts";
import { concat, reshape, split } from "../../src/operations/structure.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { type Conversion, type NamedTensors, noModule, transposed } from "./conversion.ts";

/** The projections of queries, keys and values, in PyTorch's order. */
const projections = ["query", "key", "value"] as const;

const parts = [...projections, "output"] as const;

/** The params of one projection: a kernel with the heads on an axis of its own. */
interface HeadsParams {
  readonly kernel: Tensor;
  readonly bias?: Tensor;
}

type Params = Readonly<Record<typeof parts[number], HeadsParams>>;

/** The params of a layer, after checking that PyTorch's module has their sizes. */
function paramsOf(layer: Layer, { params }: Variables): Params {
  const names = layer.options.useBias === true ? ["kernel", "bias"] : ["kernel"];
  const given = isObject(params) ? params as Readonly<Record<string, unknown>> : {};
  const checked = Object.fromEntries(
    parts.map((part) => [part, namedTensors<HeadsParams>(layerName(layer), "params", given[part], names)]),
  ) as Params; // each was just checked
  const [features, heads, size] = checked.query.kernel.shape;
  const sizes = [checked.value.kernel.shape[2], checked.output.kernel.shape[2]];
  if (Number(heads) * Number(size) !== features || sizes[0] !== size || sizes[1] !== features) {
    throw noModule(
      layer,
      `it has ${heads} heads of ${size} features for queries of ${features}, of ${
        sizes[0]
      } for values, and an output ` +
        `of ${
          sizes[1]
        }, but nn.MultiheadAttention divides the features of the query among its heads, for all of them`,
    );
  }
  return checked;
}

/** `[features, heads, size]` as `[heads · size, features]`. */
function rowsOf(kernel: Tensor): Tensor {
  return transposed(reshape(kernel, [kernel.shape[0], -1]));
}

/** Whether queries, keys and values have as many features, so that PyTorch has one matrix for all. */
function isJoint({ query, key, value }: Params): boolean {
  const [features] = query.kernel.shape;
  return [key, value].every(({ kernel }) => kernel.shape[0] === features);
}

/** The matrices of all three projections, from those of the module. */
function matricesOf(tensors: NamedTensors): readonly Tensor[] {
  return tensors.in_proj_weight
    ? split(tensors.in_proj_weight, 3, { axis: 0 })
    : [tensors.q_proj_weight, tensors.k_proj_weight, tensors.v_proj_weight];
}

/** nn.MultiheadAttention. */
export function attention(layer: Layer): Conversion {
  return {
    toTorch: (variables) => {
      const params = paramsOf(layer, variables);
      const rows = projections.map((part) => rowsOf(params[part].kernel));
      const biases = projections.flatMap((part) => {
        const { bias } = params[part];
        return bias ? [reshape(bias, [-1])] : [];
      });
      const { kernel, bias } = params.output;
      return {
        ...(isJoint(params)
          ? { in_proj_weight: concat(rows, { axis: 0 }) }
          : { q_proj_weight: rows[0], k_proj_weight: rows[1], v_proj_weight: rows[2] }),
        ...(biases.length > 0 ? { in_proj_bias: concat(biases, { axis: 0 }) } : {}),
        "out_proj.weight": transposed(reshape(kernel, [-1, kernel.shape[2]])),
        ...(bias ? { "out_proj.bias": bias } : {}),
      };
    },
    fromTorch: (tensors, template) => {
      const like = paramsOf(layer, template);
      const matrices = matricesOf(tensors);
      const biases = tensors.in_proj_bias && split(tensors.in_proj_bias, 3, { axis: 0 });
      const inputs = projections.map((part, index) => {
        const { kernel, bias } = like[part];
        return [part, {
          kernel: reshape(transposed(matrices[index]), kernel.shape),
          ...(biases && bias ? { bias: reshape(biases[index], bias.shape) } : {}),
        }] as const;
      });
      const outputBias = tensors["out_proj.bias"];
      const output = {
        kernel: reshape(transposed(tensors["out_proj.weight"]), like.output.kernel.shape),
        ...(outputBias ? { bias: outputBias } : {}),
      };
      return { params: { ...Object.fromEntries(inputs), output }, state: template.state };
    },
  };
}
