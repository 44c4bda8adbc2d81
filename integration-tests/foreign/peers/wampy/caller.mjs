// wampy.js caller: calls with 3, prints each progressive result and the result (or the error).
import { args } from "../arguments.mjs";
import { connect } from "./connection.mjs";

const session = await connect({ autoReconnect: false, onClose: () => process.exit() });

const call = session.call(args.procedure, [3], { progress_callback: onProgress });
const { reqId } = session.getOpStatus();

function onProgress({ argsList: [i] }) {
  console.log(`Progress: ${i}`);
  if (args.cancel) session.cancel(reqId, { mode: args.cancel });
}

try {
  const { argsList: [n] } = await call;
  console.log(`Final: ${n}`);
  process.exitCode = 0;
} catch ({ errorUri }) {
  console.log(`Error: ${errorUri}`);
}
await session.disconnect();
