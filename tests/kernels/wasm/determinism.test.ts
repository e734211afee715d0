import { createWasm } from "../../../kernels/wasm/mod.ts";
import { testDeterminism } from "../determinism.ts";

testDeterminism("wasm", (threads) => createWasm({ threads, relaxed: false }));
