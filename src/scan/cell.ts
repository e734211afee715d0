/** The type that everything else is about. */

/**
 * One step: from the state and the step's input, the output and the next state. Pure; parameters are closed over.
 */
export type Cell<State, Input, Output> = (
  state: State,
  input: Input,
) => readonly [output: Output, state: State];
