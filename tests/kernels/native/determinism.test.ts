import { createNative } from "../../../kernels/native/mod.ts";
import { testDeterminism } from "../determinism.ts";
import { missing } from "./backends.ts";

testDeterminism("native", (threads) => createNative({ threads }), missing !== undefined);
