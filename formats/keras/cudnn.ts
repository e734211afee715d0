/**
 * Weights of `CuDNNLSTM` and `CuDNNGRU`, which Keras 2 had for GPUs: those of `LSTM` and `GRU` in another layout, known by
 * their bias, as in Keras (`hdf5_format._convert_rnn_weights`). A kernel has the blocks of its gates side by side, each of
 * which holds `[units, inputs]`, and there are two biases for each gate.
 */
import { type HostTensor, hostTensor } from "../../src/tensor/tensor.ts";

/** The sizes of a recurrent layer in this layout. */
export interface CudnnSizes {
  readonly units: number;
  /** 4 of an LSTM, 3 of a GRU. */
  readonly gates: number;
}

/** The layout by the shapes of a recurrent kernel and a bias; undefined for that of other layers. */
export function cudnnSizes(
  recurrentKernel: readonly number[] | undefined,
  bias: readonly number[] | undefined,
): CudnnSizes | undefined {
  if (recurrentKernel?.length !== 2 || bias?.length !== 1) return undefined;
  const [units, columns] = recurrentKernel;
  const gates = columns / units;
  return (gates === 3 || gates === 4) && bias[0] === 2 * columns ? { units, gates } : undefined;
}

/** The shape of the bias in the layers for all devices: that of an LSTM has the sums. */
export function plainBiasShape({ units, gates }: CudnnSizes): readonly number[] {
  return gates === 4 ? [4 * units] : [2, 3 * units];
}

/** The bias of the layers for all devices. */
export function plainBias({ data }: HostTensor, sizes: CudnnSizes): HostTensor {
  const shape = plainBiasShape(sizes);
  const values = Float32Array.from(data, Number);
  if (shape.length === 2) return hostTensor(values, shape);
  const half = values.length / 2;
  return hostTensor(values.subarray(0, half).map((value, index) => value + values[half + index]), shape);
}

/** A kernel or recurrent kernel of the layers for all devices. */
export function plainKernel({ data, shape }: HostTensor, { units, gates }: CudnnSizes): HostTensor {
  const rows = Number(shape[0]), columns = gates * units;
  const turned = new Float32Array(rows * columns);
  for (let gate = 0; gate < gates; gate++) {
    for (let row = 0; row < rows; row++) {
      for (let unit = 0; unit < units; unit++) {
        const at = unit * rows + row; // in the block, which is stored with `units` to a row
        const from = Math.floor(at / units) * columns + gate * units + at % units;
        turned[row * columns + gate * units + unit] = Number(data[from]);
      }
    }
  }
  return hostTensor(turned, [rows, columns]);
}
