/** What all streams through a layer with the same params have in common; it is made with the first of them. */
import type { Spec, Tensor } from "../tensor/tensor.ts";
import { type Device, keyOfDevice } from "../transforms/devices.ts";
import { mapTree, type Tree } from "../tree/tree.ts";
import { type ChunkStep, keyOf } from "./chunk_steps.ts";
import { chunkChecks } from "./chunks.ts";
import type { Layer, Variables } from "./layer.ts";
import { statefulLayer } from "./stateful.ts";
import { applySteps, conversion, sequencesOf, type StepFunction, stepOf } from "./stream_steps.ts";

/** The calls of one kind: chunks, or single steps. */
export interface CallKind {
  readonly name: "chunks" | "steps";
  readonly fn: StepFunction;
  /** Specs of the sequence that an input represents. */
  readonly sequence: (input: Tree<Spec>) => Tree<Spec>;
  /** What was compiled last, for any length where the layer allows it, by whichever stream. */
  latest: ChunkStep | undefined;
}

/** What streams have in common. */
export interface Streamed {
  readonly layer: Layer;
  readonly stateful: Layer;
  readonly params: Tree<Tensor>;
  readonly batch: number;
  readonly device: Device | undefined;
  readonly sequences: ReturnType<typeof sequencesOf>;
  readonly kinds: Readonly<Record<CallKind["name"], CallKind>>;
  readonly checkChunks: ReturnType<typeof chunkChecks>;
  readonly convert: ReturnType<typeof conversion>;
  /** The state of streams that are given none, for inputs of these specs. */
  fresh: { readonly specs: string; readonly state: Tree<Tensor> } | undefined;
}

/** By the layer and the params, then by the batch, the device and the specs of the state. */
const known = new WeakMap<Layer, WeakMap<object, Map<string, Streamed>>>();

/** The same object for streams that have all this in common. */
export function streamedFor(
  layer: Layer,
  { params, state }: Variables,
  batch: number,
  device: Device | undefined,
): Streamed {
  const ofLayer = known.get(layer) ?? new WeakMap<object, Map<string, Streamed>>();
  known.set(layer, ofLayer);
  const ofParams = ofLayer.get(params) ?? new Map<string, Streamed>();
  ofLayer.set(params, ofParams);
  const key = `${batch} ${keyOfDevice(device)} ${keyOf(state)}`;
  const streamed = ofParams.get(key) ?? newStreamed(layer, { params, state }, batch, device);
  ofParams.set(key, streamed);
  return streamed;
}

function newStreamed(
  layer: Layer,
  { params, state }: Variables,
  batch: number,
  device: Device | undefined,
): Streamed {
  const stateful = statefulLayer(layer);
  const sequences = sequencesOf(stateful);
  const { asSequence, isSequence } = sequences;
  // Specs stand for the tensors of a state, which belongs to one stream.
  const specs = mapTree(state, ({ shape, dtype }: Spec): Spec => ({ shape, dtype })) as Tree<Tensor>;
  return {
    layer,
    stateful,
    params,
    batch,
    device,
    sequences,
    kinds: {
      chunks: { name: "chunks", fn: applySteps, sequence: (input) => input, latest: undefined },
      steps: {
        name: "steps",
        fn: stepOf(asSequence),
        sequence: (input) => asSequence(input, 1),
        latest: undefined,
      },
    },
    checkChunks: chunkChecks(layer, { stateful, params, isSequence }),
    convert: conversion(layer, { params, state: specs }, batch),
    fresh: undefined,
  };
}
