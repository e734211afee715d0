/** The part of TensorFlow.js that the tests and the maker of their fixtures use. */

/** A tensor of TensorFlow.js. */
export interface TfTensor {
  readonly shape: number[];
  dataSync(): Float32Array;
}

/** A layer: it is applied to symbolic tensors. */
export interface TfLayer {
  apply(inputs: unknown, options?: object): unknown;
}

/** What a model hands to what saves it. */
export interface Artifacts {
  readonly modelTopology: unknown;
  readonly weightSpecs: unknown;
  readonly weightData: ArrayBuffer;
  readonly format?: string;
  readonly generatedBy?: string;
}

/** A model of layers. */
export interface TfModel extends TfLayer {
  add(layer: TfLayer): void;
  getWeights(): TfTensor[];
  setWeights(weights: TfTensor[]): void;
  predict(inputs: TfTensor | TfTensor[]): TfTensor | TfTensor[];
  save(handler: { save(artifacts: Artifacts): Promise<object> }): Promise<unknown>;
}

/** The package. */
export interface TensorFlow {
  readonly layers: { readonly [name: string]: (options: object) => TfLayer };
  sequential(): TfModel;
  model(options: object): TfModel;
  input(options: object): unknown;
  tensor(values: ArrayLike<number>, shape: readonly number[]): TfTensor;
  loadLayersModel(handler: { load(): Promise<Artifacts> }): Promise<TfModel>;
  setBackend(name: string): Promise<boolean>;
}
