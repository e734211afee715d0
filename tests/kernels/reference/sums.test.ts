import { reference } from "../../../kernels/reference/mod.ts";
import { testSums } from "../sums.ts";

testSums("reference", reference, false, 1_000_000);
